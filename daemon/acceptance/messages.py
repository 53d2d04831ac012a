"""The kit's messages: invented people, ids that no other run has."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from hl7_listener.lane import segment

FAMILY: Final = "ZZTEST-ACCEPTANCE"
"""doorstep invites nobody of such a name; whoever else keeps it can find it."""


class Speaker(Struct, frozen=True):
    """Who the kit pretends to be, and how it writes: MSH-3 to 6 as ``application/facility``, MSH-11, MSH-12."""

    sender: str = "ACCEPTANCE/DOORSTEP"
    receiver: str = "LISTENER/HOSPITAL"
    authority: str = "ACCEPTANCE"
    processing_id: str = "T"
    version: str = "2.5"
    at: str = "20260101120000+0000"
    run: str = "1"


class Writer:
    """Writes the messages of one run; each has a control id of its own."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._count = 0

    def control_id(self) -> str:
        """A new MSH-10."""
        self._count += 1
        return f"{self._speaker.run}-{self._count}"

    def header(  # each keyword is one thing that a case varies
        self,
        event: str = "ADT^A28",
        *,
        control_id: str = "",
        version: str | None = None,
        tail: str = "",
    ) -> str:
        """MSH, without its terminator; ``tail`` follows MSH-12."""
        speaker = self._speaker
        mine, my_place = ([*speaker.sender.split("/", 1), ""])[:2]
        yours, your_place = ([*speaker.receiver.split("/", 1), ""])[:2]
        number = speaker.version if version is None else version
        return (
            f"MSH|^~\\&|{mine}|{my_place}|{yours}|{your_place}|{speaker.at}||{event}|{control_id or self.control_id()}"
            f"|{speaker.processing_id}|{number}{tail}"
        )

    def person(  # each keyword is one thing that a case varies
        self,
        person: str = "1",
        *,
        control_id: str = "",
        version: str | None = None,
        tail: str = "",
        given: str = "Tess",
        extra: str = "",
    ) -> bytes:
        """An A28 of the person with that number of the run; ``extra`` is what follows PID."""
        lines = [
            self.header(control_id=control_id, version=version, tail=tail),
            f"EVN|A28|{self._speaker.at}",
            f"PID|1||{self._number(person)}||{FAMILY}^{given}||19800229|F",
        ]
        return ("\r".join(lines) + "\r" + extra).encode()

    def merge(self, gone: str, survivor: str) -> bytes:
        """An A40 that merges one person of the run into another."""
        lines = [
            self.header("ADT^A40"),
            f"EVN|A40|{self._speaker.at}",
            f"PID|1||{self._number(survivor)}||{FAMILY}^Tess||19800229|F",
            f"MRG|{self._number(gone)}",
        ]
        return ("\r".join(lines) + "\r").encode()

    def bare(self, event: str, *rest: str) -> bytes:
        """A message of that type with those segments behind MSH."""
        return ("\r".join([self.header(event), *rest]) + "\r").encode()

    def _number(self, person: str) -> str:
        return f"{self._speaker.run}{person}^^^{self._speaker.authority}^MR"


def control_id_of(message: bytes) -> str:
    """MSH-10 of a message."""
    return ((segment(message, b"MSH") + [b""] * 10)[9]).decode("latin-1")


def msa_of(answer: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2 of an answer; empty where there is none."""
    fields = [field.decode("latin-1") for field in segment(answer, b"MSA")] + [""] * 3
    return fields[1], fields[2]
