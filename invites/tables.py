"""The tables of this room, on the same metadata as those of the records, so that one transaction spans both.

In clear stands only what queries need: ids, states, times of events, counts (SPEC 4). The pair lies sealed in its
outbox entry until that is final, and the record key in an access token is wrapped under the pair. All times are
microseconds since 1970, UTC; days are ISO 8601 text. Rows are locked in one order everywhere: records, then these.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, text

from patient_records.tables import metadata

_ID: Final = BigInteger().with_variant(Integer, "sqlite")


UNDER_AGE: Final = "state = 'under_age'"
QUEUED: Final = "state = 'queued'"
UNKNOWN: Final = "state = 'unknown'"
LEASED: Final = "state IN ('claimed', 'sending')"
WAITING: Final = "state IN ('queued', 'unknown')"
LOCKED: Final = "end_reason IN ('wrong_dates', 'disowned')"
"""Conditions of partial indexes, in the very words in which queries must put them. A state that is bound as a value
names no index: SQLite compares ``IN (?, ?)`` with no condition, and PostgreSQL's generic plans know no value at all."""


def _only_where(condition: str) -> dict[str, Any]:
    """Index only the rows of that condition: those that are still waiting for something."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


eligibility: Final = Table(
    "eligibility",
    metadata,
    Column("record_id", _ID, primary_key=True, autoincrement=False),
    Column("organisation", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("assessed_on", Text, nullable=False),
    Index("eligibility_state", "state", "organisation", "record_id"),
    Index("eligibility_under_age", "organisation", "assessed_on", "record_id", **_only_where(UNDER_AGE)),
)
"""For every person, whether they may be invited: ``state`` is "eligible" or the weightiest reason, ``reasons`` all of
them, weightiest first, separated by commas."""

access_tokens: Final = Table(
    "access_tokens",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("record_id", BigInteger, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("lookup", LargeBinary, nullable=False, unique=True),
    Column("pepper_id", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("wrapped_key", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    Column("wrong_answers", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Index("access_tokens_record", "record_id"),
    Index("access_tokens_expiry", "expires_at", "organisation", "ended_at", **_only_where("ended_at IS NULL")),
    Index("access_tokens_locked", "organisation", "ended_at", **_only_where(LOCKED)),
)
"""Every pair ever made. ``lookup`` finds it by its code; ``wrapped_key`` is deleted when it ends; ``wrong_answers``
counts wrong dates of birth; ``origin`` says whether an invitation or an API call asked for it. Those that somebody at
the join site ended have an index of their own. Live ones are counted by organisation from an index alone: it names
``ended_at``, or SQLite would look at each row for it."""

invitations: Final = Table(
    "invitations",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("record_id", BigInteger, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("access_token_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    Index("invitations_business_key", "record_id", "purpose", "number", unique=True),
)
"""One pair issued to one person for one purpose; ``number`` counts within the purpose, from 1, for ever."""

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("invitation_id", BigInteger),
    Column("access_token_id", BigInteger),
    Column("record_id", BigInteger, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("business_key", Text, nullable=False, unique=True),
    Column("reference", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("provider", Text),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("due_at", BigInteger),
    Column("lease_owner", Text),
    Column("lease_until", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("sealed_payload", LargeBinary),
    Column("sealed_request", LargeBinary),
    Column("provider_reference", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("final_at", BigInteger),
    Column("purpose", Text, nullable=False),
    Index("outbox_record", "record_id"),
    Index("outbox_state", "channel", "state", "organisation"),
    Index("outbox_due", "channel", "due_at", **_only_where(QUEUED)),
    Index("outbox_unknown", "channel", "due_at", **_only_where(UNKNOWN)),
    Index("outbox_leases", "lease_until", **_only_where(LEASED)),
    Index("outbox_expiry", "expires_at", **_only_where(WAITING)),
    Index("outbox_final", "final_at", **_only_where("final_at IS NOT NULL")),
    Index("outbox_provider_reference", "provider_reference", **_only_where("provider_reference IS NOT NULL")),
)
"""What is to be sent. ``code`` says why the entry is where it is; ``attempt`` counts attempts and is the fence: whoever
finishes an attempt must name its number. ``sealed_payload`` is what it has to say (:mod:`invites.content`),
``sealed_request`` the rendered message of the current attempt; both are gone when the entry is final. An ``unknown``
entry without ``due_at`` waits for a person. ``purpose`` is what it is for (:mod:`invites.purpose`)."""

attempts: Final = Table(
    "attempts",
    metadata,
    Column("entry_id", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("outcome", Text),
    Column("code", Text),
    sqlite_with_rowid=False,
)
"""Every call of a provider; one without an outcome is under way, or its process died."""

provider_buckets: Final = Table(
    "provider_buckets",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("full_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Token buckets that all daemons share, one for each limit of a lane's provider: ``period`` is the limit's, in
microseconds, ``full_at`` when the bucket will be full again."""

policy_walks: Final = Table(
    "policy_walks",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("policy", Text, primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("through", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
)
"""How far everybody was assessed anew under a policy, so that a changed configuration reaches those whom no message
touches: ``policy`` is its fingerprint, ``through`` the last record looked at. What was begun last is what the table
``eligibility`` says."""

destinations: Final = Table(
    "destinations",
    metadata,
    Column("entry_id", _ID, primary_key=True, autoincrement=False),
    Column("blind", LargeBinary, nullable=False),
)
"""Where the latest attempt of an entry went, as a keyed hash: the request is shredded by the time that it bounces."""

receipts: Final = Table(
    "receipts",
    metadata,
    Column("entry_id", BigInteger, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("permanent", Integer, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("counts", Integer, nullable=False),
    Index("receipts_counting", "channel", "state", **_only_where("counts = 1")),
    Index("receipts_failed", "channel", "received_at", **_only_where("state = 'failed'")),
    sqlite_with_rowid=False,
)
"""What providers said of entries after they took them: of each kind the earliest, ``repeats`` counts the others.
``counts`` is 1 for what prevails (:mod:`invites.receipt`)."""

receipts_waiting: Final = Table(
    "receipts_waiting",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("ours", Integer, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("permanent", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("receipts_waiting_received", "received_at"),
    sqlite_with_rowid=False,
)
"""Receipts whose entry was not found: one may overtake the answer of the very call that it is about. ``reference`` is
our own (``ours`` 1) or the provider's."""

bad_contacts: Final = Table(
    "bad_contacts",
    metadata,
    Column("record_id", BigInteger, primary_key=True),
    Column("blind", LargeBinary, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("bad_since", BigInteger),
    Index("bad_contacts_channel", "channel", "organisation", **_only_where("bad_since IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""Numbers and addresses that failed, by keyed hash: ``failures`` counts those that the provider called temporary,
``bad_since`` says from when nothing is sent there any more."""

pauses: Final = Table(
    "pauses",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("everything", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What stands still: an organisation's invitations by a channel ("" for all of either), or with ``everything`` all
messages. ``origin`` says whether an operator or a threshold paused it, ``reason`` why, in the operator's words."""

tallies: Final = Table(
    "tallies",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("started", Integer, nullable=False),
    Column("good", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""What an organisation sent by a channel on a local day: ``started`` is what caps are counted in (channel "" is all
together); ``good`` and ``bad`` are results since the last resume, by which an automatic pause judges."""

canaries: Final = Table(
    "canaries",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("issued", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("passed_at", BigInteger),
    Column("passed_by", Text),
    sqlite_with_rowid=False,
)
"""An organisation's first run: how many it invited, and when and by what the others were let go."""

reminders: Final = Table(
    "reminders",
    metadata,
    Column("record_id", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("decided_at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What became of each reminder of each person when its time came: the channel that it went by, or why none did."""

reminder_walks: Final = Table(
    "reminder_walks",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("through_at", BigInteger, nullable=False),
    Column("through_entry", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How far the accepted invitations of an organisation were looked at for each reminder, in the order of acceptance."""
