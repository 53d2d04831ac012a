"""A case and its verdict."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.acceptance.messages import Writer, control_id_of, msa_of
from daemon.acceptance.peer import Peer, Target

POSITIVE: Final = frozenset({"AA", "CA"})
NEGATIVE: Final = frozenset({"AE", "AR", "CE", "CR"})


class Level(StrEnum):
    """What a failed case says of a listener: it is wrong, or it does not do what doorstep promises beyond that."""

    MUST = "must"
    PROMISE = "promise"


class Got(Struct, frozen=True):
    """What came, in words of ours and codes, and whether it is what was expected."""

    passed: bool
    got: str


class Case(Struct, frozen=True):
    """One case: its ``name``, what is ``expected``, the ``reason`` with its source, and how it is played."""

    name: str
    level: Level
    expected: str
    reason: str
    play: Callable[[Target, Writer], Got]


class Verdict(Struct, frozen=True):
    """What a case came to."""

    name: str
    level: Level
    expected: str
    got: str
    passed: bool
    reason: str


def tell(answer: bytes, message: bytes, peer: Peer) -> str:
    """Say in words what came for a message."""
    if not answer:
        return "the connection was closed without an answer" if peer.closed else "no answer"
    code, control_id = msa_of(answer)
    if not code:
        return "an answer without MSA-1"
    whose = "" if control_id == control_id_of(message) else ", for another message (MSA-2)"
    return f"{code}{whose}"


def answers(message: bytes, answer: bytes) -> bool:
    """Whether this is an acknowledgment of that message, whatever its code."""
    code, control_id = msa_of(answer)
    return code in POSITIVE | NEGATIVE and control_id == control_id_of(message)


def accepts(message: bytes, answer: bytes) -> bool:
    """Whether this is a positive acknowledgment of that message."""
    return answers(message, answer) and msa_of(answer)[0] in POSITIVE


def exchanged(target: Target, message: bytes, judge: Callable[[bytes, bytes], bool]) -> Got:
    """Send one message over a connection of its own, and judge its answer."""
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.answer()
        return Got(judge(message, answer), tell(answer, message, peer))


def goes_on(target: Target, writer: Writer) -> Got:
    """Whether the listener still takes an ordinary message, over a new connection."""
    found = exchanged(target, writer.person(), answers)
    return Got(found.passed, f"afterwards {found.got}")
