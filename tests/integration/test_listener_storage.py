"""Storage that fails: no positive acknowledgment, the answer that the listener is configured for, and a way back."""

from __future__ import annotations

import pytest

from hl7_listener.framing import encode
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import msa
from tests.support.patience import eventually

SILENT = "|||NE|NE"


def test_by_default_the_connection_is_closed_without_a_word(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening:
        listening.broken.set()
        with listening.wire() as wire:
            wire.send(a28(1), a28(2))
            assert wire.remaining() == []
        assert not listening.healthy()
        listening.broken.clear()
        with listening.wire() as again:
            assert [msa(again.exchange(message))[0] for message in (a28(1), a28(2))] == ["AA", "AA"]
        assert listening.healthy()
        assert listening.outcomes == ["applied", "applied"]


@pytest.mark.parametrize("policy", ["AE", "AR"])
def test_a_listener_may_say_nak_and_keep_the_connection(sqlite_url: str, policy: str) -> None:
    with Listening(sqlite_url, on_storage_failure=policy) as listening, listening.wire() as wire:
        listening.broken.set()
        wire.send(a28(1), a28(2))
        assert [msa(wire.receive()) for _ in range(2)] == [
            (policy, f"{number}-A28", "outcome not known, send it again") for number in (1, 2)
        ]
        listening.broken.clear()
        assert msa(wire.exchange(a28(1)))[0] == "AA"
        assert listening.outcomes == ["applied"]


@pytest.mark.parametrize("policy", ["close", "AE", "AR"])
def test_a_sender_that_asked_for_silence_hears_of_it_by_a_closed_connection(sqlite_url: str, policy: str) -> None:
    """Silence means "stored" to it; a NAK that it did not ask for, it would not read."""
    with Listening(sqlite_url, on_storage_failure=policy) as listening, listening.wire() as wire:
        listening.broken.set()
        wire.send(a28(1, header=SILENT))
        assert wire.remaining() == []


@pytest.mark.parametrize("policy", ["AE", "AR"])
def test_junk_that_could_not_be_kept_is_not_answered_as_if_it_were_a_message(sqlite_url: str, policy: str) -> None:
    with Listening(sqlite_url, on_storage_failure=policy) as listening, listening.wire() as wire:
        listening.broken.set()
        wire.write(b"junk" + encode(b"")[:1])
        assert wire.remaining() == []


def test_nothing_behind_a_message_that_failed_is_applied_before_it_comes_again(sqlite_url: str) -> None:
    """The sender sends all of it again, in order; what was already in the queue must not overtake."""
    first, second = a28(1, "FIRST"), a28(1, "SECOND", event="A31", family="Second")
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        with listening.held():
            wire.send(first)
            eventually(lambda: listening.told.counts["received"] == len(encode(first)), "the first")
            eventually(lambda: listening.ingest.backlog == 0, "the writer to have it")
            wire.send(second)
            eventually(lambda: listening.ingest.backlog == 1, "the second")
            listening.once = True
            listening.broken.set()
        assert wire.remaining() == []
        with listening.wire() as again:
            assert msa(again.exchange(a28(9)))[0] == "AA"
            assert listening.outcomes == ["applied"]
            again.send(first, second)
            assert [msa(again.receive())[0] for _ in range(2)] == ["AA", "AA"]
        record = listening.hospital.find("1")
        assert record is not None
        assert record.demographics.names[0].family == "Second"


def test_the_budget_forgets_what_a_failed_connection_had_handed_in(sqlite_url: str) -> None:
    """Else each failure would leave less room for large messages, until there is none."""
    with Listening(sqlite_url) as listening:
        listening.broken.set()
        with listening.wire() as wire:
            with listening.held():
                wire.send(a28("first"))
                eventually(lambda: listening.told.counts["received"] > 0, "the first")
                eventually(lambda: listening.ingest.backlog == 0, "the writer to have it")
                wire.send(*(a28(number) for number in range(100)))
                eventually(lambda: listening.ingest.backlog == 100, "the others")
            assert wire.remaining() == []
        eventually(lambda: listening.ingest.backlog == 0, "the queue")

        def counted() -> tuple[int, int]:
            budget = listening.listener._budget
            return budget.held, budget.queued

        eventually(lambda: listening.in_loop(counted) == (0, 0), "the budget to be free")


def test_a_failure_in_the_middle_of_a_transaction_leaves_nothing_of_its_batch(database_url: str) -> None:
    with Listening(database_url) as listening:
        journal = listening.hospital._stores.journal
        with pytest.MonkeyPatch.context() as patch, listening.wire() as wire:
            patch.setattr(journal, "write", _fail)  # by then the records are written, their journal is not
            wire.send(a28(1))
            assert wire.remaining() == []
        assert listening.rows("patient_records") == listening.rows("identifiers") == listening.rows("journal") == []
        with listening.wire() as again:
            assert msa(again.exchange(a28(1)))[0] == "AA"
        assert len(listening.rows("patient_records")) == 1


def _fail(*_: object) -> None:
    raise OSError
