"""The first schema: every table and index of patient_records.tables and invites.tables, written out.

Written out, and not ``metadata.create_all``: a migration says what was, whatever the tables become later. Until the
first release this file follows the tables (``tests/migration`` says where it does not); from then on it is history, and
a change of the tables is a new revision.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # INTEGER: SQLite's own row id, no second index


def upgrade() -> None:
    _records()
    _journal()
    _keys_and_daemons()
    _tokens_and_invitations()
    _outbox()


def _only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _records() -> None:
    op.create_table(
        "patient_records",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("public_id", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("registered_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("merged_into", sa.BigInteger),
        sa.Column("hold", sa.Text),
        sa.Column("exclusion", sa.Text),
        sa.Column("opted_out_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "identifiers",
        sa.Column("blind", sa.LargeBinary, primary_key=True),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "identifier_kinds",
        sa.Column("blind", sa.LargeBinary, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contact_points",
        sa.Column("blind", sa.LargeBinary, primary_key=True),
        sa.Column("record_id", sa.BigInteger, primary_key=True),
        sqlite_with_rowid=False,
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("listener", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("control_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("message_key", sa.BigInteger, nullable=False),
        sa.Column("body_digest", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("record_id", sa.BigInteger),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("sealed_acknowledgment", sa.LargeBinary, nullable=False),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.Column("last_repeat_at", sa.BigInteger),
        sa.Column("replay_of", sa.BigInteger),
    )
    op.create_index("journal_record", "journal", ["record_id", "id"])
    op.create_index(
        "journal_answered", "journal", ["message_key", "body_digest"], unique=True, **_only_where("answer = 'AA'")
    )
    op.create_index("journal_replays", "journal", ["replay_of"], **_only_where("replay_of IS NOT NULL"))
    op.create_table(
        "quarantine",
        sa.Column("journal_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stream_offset", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("sealed_note", sa.LargeBinary),
    )
    op.create_index("quarantine_state", "quarantine", ["state", "journal_id"])


def _keys_and_daemons() -> None:
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text),
        sa.Column("check_value", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "daemons",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("stopped_at", sa.BigInteger),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    op.create_table(
        "senders",
        sa.Column("daemon_id", sa.BigInteger, primary_key=True),
        sa.Column("listener", sa.Text, primary_key=True),
        sa.Column("sender", sa.Text, primary_key=True),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "findings",
        sa.Column("sender", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("last_journal_id", sa.BigInteger, nullable=False),
    )


def _tokens_and_invitations() -> None:
    op.create_table(
        "eligibility",
        sa.Column("record_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("assessed_on", sa.Text, nullable=False),
    )
    op.create_index("eligibility_state", "eligibility", ["state", "organisation", "record_id"])
    op.create_index(
        "eligibility_under_age",
        "eligibility",
        ["organisation", "assessed_on", "record_id"],
        **_only_where("state = 'under_age'"),
    )
    op.create_table(
        "access_tokens",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("lookup", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("pepper_id", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
        sa.Column("wrong_answers", sa.Integer, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
    )
    op.create_index("access_tokens_live", "access_tokens", ["record_id"], **_only_where("ended_at IS NULL"))
    op.create_index("access_tokens_expiry", "access_tokens", ["expires_at"], **_only_where("ended_at IS NULL"))
    op.create_table(
        "invitations",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("access_token_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
    )
    op.create_index("invitations_business_key", "invitations", ["record_id", "purpose", "number"], unique=True)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("invitation_id", sa.BigInteger),
        sa.Column("access_token_id", sa.BigInteger, nullable=False),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("business_key", sa.Text, nullable=False, unique=True),
        sa.Column("reference", sa.Text, nullable=False, unique=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("sealed_payload", sa.LargeBinary),
        sa.Column("sealed_request", sa.LargeBinary),
        sa.Column("provider_reference", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("final_at", sa.BigInteger),
    )
    op.create_index("outbox_record", "outbox", ["record_id"])
    op.create_index("outbox_state", "outbox", ["channel", "state"])
    op.create_index("outbox_due", "outbox", ["channel", "due_at"], **_only_where("state = 'queued'"))
    op.create_index("outbox_unknown", "outbox", ["channel", "due_at"], **_only_where("state = 'unknown'"))
    op.create_index("outbox_leases", "outbox", ["lease_until"], **_only_where("state IN ('claimed', 'sending')"))
    op.create_index("outbox_expiry", "outbox", ["expires_at"], **_only_where("state IN ('queued', 'unknown')"))
    op.create_index("outbox_final", "outbox", ["final_at"], **_only_where("final_at IS NOT NULL"))
    op.create_table(
        "attempts",
        sa.Column("entry_id", sa.BigInteger, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("code", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "policy_walks",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("policy", sa.Text, primary_key=True),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
    )
