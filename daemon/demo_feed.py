"""The demo's feed: what a hospital's engine sends in a day, invented, with every kind of person and of trouble in it.

Each message knows its :class:`Kind`, and a kind says what must become of it. :func:`expected` adds that up, so that the
demo can tell by itself whether a step fell short. The same seed gives the same feed but for its dates, which are
counted back from the present: a child must be one today.

Messages about the same person come in their order, whatever else lies between. The ambiguous ones, which name two
earlier people, come last: over several connections, send the messages up to the first of them, then the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

import hl7
from msgspec import Struct

from daemon.demo_people import People, Person
from patient_records.model import Masked


class Kind(StrEnum):
    """What a message of the demo is for."""

    MOBILE = "mobile"
    EMAIL_ONLY = "email_only"
    POST_ONLY = "post_only"
    CHILD = "child"
    NO_DATE_OF_BIRTH = "no_date_of_birth"
    DECEASED = "deceased"
    NO_CONTACT = "no_contact"
    CONTACT_TO_COME = "contact_to_come"
    CONTACT_COMES = "contact_comes"
    UPDATE = "update"
    DUPLICATE = "duplicate"
    AMBIGUOUS = "ambiguous"
    NO_HEADER = "no_header"
    NO_NAME = "no_name"
    WRONG_TYPE = "wrong_type"


_PEOPLE: Final = {
    Kind.MOBILE: 46,
    Kind.EMAIL_ONLY: 11,
    Kind.POST_ONLY: 11,
    Kind.CHILD: 9,
    Kind.NO_DATE_OF_BIRTH: 6,
    Kind.DECEASED: 6,
    Kind.NO_CONTACT: 6,
    Kind.CONTACT_TO_COME: 5,
}
"""Kinds that make a person, with their share of a hundred."""

_TROUBLE: Final = (Kind.AMBIGUOUS, Kind.NO_HEADER, Kind.NO_NAME, Kind.WRONG_TYPE)
_BY_MOBILE: Final = frozenset({Kind.MOBILE, Kind.CHILD, Kind.NO_DATE_OF_BIRTH, Kind.DECEASED})
_POSTAL: Final = _BY_MOBILE | {Kind.POST_ONLY}
_REFUSED: Final = frozenset({Kind.NO_HEADER, Kind.NO_NAME, Kind.WRONG_TYPE})

_ESCAPES: Final = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"})

_EFFECTS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.MOBILE: ("created", "eligible", "sms"),
    Kind.EMAIL_ONLY: ("created", "eligible", "email"),
    Kind.POST_ONLY: ("created", "eligible", "letter"),
    Kind.CHILD: ("created", "under_age"),
    Kind.NO_DATE_OF_BIRTH: ("created", "no_date_of_birth"),
    Kind.DECEASED: ("created", "deceased"),
    Kind.NO_CONTACT: ("created", "no_contact"),
    Kind.CONTACT_TO_COME: ("created",),
    Kind.CONTACT_COMES: ("updated", "eligible", "sms"),
    Kind.UPDATE: ("updated",),
    Kind.DUPLICATE: ("duplicate",),
    Kind.AMBIGUOUS: ("held",),
    Kind.NO_HEADER: ("refused",),
    Kind.NO_NAME: ("refused",),
    Kind.WRONG_TYPE: ("refused",),
}


class DemoMessage(Masked, Struct, frozen=True):
    """One message of the feed: its bytes, unframed, and what it is for."""

    raw: bytes
    kind: Kind

    @property
    def answer(self) -> str:
        """The acknowledgment code that it must get."""
        if self.kind is Kind.NO_NAME:
            return "AE"
        return "AR" if self.kind in _REFUSED else "AA"


def expected(messages: Iterable[DemoMessage]) -> Counter[str]:
    """Count what must become of these messages.

    Keys: ``received``, ``created``, ``updated``, ``duplicate``, ``held``, ``refused``; people by ``eligible``, or by
    the first reason why not (the values of :class:`invites.eligibility.Reason`); invitations by channel (``sms``,
    ``email``, ``letter``), with the built-in policy. ``refused`` are those answered AE or AR.
    """
    counts: Counter[str] = Counter()
    for message in messages:
        counts["received"] += 1
        counts.update(_EFFECTS[message.kind])
    return counts


def feed(patients: int = 240, seed: int = 1, *, now: datetime | None = None) -> list[DemoMessage]:
    """Invent the feed of that many people, and some messages more, ending at ``now`` (the present when not given).

    Raises ValueError for fewer than 20 people (not every kind would occur), or more than
    :data:`daemon.demo_people.MOST`.
    """
    if patients < 20:  # noqa: PLR2004
        raise ValueError("the demo needs at least 20 patients, so that every kind of them occurs")
    end = (now or datetime.now(UTC)).astimezone(UTC)
    writer = _Writer(end - timedelta(seconds=2 * patients), Random(seed))  # noqa: S311 (an invented feed)
    people = People(seed, end.date())
    kinds = _kinds(patients, writer.draw)
    messages = list(_persons(kinds, people, writer))
    trouble = max(2, patients // 100)
    malformed = [writer.malformed(people.adult(), kind) for kind in _TROUBLE[1:] for _ in range(trouble)]
    for message in malformed:
        messages.insert(writer.draw.randrange(len(messages)), message)
    return messages + [writer.ambiguous() for _ in range(trouble)]


def _kinds(patients: int, draw: Random) -> list[Kind]:
    """Share the people out among the kinds, at least one each, in an order of chance."""
    kinds = [kind for kind, share in _PEOPLE.items() for _ in range(max(1, patients * share // 100))]
    kinds += [Kind.MOBILE] * (patients - len(kinds))
    draw.shuffle(kinds)
    return kinds


def _persons(kinds: list[Kind], people: People, writer: _Writer) -> Iterator[DemoMessage]:
    """Write each person's messages, those that follow the first a little later, between other people's."""
    later: list[tuple[int, Person, Kind, bytes]] = []
    for place, kind in enumerate(kinds):
        person = people.child() if kind is Kind.CHILD else people.adult()
        first = writer.person(person, kind)
        yield first
        following = _following(kind, place)
        if following is not None:
            later.append((place + writer.draw.randrange(3, 12), person, following, first.raw))
        while later and later[0][0] <= place:
            yield writer.again(*later.pop(0)[1:])
    for _, person, following, raw in later:
        yield writer.again(person, following, raw)


def _following(kind: Kind, place: int) -> Kind | None:
    if kind is Kind.CONTACT_TO_COME:
        return Kind.CONTACT_COMES
    if place % 14 == 0:
        return Kind.UPDATE
    return Kind.DUPLICATE if place % 18 == 1 else None


class _Writer:
    """Writes messages with python-hl7, one second after the other."""

    def __init__(self, start: datetime, draw: Random) -> None:
        self.draw = draw
        self._clock = start
        self._sent = 0
        self._known: list[Person] = []

    def person(self, person: Person, kind: Kind) -> DemoMessage:
        """Write the first message about somebody."""
        if person.nhs_number:
            self._known = [*self._known[-99:], person]
        event = self.draw.choice(("A28", "A28", "A28", "A05", "A04"))
        return DemoMessage(self._message(event, self._pid(person, kind)), kind)

    def again(self, person: Person, kind: Kind, first: bytes) -> DemoMessage:
        """Write what follows about somebody: the same again, a new address, or the mobile number at last."""
        if kind is Kind.DUPLICATE:
            return DemoMessage(first, kind)
        changes = {13: _phone(person, self.draw)} if kind is Kind.CONTACT_COMES else {16: "M"}
        identity = {3: _identifiers(person), 5: _name(person)}
        return DemoMessage(self._message("A31", identity | changes), kind)

    def malformed(self, person: Person, kind: Kind) -> DemoMessage:
        """Write a message about a new person that nobody can take."""
        if kind is Kind.WRONG_TYPE:
            return DemoMessage(self._message("O01", self._pid(person, kind), code="ORM"), kind)
        fields = self._pid(person, kind)
        raw = self._message("A28", fields | ({5: ""} if kind is Kind.NO_NAME else {}))
        return DemoMessage(raw.partition(b"\r")[2] if kind is Kind.NO_HEADER else raw, kind)

    def ambiguous(self) -> DemoMessage:
        """Write a message with the hospital number of one earlier person and the NHS number of another."""
        one, other = self.draw.sample(self._known, 2)
        fields = self._pid(one, Kind.MOBILE) | {3: f"{one.mrn}^^^RX1^MR~{other.nhs_number}^^^NHS^NH"}
        return DemoMessage(self._message("A28", fields), Kind.AMBIGUOUS)

    def _message(self, event: str, pid: dict[int, str], code: str = "ADT") -> bytes:
        self._sent += 1
        self._clock += timedelta(seconds=1)
        stamp = self._clock.strftime("%Y%m%d%H%M%S+0000")
        message = hl7.Message("\r")
        header = hl7.Segment("|", [hl7.Field("", ["MSH"]), hl7.Field("", ["|"]), hl7.Field("", ["^~\\&"])])
        message.append(header)
        _fill(header, {3: "PAS", 4: "RX1", 5: "doorstep", 6: "RX1", 7: stamp, 9: f"{code}^{event}"})
        _fill(header, {10: f"DEMO{self._sent:07d}", 11: "P", 12: "2.5.1", 18: "UNICODE UTF-8"})
        for name, fields in (("EVN", {1: event, 2: stamp}), ("PID", {1: "1"} | pid), ("PV1", {1: "1", 2: "N"})):
            segment = hl7.Segment("|", [hl7.Field("", [name])])
            _fill(segment, fields)
            message.append(segment)
        return str(message).encode()

    def _pid(self, person: Person, kind: Kind) -> dict[int, str]:
        """Give the fields of PID for a person of that kind."""
        fields = {3: _identifiers(person), 5: _name(person), 7: person.birth.strftime("%Y%m%d"), 8: person.sex}
        if kind is Kind.NO_DATE_OF_BIRTH:
            fields[7] = self.draw.choice(("", person.birth.strftime("%Y")))
        if kind is Kind.DECEASED:
            died = (self._clock - timedelta(days=40)).strftime("%Y%m%d")
            fields |= self.draw.choice(({30: "Y"}, {29: died}, {29: died, 30: "Y"}))
        if kind in _POSTAL:
            lines = "^".join(map(_escaped, person.lines))
            fields[11] = f"{lines}^{_escaped(person.town)}^^{person.postcode}^GBR^H"
        if kind in _BY_MOBILE:
            fields[13] = _phone(person, self.draw)
        elif kind is Kind.POST_ONLY and self.draw.random() < 0.5:  # noqa: PLR2004 (a landline can be rung and not written to)
            fields[13] = f"{person.landline}^PRN^PH"
        elif kind is Kind.EMAIL_ONLY:
            fields[13] = f"^NET^Internet^{person.email}"
        return fields


def _fill(segment: hl7.Segment, fields: dict[int, str]) -> None:
    for number, value in sorted(fields.items()):
        while len(segment) <= number:
            segment.append(hl7.Field("~", [""]))
        segment[number] = hl7.Field("~", value.split("~"))


def _escaped(text: str) -> str:
    """Escape delimiters (HL7 2.5.1 chapter 2.7); python-hl7's own escape would also spell out every accent in hex."""
    return text.translate(_ESCAPES)


def _identifiers(person: Person) -> str:
    nhs = f"~{person.nhs_number}^^^NHS^NH" if person.nhs_number else ""
    return f"{person.mrn}^^^RX1^MR{nhs}"


def _name(person: Person) -> str:
    return f"{_escaped(person.family)}^{person.given}^^^{person.title}^^L"


def _phone(person: Person, draw: Random) -> str:
    """Spell a mobile number in one of the ways in which engines send it."""
    mobile = person.mobile
    return draw.choice(
        (
            f"{mobile}^PRN^CP",
            f"{mobile[:5]} {mobile[5:]}^PRN^CP",
            f"+44{mobile[1:]}^PRN^CP",
            f"^PRN^CP^^44^^{mobile[1:]}",
            f"^PRN^CP^^^^^^^^^{mobile}",
            f"{person.landline}^PRN^PH~{mobile}^ORN^CP",
        )
    )
