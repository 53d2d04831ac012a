"""From the first release to here with entries in the outbox: all of them stay, and say what they are for."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from daemon import migrate
from patient_records.unit_of_work import Database

INVITATION = text(
    "INSERT INTO invitations (id, record_id, organisation, purpose, number, access_token_id, created_at)"
    " VALUES (7, 1, 'RX1', 'again', 1, 5, 0)"
)
ENTRY = text(
    "INSERT INTO outbox (id, invitation_id, access_token_id, record_id, organisation, business_key, reference, channel,"
    " state, due_at, attempt, expires_at, sealed_payload, created_at)"
    " VALUES (:id, :invitation, 5, 1, 'RX1', :key, :key, 'sms', 'queued', 0, 2, 9, :payload, 3)"
)


@pytest.fixture
def first_release(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database as 0.1.0 left it, with two entries."""
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "REVISIONS", ("0001",))
        patch.setattr(migrate, "HEAD", "0001")
        migrate.migrate(database)
    with database.begin() as connection:
        connection.execute(INVITATION)
        for id_, invitation in ((1, 7), (2, None)):
            connection.execute(ENTRY, {"id": id_, "invitation": invitation, "key": f"k{id_}", "payload": b"sealed"})
    return database


def test_entries_of_the_first_release_stay_and_say_what_they_are_for(first_release: Database) -> None:
    migrate.migrate(first_release)
    with first_release.read() as connection:
        rows = connection.execute(text("SELECT * FROM outbox ORDER BY id")).mappings().all()
    assert [(row["id"], row["purpose"], row["attempt"], bytes(row["sealed_payload"])) for row in rows] == [
        (1, "again", 2, b"sealed"),
        (2, "invitation", 2, b"sealed"),
    ]


def test_an_entry_may_be_without_a_pair_afterwards_and_keys_are_still_unique(first_release: Database) -> None:
    migrate.migrate(first_release)
    without = text(
        "INSERT INTO outbox (id, record_id, organisation, business_key, reference, channel, state, attempt, expires_at,"
        " created_at, purpose) VALUES (3, 1, 'RX1', 'k3', 'k3', 'email', 'queued', 0, 9, 3, 'confirm_account')"
    )
    with first_release.begin() as connection:
        connection.execute(without)
    with pytest.raises(Exception, match=r"23505|UNIQUE|CONSTRAINT"), first_release.begin() as connection:
        connection.execute(text("UPDATE outbox SET business_key = 'k1' WHERE id = 3"))
