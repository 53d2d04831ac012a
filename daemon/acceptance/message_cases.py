"""Cases of meaning: repeats, merges, versions, charsets, delimiters, silence (SPEC 3.3 to 3.5; HL7 2.5.1 chapter 2)."""

from __future__ import annotations

from typing import Final

from daemon.acceptance.case import NEGATIVE, Case, Got, Level, accepts, answers, exchanged, tell
from daemon.acceptance.messages import FAMILY, Writer, msa_of
from daemon.acceptance.peer import Peer, Target
from hl7_listener.lane import segment


def _twice(target: Target, first: bytes, second: bytes) -> tuple[bytes, bytes, str]:
    """Send two messages, over one connection where it is kept; give both answers and what they say."""
    with Peer(target) as peer:
        peer.send(first)
        one = peer.answer()
        told = tell(one, first, peer)
        if not peer.is_closed():
            peer.send(second)
            two = peer.answer()
            return one, two, f"{told}, then {tell(two, second, peer)}"
    with Peer(target) as peer:
        peer.send(second)
        two = peer.answer()
        return one, two, f"{told}, then {tell(two, second, peer)}"


def resent(target: Target, writer: Writer) -> Got:
    """The same bytes again over another connection, as a sender does whose answer got lost."""
    message = writer.person("20")
    first = exchanged(target, message, accepts)
    second = exchanged(target, message, accepts)
    return Got(first.passed and second.passed, f"{first.got}, then {second.got}")


def same_answer(target: Target, writer: Writer) -> Got:
    """The same, and whether it is the first answer that comes again."""
    message = writer.person("20")
    one, two, told = _twice(target, message, message)
    same = bool(one) and one == two
    return Got(same, "the same answer" if same else f"{told}, of other bytes")


def id_reused(target: Target, writer: Writer) -> Got:
    """Another message under the same control id."""
    control_id = writer.control_id()
    first = writer.person("21", control_id=control_id)
    second = writer.person("21", control_id=control_id, given="Jo")
    one, two, told = _twice(target, first, second)
    return Got(accepts(first, one) and accepts(second, two), told)


def _merges(target: Target, writer: Writer) -> list[tuple[bytes, bytes]]:
    """Two people; one is merged into the other, again, and then the other way round."""
    messages = [
        writer.person("30"),
        writer.person("31"),
        writer.merge("31", "30"),
        writer.merge("31", "30"),
        writer.merge("30", "31"),
    ]
    found = []
    for message in messages:
        with Peer(target) as peer:
            peer.send(message)
            found.append((message, peer.answer()))
    return found


def merges_answered(target: Target, writer: Writer) -> Got:
    """Whether each is answered, in whatever way."""
    found = _merges(target, writer)
    codes = " ".join(msa_of(answer)[0] or "-" for _, answer in found)
    return Got(all(answers(message, answer) for message, answer in found), codes)


def merges_accepted(target: Target, writer: Writer) -> Got:
    """Whether a repeated merge is nothing new and a reversed one a correction."""
    found = _merges(target, writer)
    codes = " ".join(msa_of(answer)[0] or "-" for _, answer in found)
    return Got(all(accepts(message, answer) for message, answer in found), codes)


def _odd_charset(writer: Writer) -> bytes:
    """MSH-18 says UTF-8, the bytes are Latin-1."""
    return writer.person("40", tail="||||||UNICODE UTF-8", given="Zo\u00eb").decode().encode("latin-1")


def wrong_charset(target: Target, writer: Writer) -> Got:
    """Whether it is answered."""
    return exchanged(target, _odd_charset(writer), answers)


def wrong_charset_taken(target: Target, writer: Writer) -> Got:
    """Whether it is taken."""
    return exchanged(target, _odd_charset(writer), accepts)


def newest_version(target: Target, writer: Writer) -> Got:
    """Whether 2.9 is answered."""
    return exchanged(target, writer.person("41", version="2.9"), answers)


def newest_version_taken(target: Target, writer: Writer) -> Got:
    """Whether 2.9 is taken."""
    return exchanged(target, writer.person("41", version="2.9"), accepts)


def no_version(target: Target, writer: Writer) -> Got:
    """MSH-12 is empty."""
    return exchanged(target, writer.person("42", version=""), answers)


def alien_version(target: Target, writer: Writer) -> Got:
    """A version that is none of HL7 v2."""
    message = writer.person("43", version="9.9")
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.answer()
        refused = answers(message, answer) and msa_of(answer)[0] in NEGATIVE
        return Got(refused, tell(answer, message, peer))


def silent(target: Target, writer: Writer) -> Got:
    """MSH-15 and MSH-16 both say never; what follows is answered as itself."""
    with Peer(target) as peer:
        quiet = writer.person("44", tail="|||NE|NE")
        peer.send(quiet)
        answer = peer.silence()
        if answer:
            return Got(passed=False, got=tell(answer, quiet, peer))
        if peer.closed:
            return Got(passed=True, got="silence, and a closed connection")
        loud = writer.person("45")
        peer.send(loud)
        answer = peer.answer()
        return Got(answers(loud, answer), f"silence, then {tell(answer, loud, peer)}")


def accept_level(target: Target, writer: Writer) -> Got:
    """MSH-15 asks for an accept acknowledgment, MSH-16 for none."""
    message = writer.person("46", tail="|||AL|NE")
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.answer()
        return Got(answers(message, answer) and msa_of(answer)[0] == "CA", tell(answer, message, peer))


def no_ack_to_an_ack(target: Target, writer: Writer) -> Got:
    """An acknowledgment that nobody waits for."""
    message = writer.bare("ACK", "MSA|AA|NOBODY-S")
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.silence()
        return Got(not answer, tell(answer, message, peer) if answer else "silence")


def no_header(target: Target, writer: Writer) -> Got:
    """A frame that holds no message."""
    del writer
    with Peer(target) as peer:
        peer.send(b"PID|1||4711\r")
        answer = peer.answer()
        code = msa_of(answer)[0]
        return Got(code in {"AR", "CR", "AE"}, code or tell(answer, b"", peer))


def line_feeds(target: Target, writer: Writer) -> Got:
    """Segments that end in LF."""
    return exchanged(target, writer.person("47").replace(b"\r", b"\n"), accepts)


def _odd_marks(writer: Writer) -> bytes:
    """Every delimiter is another one, as MSH-1 and MSH-2 allow."""
    return writer.person("48").translate(bytes.maketrans(b"|^~\\&", b"#*!%+"))


def other_delimiters(target: Target, writer: Writer) -> Got:
    """Whether MSH-10 is found, and comes back."""
    message = _odd_marks(writer)
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.answer()
        return Got(_acknowledged(message, answer), _told(message, answer, peer))


def in_its_delimiters(target: Target, writer: Writer) -> Got:
    """Whether it is answered in the sender's own delimiters."""
    message = _odd_marks(writer)
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.answer()
        return Got(answer.startswith(b"MSH#*!%+#") and answers(message, answer), _told(message, answer, peer))


def _acknowledged(message: bytes, answer: bytes) -> bool:
    return answers(message, answer)


def _told(message: bytes, answer: bytes, peer: Peer) -> str:
    marks = answer[3:8].decode("latin-1")
    return tell(answer, message, peer) + (f", in {marks}" if answer else "")


def echoed(target: Target, writer: Writer) -> Got:
    """The acknowledgment's header."""
    message = writer.person("49")
    with Peer(target) as peer:
        peer.send(message)
        answer = peer.answer()
    theirs, ours = segment(message, b"MSH") + [b""] * 12, segment(answer, b"MSH") + [b""] * 12
    swapped = ours[2:4] == theirs[4:6] and ours[4:6] == theirs[2:4]
    kept = ours[10:12] == theirs[10:12]
    told = [
        "MSH-3 to 6 swapped" if swapped else "MSH-3 to 6 not swapped",
        "MSH-11 and 12 repeated" if kept else "MSH-11 or 12 not repeated",
        "MSH-10 of its own" if ours[9] not in (b"", theirs[9]) else "no MSH-10 of its own",
    ]
    return Got(swapped and kept and ours[9] not in (b"", theirs[9]), ", ".join(told))


def alien_type(target: Target, writer: Writer) -> Got:
    """A message type that no person feed has."""
    message = writer.bare("ZZZ^Z99", "ZZZ|1")
    return exchanged(target, message, lambda sent, answer: answers(sent, answer) and msa_of(answer)[0] in NEGATIVE)


def any_type(target: Target, writer: Writer) -> Got:
    """The same, answered in whatever way."""
    return exchanged(target, writer.bare("ZZZ^Z99", "ZZZ|1"), answers)


def batch(target: Target, writer: Writer) -> Got:
    """Two messages in the envelope of a batch, in one frame."""
    first, second = writer.person("50"), writer.person("51")
    with Peer(target) as peer:
        peer.send(b"BHS|^~\\&|ACCEPTANCE\r" + first + second + b"BTS|2\r")
        came = peer.answers(2)
    text = b"".join(came)
    codes = [msa_of(b"MSH|\r" + b"MSA" + part)[0] for part in text.split(b"\rMSA")[1:]]
    return Got(codes in (["AA", "AA"], ["CA", "CA"]), " ".join(codes) or f"{len(came)} answers")


def much_text(target: Target, writer: Writer) -> Got:
    """A long message of a kind that real feeds have: a note of 200 kB behind PID."""
    note = "NTE|1||" + "a long note, " * 15_000 + "\r"
    return exchanged(target, writer.person("52", extra=note), answers)


def escapes(target: Target, writer: Writer) -> Got:
    """Escape sequences, whole and broken, and a name of the test's in them."""
    message = writer.person("53", given=r"T\T\ess \H\X\N\ \X4 \Zxx", extra=f"NTE|1||{FAMILY} \\.br\\ \\\r")
    return exchanged(target, message, answers)


MUST, PROMISE = Level.MUST, Level.PROMISE
CASES: Final = (
    Case("resend", MUST, "AA or CA, twice", "a sender that got no answer sends again; it must come to an end", resent),
    Case("reversed-merge", MUST, "an answer to each", "HL7 2.5.1, 2.9.2: every message is answered", merges_answered),
    Case("wrong-charset", MUST, "an answer", "HL7 2.5.1, 2.9.2: every message is answered", wrong_charset),
    Case("version-2.9", MUST, "an answer", "HL7 2.5.1, 2.9.2: a version that is not taken is refused", newest_version),
    Case("no-version", MUST, "an answer", "HL7 2.5.1, 2.9.2: every message is answered", no_version),
    Case("unknown-type", MUST, "an answer", "HL7 2.5.1, 2.9.2: a type that is not taken is refused", any_type),
    Case("ne-ne", MUST, "silence", "HL7 2.5.1, table 0155: NE asks for no acknowledgment", silent),
    Case("ack-to-ack", MUST, "silence", "HL7 2.5.1, 2.9: an acknowledgment is never acknowledged", no_ack_to_an_ack),
    Case("delimiters", MUST, "MSA-2 = MSH-10", "HL7 2.5.1, 2.5.4: MSH-1 and MSH-2 say what divides", other_delimiters),
    Case("escapes", MUST, "an answer", "HL7 2.5.1, 2.7: text may hold escape sequences", escapes),
    Case("large-message", MUST, "an answer", "HL7 2.5.1, 2.9.2: 200 kB is an ordinary attachment", much_text),
    Case("same-answer", PROMISE, "the first answer again", "SPEC 3.5: a repeat gets the stored ACK", same_answer),
    Case("id-reused", PROMISE, "AA, twice", "SPEC 3.5: same id and other body is applied", id_reused),
    Case(
        "merge-corrected", PROMISE, "AA to each", "SPEC 3.5: repeats change nothing, reversed corrects", merges_accepted
    ),
    Case("charset-mended", PROMISE, "AA", "SPEC 3.4: what is not UTF-8 is read all the same", wrong_charset_taken),
    Case("version-2.9-taken", PROMISE, "AA", "SPEC 3.3: every 2.x is taken", newest_version_taken),
    Case("version-9.9", PROMISE, "AR", "SPEC 3.3: a version that is not 2.x can never be", alien_version),
    Case("type-refused", PROMISE, "AR", "SPEC 3.3: ADT, ORU, SIU and MDM are taken", alien_type),
    Case("al-ne", PROMISE, "CA", "SPEC 3.3: MSH-15 asks for an accept acknowledgment", accept_level),
    Case("no-msh", PROMISE, "AR", "SPEC 3.3: never silence", no_header),
    Case("line-feeds", PROMISE, "AA", "SPEC 3.4: CR, LF or CRLF between segments", line_feeds),
    Case("own-delimiters", PROMISE, "in them", "SPEC 3.3: the sender's delimiters", in_its_delimiters),
    Case("echo", PROMISE, "swapped, repeated, own id", "SPEC 3.3: MSH-3 to 6, 10, 11, 12", echoed),
    Case("batch", PROMISE, "AA to each", "SPEC 3.1: a batch in one frame is taken apart", batch),
)
