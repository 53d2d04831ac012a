"""What a sender really sends, counted, with nothing in it that says who anybody is. Pure.

What is shown is counts, names of the standard's own things (events, segments, fields), and shapes (``99999999`` for
eight digits). Two kinds of a sender's own words are shown as well, because a profile is about them: authorities and
types of identifiers (CX.4, CX.5). A careless sender may put a person's name there, so they are shown only once
:data:`PEOPLE` different identifiers came with them, and only while they look like codes; the rest is one number.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from hl7_listener.charset import codec_for
from hl7_listener.delimiters import STANDARD
from hl7_listener.message import NULL, Message, Segment
from hl7_listener.sender_profile import SenderProfile, nhs_number_is_valid
from patient_records.model import Masked

PEOPLE: Final = 5
"""Different identifiers that a sender's own word must have come with before it is shown."""
OTHER: Final = "(other)"
RARE: Final = "(rare)"
_OF_PID: Final = "PID-2 PID-3 PID-4 PID-5 PID-7 PID-8 PID-11 PID-13 PID-14 PID-15 PID-29 PID-30 PID-32 PID-40"
FIELDS: Final = tuple(f"{_OF_PID} EVN-2 PD1-11 PD1-12 PV1-16".split())
"""Fields whose presence is counted: those that doorstep reads."""
_PERSON: Final = "MSH EVN PID PD1 ARV ROL NK1 PV1 PV2 DB1 OBX AL1 DG1 DRG PR1 GT1 IN1 IN2 IN3 ACC UB1 UB2 MRG SFT NTE"
_OTHERS: Final = "PDA IAM CON PRT ORC OBR SCH RGS AIS AIG AIL AIP TXA SPM TQ1 DSC ERR MSA QRD QRF FT1 CTI"
STANDARD_SEGMENTS: Final = frozenset(f"{_PERSON} {_OTHERS}".split())
"""Segments that may be named however rare they are. Another one may be a piece of broken text, and somebody's name."""
MOST_KINDS: Final = 500
MOST_SHAPES: Final = 200
MANY_NULLS: Final = 5

_VERSION: Final = re.compile(r"2(?:\.\d){1,2}\Z")
_EVENT: Final = re.compile(r"[A-Z]{3}(?:\^[A-Z]\d{2})?\Z")
_PROCESSING: Final = re.compile(r"[A-Z]\Z")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.:/&-]{0,63}\Z")
_DIGIT: Final = re.compile(r"\d")
_LETTER: Final = re.compile(r"[^\W\d_]")
_LONGEST_SHAPE: Final = 26
_LONGEST_WORD: Final = 80  # more than a word may have, so that a longer one is none
_TEN: Final = 10


class Kind(Masked):
    """Identifiers of one authority and type: how many, how many people at least, how many look like NHS numbers."""

    __slots__ = ("count", "nhs_like", "people")

    def __init__(self) -> None:
        self.count = 0
        self.nhs_like = 0
        self.people: set[int] = set()  # of hashes, and no more than are needed


class FeedDescription(Masked):
    """Counts of one sender; :meth:`add` takes its messages."""

    def __init__(self) -> None:
        self.messages = 0
        self.guessed = 0
        self.numbered = 0
        self.null_fillers = 0
        self.death_date_alone = 0
        self.versions: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.processing_ids: Counter[str] = Counter()
        self.declared_charsets: Counter[str] = Counter()
        self.codecs: Counter[str] = Counter()
        self.beyond_ascii: Counter[str] = Counter()
        self.line_ends: Counter[str] = Counter()
        self.delimiters: Counter[str] = Counter()
        self.acknowledgments: Counter[str] = Counter()
        self.segments: Counter[str] = Counter()
        self.present: Counter[str] = Counter()
        self.nulls: Counter[str] = Counter()
        self.date_shapes: Counter[str] = Counter()
        self.time_shapes: Counter[str] = Counter()
        self._kinds: dict[tuple[str, str], Kind] = {}

    def add(self, message: Message) -> None:
        """Count one message."""
        self.messages += 1
        self._header(message)
        ids = [segment.id for segment in message.segments()]
        self.segments.update({one if _SEGMENT.match(one) else OTHER for one in ids})
        pid, evn = message.segment("PID"), message.segment("EVN")
        self._presence({"PID": pid, "EVN": evn, "PD1": message.segment("PD1"), "PV1": message.segment("PV1")})
        if pid is not None:
            self._person(message, pid)
        if evn is not None:
            self._shape(self.time_shapes, evn.text(2))

    def known_segments(self) -> Counter[str]:
        """Segments by the number of messages that have them; those that must not be named are one row."""
        shown: Counter[str] = Counter()
        for name, count in self.segments.items():
            shown[name if name in STANDARD_SEGMENTS or name == OTHER or count >= PEOPLE else RARE] += count
        return shown

    def kinds(self) -> list[tuple[str, str, Kind]]:
        """Authority, type and counts, the most frequent first; what must not be shown is one row of :data:`RARE`."""
        shown: dict[tuple[str, str], Kind] = {}
        for (authority, type_), kind in self._kinds.items():
            known = len(kind.people) >= PEOPLE and all(not one or _WORD.match(one) for one in (authority, type_))
            into = shown.setdefault((authority, type_) if known else (RARE, RARE), Kind())
            into.count += kind.count
            into.nhs_like += kind.nhs_like
            into.people |= kind.people
        rows = [(authority, type_, kind) for (authority, type_), kind in shown.items()]
        return sorted(rows, key=lambda row: (row[0] == RARE, -row[2].count, row[0], row[1]))

    def unnamed_nhs_numbers(self) -> list[tuple[str, str]]:
        """Kinds that all look like NHS numbers and are not called so: one in eleven numbers passes by chance."""
        plain = SenderProfile()
        return [
            (authority, type_)
            for authority, type_, kind in self.kinds()
            if authority != RARE
            and kind.count == kind.nhs_like
            and len(kind.people) >= PEOPLE
            and not plain.is_nhs_number(authority.upper(), type_.upper())
        ]

    def _header(self, message: Message) -> None:
        header = message.header
        event = "^".join(part for part in (header.message_code, header.trigger) if part)
        self.versions[_known(_VERSION, header.version)] += 1
        self.events[_known(_EVENT, event)] += 1
        self.processing_ids[_known(_PROCESSING, header.processing_id)] += 1
        for declared in header.charset_field.split(header.delimiters.repetition, 4)[:4]:
            self.declared_charsets[_codec(declared)] += 1
        self.codecs[message.charset] += 1
        if not message.raw.isascii():  # only these say anything of the character set
            self.beyond_ascii[message.charset] += 1
        self.guessed += message.charset_guessed
        self.numbered += bool(header.sequence)
        self.acknowledgments[f"{_ack(header.accept_ack)}/{_ack(header.application_ack)}"] += 1
        self.delimiters["standard" if header.delimiters == STANDARD else "others"] += 1
        self.line_ends[_line_ends(message.raw)] += 1

    def _presence(self, segments: dict[str, Segment | None]) -> None:
        nulls = 0
        for name in FIELDS:
            segment_id, _, number = name.partition("-")
            segment = segments.get(segment_id)
            value = segment.field(int(number)).strip() if segment is not None else ""
            if value == NULL:
                self.nulls[name] += 1
                nulls += 1
            elif value:
                self.present[name] += 1
        self.null_fillers += nulls >= MANY_NULLS

    def _person(self, message: Message, pid: Segment) -> None:
        self._shape(self.date_shapes, pid.text(7))
        dead, died = pid.text(30).upper(), pid.text(29)
        self.death_date_alone += bool(died and died != NULL and dead in {"", "N"})
        for repetition in pid.repetitions(3, 20):
            self._identifier(message, repetition)

    def _identifier(self, message: Message, repetition: str) -> None:
        parts = message.components(repetition)[:5]
        parts += [""] * (5 - len(parts))
        value = message.unescape(parts[0], 64).strip()
        if not value or value == NULL:
            return
        authority = message.unescape(message.subcomponents(parts[3])[0] if parts[3] else "", _LONGEST_WORD).strip()
        type_ = message.unescape(parts[4], _LONGEST_WORD).partition("{")[0].strip()
        key = (authority, type_)
        if key not in self._kinds and len(self._kinds) >= MOST_KINDS:
            key = (RARE, RARE)
        kind = self._kinds.setdefault(key, Kind())
        kind.count += 1
        digits = value.replace(" ", "").replace("-", "")
        kind.nhs_like += len(digits) == _TEN and nhs_number_is_valid(digits)
        if len(kind.people) < PEOPLE:
            kind.people.add(hash(value))

    def _shape(self, into: Counter[str], value: str) -> None:
        if not value or value == NULL:
            return
        shape = _DIGIT.sub("9", value[:_LONGEST_SHAPE])
        if _LETTER.search(shape):
            shape = "(text)"
        into[shape if shape in into or len(into) < MOST_SHAPES else OTHER] += 1


def _known(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.match(text) else OTHER if text else "(empty)"


def _codec(declared: str) -> str:
    name = declared.strip()
    return (codec_for(name) or OTHER) if name else "(empty)"


def _ack(value: str) -> str:
    return value if value in {"AL", "NE", "ER", "SU"} else OTHER if value else "-"


def _line_ends(raw: bytes) -> str:
    if b"\r\n" in raw:
        return "CRLF"
    if b"\r" in raw:
        return "CR"
    return "LF" if b"\n" in raw else "none"
