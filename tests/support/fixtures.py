"""Messages with their expected effect beside them: ``fixtures/adt/NAME.hl7`` and ``NAME.toml``.

An expectation says what the message is for, which others go before it, how it is answered, and what is then known of
the person. A key that nobody knows is an error, so that no expectation is written in vain. Everything in the files is
invented: NHS numbers of the test range, phones of Ofcom's numbers for drama, mail at the domains of RFC 2606.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

FOLDER = Path(__file__).resolve().parents[2] / "fixtures"
ADT = FOLDER / "adt"
FRAMES = FOLDER / "frames"


class RecordFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be known of the person afterwards; what is None is not looked at.

    ``identifier`` finds the person. ``reason`` is the first reason why not when ``eligible`` is false. ``family`` and
    ``given`` are those of the name that we write to, ``birth`` has the digits as sent, numbers are in E.164.
    ``same_as`` are identifiers that find the very same person, ``apart_from`` such as find somebody else.
    """

    identifier: str
    eligible: bool
    reason: str | None = None
    family: str | None = None
    given: str | None = None
    birth: str | None = None
    mobiles: tuple[str, ...] | None = None
    emails: tuple[str, ...] | None = None
    postcode: str | None = None
    dead: bool | None = None
    same_as: tuple[str, ...] = ()
    apart_from: tuple[str, ...] = ()


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must become of one message.

    ``given`` are the fixtures to send before it, in order. ``answer`` is MSA-1, empty for silence; ``text`` is how
    MSA-3 begins; ``outcome`` what the journal says; ``error`` the code of table 0357 in ERR-3; ``control_id`` MSA-2
    where it is not MSH-10; ``findings`` must all be there, among others perhaps. ``changes`` is what the journal says
    was changed; ``acts`` is what was done to people beyond that, in order (:class:`patient_records.effects.Act`).
    """

    purpose: str
    answer: str
    outcome: str
    text: str = ""
    error: str | None = None
    control_id: str | None = None
    given: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    changes: tuple[str, ...] | None = None
    acts: tuple[str, ...] | None = None
    record: RecordFacts | None = None


class Fixture(msgspec.Struct, frozen=True):
    """One message and its expectation."""

    name: str
    raw: bytes
    expected: Expectation

    @property
    def story(self) -> tuple[Fixture, ...]:
        """The messages to send, in order: those that are given, with what they are given, and this one last."""
        before = [earlier for name in self.expected.given for earlier in fixture(name).story]
        return (*dict.fromkeys(before), self)


class FrameExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must become of a stream of bytes.

    ``answers`` are MSA-1 of each answer, in order; ``kept`` counts the pieces that are kept for a person; ``closes``
    says whether we end the connection.
    """

    purpose: str
    answers: tuple[str, ...]
    kept: int = 0
    closes: bool = False


class FrameFixture(msgspec.Struct, frozen=True):
    """A stream of bytes as a sender writes it, and its expectation: ``fixtures/frames/NAME.mllp`` and ``NAME.toml``."""

    name: str
    stream: bytes
    expected: FrameExpectation


@cache
def fixture(name: str) -> Fixture:
    """Read one fixture of ``fixtures/adt``."""
    expected = msgspec.convert(tomllib.loads((ADT / f"{name}.toml").read_text()), Expectation)
    return Fixture(name, (ADT / f"{name}.hl7").read_bytes(), expected)


def fixtures() -> list[Fixture]:
    """Read all fixtures of ``fixtures/adt``, by name."""
    return [fixture(path.stem) for path in sorted(ADT.glob("*.hl7"))]


def frame_fixtures() -> list[FrameFixture]:
    """Read all fixtures of ``fixtures/frames``, by name."""
    return [
        FrameFixture(
            path.stem,
            path.read_bytes(),
            msgspec.convert(tomllib.loads(path.with_suffix(".toml").read_text()), FrameExpectation),
        )
        for path in sorted(FRAMES.glob("*.mllp"))
    ]
