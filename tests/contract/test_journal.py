"""The journal on both databases: repeats are found, bytes are sealed, what waits for a person waits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from patient_records import tables
from patient_records.errors import KeyFault, SealBroken, StorageConflict
from patient_records.instants import to_micros
from patient_records.journal import Entry, Known
from patient_records.keys import KeyRing
from patient_records.sealing import SealingKey
from tests.contract.conftest import NOW, RX1, Stores

RAW = b"MSH|^~\\&|PAS|RX1\rPID|||CANARYOLSEN\r"
EMPTY = Entry(
    id=0,
    received_at=NOW,
    listener="pas",
    sender="PAS|RX1",
    organisation=RX1,
    control_id="M1",
    event="A28",
    message_key=0,
    body_digest=b"",
    outcome="applied",
    reason="",
    changes=("names", "birth"),
    findings=("charset_guessed:MSH-18",),
    record_id=None,
    key=None,
    raw=RAW,
    answer="AA",
    acknowledgment=b"MSA|AA|M1",
)


def entry(stores: Stores, raw: bytes = RAW, **given: object) -> Entry:
    """An entry with an id, and the keyed hashes of its message."""
    control_id = str(given.get("control_id", "M1"))
    index = stores.records.blind_index
    key = index.message_key("PAS|RX1", control_id, raw)
    made = replace(EMPTY, id=stores.ids.row_id(), raw=raw, message_key=key, body_digest=index.body(raw))
    return replace(made, **given)


def write(stores: Stores, *entries: Entry) -> None:
    with stores.database.begin() as connection:
        stores.journal.write(connection, entries)


def known(stores: Stores, *keys: int) -> dict[int, list[Known]]:
    with stores.database.read() as connection:
        return stores.journal.known(connection, keys)


def raw(stores: Stores, journal_id: int, key: SealingKey | None = None) -> bytes:
    with stores.database.read() as connection:
        return stores.journal.raw(connection, journal_id, key)


def row(stores: Stores, journal_id: int) -> dict[str, object]:
    statement = select(tables.journal).where(tables.journal.c.id == journal_id)
    with stores.database.read() as connection:
        return dict(connection.execute(statement).mappings().one())


def test_an_entry_keeps_what_queries_need_and_seals_the_message(stores: Stores) -> None:
    made = entry(stores)
    write(stores, made)
    stored = row(stores, made.id)
    assert stored | {"sealed": b"", "sealed_acknowledgment": b""} == {
        "id": made.id,
        "received_at": to_micros(NOW),
        "listener": "pas",
        "sender": "PAS|RX1",
        "organisation": RX1,
        "control_id": "M1",
        "event": "A28",
        "message_key": made.message_key,
        "body_digest": made.body_digest,
        "outcome": "applied",
        "reason": "",
        "changes": "names birth",
        "findings": "charset_guessed:MSH-18",
        "record_id": None,
        "key_id": "RX1.1",
        "sealed": b"",
        "answer": "AA",
        "sealed_acknowledgment": b"",
        "repeats": 0,
        "last_repeat_at": None,
        "replay_of": None,
    }
    for column in ("sealed", "sealed_acknowledgment"):
        assert b"CANARYOLSEN" not in bytes(stored[column])  # type: ignore[call-overload]
        assert b"MSA" not in bytes(stored[column])  # type: ignore[call-overload]
    assert raw(stores, made.id) == RAW


def test_a_message_answered_positively_is_known_by_its_key(stores: Stores) -> None:
    made = entry(stores)
    write(stores, made)
    assert known(stores, made.message_key, 42) == {
        made.message_key: [Known(made.id, made.body_digest, made.acknowledgment)]
    }
    assert known(stores) == {}
    assert known(stores, 42) == {}


@pytest.mark.parametrize("answer", ["AE", "AR", ""])
def test_a_message_that_was_refused_or_not_answered_is_judged_anew(stores: Stores, answer: str) -> None:
    refused, again = entry(stores, answer=answer), entry(stores, answer=answer)
    write(stores, refused)
    write(stores, again)
    assert known(stores, refused.message_key) == {}
    write(stores, entry(stores))
    assert len(known(stores, refused.message_key)[refused.message_key]) == 1


def test_the_same_control_id_with_another_body_is_another_message(stores: Stores) -> None:
    one, two = entry(stores), entry(stores, b"another body")
    write(stores, one, two)
    assert one.message_key == two.message_key
    assert {k.body_digest for k in known(stores, one.message_key)[one.message_key]} == {
        one.body_digest,
        two.body_digest,
    }


def test_without_a_control_id_the_body_tells_messages_apart(stores: Stores) -> None:
    one, two = entry(stores, control_id=""), entry(stores, b"another body", control_id="")
    assert one.message_key != two.message_key


def test_two_daemons_cannot_both_apply_one_message(stores: Stores) -> None:
    other = stores.beside()
    mine, theirs = entry(stores), entry(stores)
    with ThreadPoolExecutor(1) as pool:
        with stores.database.begin() as connection:
            stores.journal.write(connection, [mine])
            second = pool.submit(write, other, theirs)
        with pytest.raises(StorageConflict):
            second.result()
    assert [k.journal_id for k in known(stores, mine.message_key)[mine.message_key]] == [mine.id]
    other.database.close()


def test_repeats_are_counted_on_the_entry_they_repeat(stores: Stores) -> None:
    one, two = entry(stores), entry(stores, b"two", control_id="M2")
    write(stores, one, two)
    with stores.database.begin() as connection:
        stores.journal.count_repeats(connection, [one.id, two.id, one.id], NOW)
    with stores.database.begin() as connection:
        stores.journal.count_repeats(connection, [one.id], NOW)
        stores.journal.count_repeats(connection, [], NOW)
    assert (row(stores, one.id)["repeats"], row(stores, two.id)["repeats"]) == (3, 1)
    assert row(stores, one.id)["last_repeat_at"] == to_micros(NOW)


def test_what_needs_a_person_waits_in_quarantine_and_nothing_else_does(stores: Stores) -> None:
    fine = entry(stores)
    held = entry(stores, b"held", control_id="M2", outcome="held", quarantine="ambiguous identifiers", offset=1 << 40)
    write(stores, fine, held)
    with stores.database.read() as connection:
        rows = connection.execute(select(tables.quarantine)).all()
    assert [tuple(one) for one in rows] == [
        (held.id, to_micros(NOW), "ambiguous identifiers", 1 << 40, "waiting", None, None)
    ]


def test_a_message_of_a_record_opens_with_its_record_key_alone(stores: Stores) -> None:
    key = SealingKey.generate()
    made = entry(stores, record_id=7, key=key)
    write(stores, made)
    assert raw(stores, made.id, SealingKey(key.raw)) == RAW
    with pytest.raises(SealBroken):
        raw(stores, made.id, SealingKey.generate())
    with pytest.raises(LookupError):
        raw(stores, made.id)


def test_a_message_of_nobody_opens_with_its_organisations_key_alone(stores: Stores) -> None:
    made = entry(stores, organisation="RX2", answer="AR")
    write(stores, made)
    assert row(stores, made.id)["key_id"] == "RX2.1"
    assert raw(stores, made.id) == raw(stores, made.id, SealingKey.generate()) == RAW
    without = Stores.on(stores.url, KeyRing([], {}).completed(["RX1"]))
    with pytest.raises(KeyFault, match=r"RX2\.1"):
        raw(without, made.id)
    without.database.close()
    another = Stores.on(stores.url, KeyRing([], {}).completed(["RX2"]))
    with pytest.raises(SealBroken):
        raw(another, made.id)
    another.database.close()


def test_bytes_cannot_be_moved_to_another_entry(stores: Stores) -> None:
    one, two = entry(stores), entry(stores, b"two", control_id="M2")
    write(stores, one, two)
    table = tables.journal
    with stores.database.begin() as connection:
        sealed = row(stores, two.id)["sealed"]
        connection.execute(update(table).where(table.c.id == one.id).values(sealed=sealed))
    with pytest.raises(SealBroken):
        raw(stores, one.id)


def test_an_unknown_entry_is_a_lookup_error(stores: Stores) -> None:
    with pytest.raises(LookupError):
        raw(stores, 42)


def test_an_organisation_without_a_key_cannot_have_messages(stores: Stores) -> None:
    with pytest.raises(KeyFault, match="RX9"):
        write(stores, entry(stores, organisation="RX9"))
    assert known(stores, entry(stores).message_key) == {}


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_any_bytes_come_back_as_received(stores: Stores, size: int) -> None:
    received = bytes(range(256)) * (size // 256 + 1)
    made = entry(stores, received[:size])
    write(stores, made)
    assert raw(stores, made.id) == received[:size]
