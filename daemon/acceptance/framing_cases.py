"""Cases of the wire: pieces, ends, interruptions, junk, size and haste (SPEC 3.1; HL7 2.5.1 appendix C.4)."""

from __future__ import annotations

import contextlib
import itertools
from typing import Final

from daemon.acceptance.case import Case, Got, Level, accepts, answers, exchanged, goes_on, tell
from daemon.acceptance.messages import Writer, control_id_of, msa_of
from daemon.acceptance.peer import Peer, Target
from hl7_listener.framing import encode

HUGE: Final = 8 << 20
"""Bytes of the frame that is meant to be too large: eight times doorstep's default cap."""
_PIPELINED: Final = 20
_AT_ONCE: Final = 20


def ordinary(target: Target, writer: Writer) -> Got:
    """An A28 like any other."""
    return exchanged(target, writer.person(), accepts)


def byte_by_byte(target: Target, writer: Writer) -> Got:
    """One byte a packet."""
    message = writer.person()
    with Peer(target) as peer:
        peer.write(*(bytes([octet]) for octet in encode(message)))
        answer = peer.answer()
        return Got(answers(message, answer), tell(answer, message, peer))


def slow_bytes(target: Target, writer: Writer) -> Got:
    """Pieces with pauses between them, in the middle of segments and of the end."""
    frame = encode(message := writer.person())
    cuts = [0, 1, 5, len(frame) // 2, len(frame) - 2, len(frame) - 1, len(frame)]
    with Peer(target) as peer:
        peer.write(*(frame[a:b] for a, b in itertools.pairwise(cuts)), pause=0.1)
        answer = peer.answer()
        return Got(answers(message, answer), tell(answer, message, peer))


def probe(target: Target, writer: Writer) -> Got:
    """Connections that say nothing and leave, as load balancers make them."""
    for _ in range(3):
        with contextlib.suppress(OSError), Peer(target):
            pass
    return goes_on(target, writer)


def half_frame(target: Target, writer: Writer) -> Got:
    """A sender that dies in the middle of a message."""
    message = writer.person()
    frame = encode(message)
    with Peer(target) as peer:
        peer.write(frame[: len(frame) // 2])
        peer.half_close()
        answer = peer.silence()
        if accepts(message, answer):
            return Got(passed=False, got=f"{tell(answer, message, peer)} for half a message")
    return goes_on(target, writer)


def interrupted(target: Target, writer: Writer) -> Got:
    """VT inside a frame: the sender began anew, so what came before it never arrived whole."""
    first, second = writer.person("2"), writer.person("3")
    with Peer(target) as peer:
        peer.write(b"\x0b" + first[:-20] + encode(second))
        came = [answer for answer in (peer.answer(), peer.silence()) if answer]
    wrong = [answer for answer in came if accepts(first, answer)]
    return Got(not wrong, "a positive answer to the unfinished message" if wrong else "none to the unfinished message")


def begun_anew(target: Target, writer: Writer) -> Got:
    """The same; the message behind VT is whole."""
    first, second = writer.person("2"), writer.person("3")
    with Peer(target) as peer:
        peer.write(b"\x0b" + first[:-20] + encode(second))
        answer = peer.answer()
        return Got(accepts(second, answer), tell(answer, second, peer))


def no_cr(target: Target, writer: Writer) -> Got:
    """Frames that end in FS alone."""
    first, second = writer.person("4"), writer.person("5")
    with Peer(target) as peer:
        peer.write(encode(first)[:-1])
        one = peer.answer()
        peer.write(encode(second)[:-1])
        two = peer.answer()
        got = f"{tell(one, first, peer)}, then {tell(two, second, peer)}"
        return Got(answers(first, one) and answers(second, two), got)


def late_cr(target: Target, writer: Writer) -> Got:
    """FS in one packet, its CR in the next, and a message behind it."""
    first, second = writer.person("4"), writer.person("5")
    frame = encode(first)
    with Peer(target) as peer:
        peer.write(frame[:-1], frame[-1:], pause=0.1)
        one = peer.answer()
        got = tell(one, first, peer)
        if not answers(first, one) or peer.closed or peer.is_closed():
            return Got(answers(first, one), got)
        peer.send(second)
        two = peer.answer()
        return Got(answers(second, two), f"{got}, then {tell(two, second, peer)}")


def pipelined(target: Target, writer: Writer) -> Got:
    """Many frames in one write."""
    messages = [writer.person(str(n)) for n in range(_PIPELINED)]
    with Peer(target) as peer:
        peer.send(*messages)
        came = [msa_of(answer)[1] for answer in peer.answers(_PIPELINED)]
    in_order = came == [control_id_of(message) for message in messages]
    return Got(in_order, f"{len(came)} answers" + (" in order" if in_order else ""))


def kept_open(target: Target, writer: Writer) -> Got:
    """Three messages, one after the other, over one connection."""
    with Peer(target) as peer:
        for number in range(1, 4):
            message = writer.person("6")
            peer.send(message)
            answer = peer.answer()
            if not answers(message, answer):
                return Got(passed=False, got=f"message {number}: {tell(answer, message, peer)}")
    return Got(passed=True, got="all three")


def fillers(target: Target, writer: Writer) -> Got:
    """CR, LF, NUL and blanks in front of a frame."""
    message = writer.person()
    with Peer(target) as peer:
        peer.write(b"\r\n\r\n \0\t" + encode(message))
        answer = peer.answer()
        return Got(answers(message, answer), tell(answer, message, peer))


def junk(target: Target, writer: Writer) -> Got:
    """Bytes that belong to no frame, between two that do."""
    first, second = writer.person("7"), writer.person("8")
    with Peer(target) as peer:
        peer.write(encode(first) + b"GET / HTTP/1.0\r\n\r\n" + encode(second))
        came = peer.answers(2)
    good = len(came) == 2 and answers(first, came[0]) and answers(second, came[1])  # noqa: PLR2004 (both)
    return Got(good, f"{len(came)} answers")


def survives_junk(target: Target, writer: Writer) -> Got:
    """Junk alone, and a frame with nothing in it; then everybody else's messages."""
    for octets in (b"GET / HTTP/1.0\r\n\r\n", b"\x0b\x1c\r", b"\x1c\r\x1c\r", bytes(range(256))):
        with Peer(target) as peer:
            peer.write(octets)
            peer.half_close()
            peer.silence()
    return goes_on(target, writer)


def survives_huge(target: Target, writer: Writer) -> Got:
    """A frame that does not end; then everybody else's messages."""
    with Peer(target) as peer:
        peer.write(b"\x0b" + writer.person("9"), *([b"A" * (1 << 16)] * (HUGE >> 16)))
    return goes_on(target, writer)


def huge(target: Target, writer: Writer) -> Got:
    """The same, and what its sender is told."""
    message = writer.person("9")
    with Peer(target) as peer:
        peer.write(b"\x0b" + message, *([b"A" * (1 << 16)] * (HUGE >> 16)))
        answer = peer.answer()
        refused = msa_of(answer)[0] in {"AR", "CR"} and answers(message, answer)
        return Got(refused, tell(answer, message, peer))


def many_at_once(target: Target, writer: Writer) -> Got:
    """Many connections, all of them with a message on its way."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(target)) for _ in range(_AT_ONCE)]
        messages = [writer.person(f"1{number}") for number in range(_AT_ONCE)]
        for peer, message in zip(peers, messages, strict=True):
            peer.send(message)
        count = sum(answers(message, peer.answer()) for peer, message in zip(peers, messages, strict=True))
    return Got(count == _AT_ONCE, f"{count} of {_AT_ONCE} answered")


MUST, PROMISE = Level.MUST, Level.PROMISE
CASES: Final = (
    Case("ordinary", MUST, "AA or CA, MSA-2 = MSH-10", "HL7 2.5.1, 2.9.2: every message is answered", ordinary),
    Case("byte-by-byte", MUST, "an answer", "TCP is a stream: pieces mean nothing", byte_by_byte),
    Case("slow-bytes", MUST, "an answer", "TCP is a stream: pieces mean nothing", slow_bytes),
    Case("late-cr", MUST, "an answer to each", "TCP is a stream: FS and CR may come apart", late_cr),
    Case("probe", MUST, "goes on", "a connection that says nothing is no fault", probe),
    Case("half-frame", MUST, "no positive answer, goes on", "what did not arrive is not acknowledged", half_frame),
    Case("vt-inside", MUST, "no positive answer", "what did not arrive is not acknowledged", interrupted),
    Case("junk-alone", MUST, "goes on", "one broken sender must not stop the others", survives_junk),
    Case("many-at-once", MUST, "an answer to each", "senders do not wait for each other", many_at_once),
    Case("kept-open", PROMISE, "an answer to each", "SPEC 3.1: a connection may be kept for days", kept_open),
    Case("pipelining", PROMISE, "all answers, in order", "SPEC 3.1: frames in one read, in order", pipelined),
    Case("fs-without-cr", PROMISE, "an answer to each", "SPEC 3.1: CR behind FS is optional", no_cr),
    Case("fillers", PROMISE, "an answer", "SPEC 3.1: blanks between frames are skipped", fillers),
    Case("junk-between", PROMISE, "an answer to each", "SPEC 3.1: junk is kept, frames are answered", junk),
    Case("vt-begins-anew", PROMISE, "AA to the second", "SPEC 3.1: the part before VT is set aside", begun_anew),
)
LAST: Final = (
    Case("huge-frame", MUST, "goes on", "one broken sender must not stop the others", survives_huge),
    Case("huge-refused", PROMISE, "AR", "SPEC 3.1: too large gets AR and a closed connection", huge),
)
"""Cases that a listener may be busy with for a while: nobody else's answer is to be late because of them."""
