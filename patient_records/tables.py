"""The tables of this room. What is sealed, what is in clear, and why (SPEC 4).

In clear stands only what queries need: ids, states, times of events, counts. Everything that says who somebody is lies
in a ``sealed`` column (AES-256-GCM, bound to table, row and version) or is a blind index (HMAC-SHA256, cut to 128
bits). All times are microseconds since 1970, UTC. There are no foreign keys: every writer goes through one repository,
and on the way to an acknowledgment each would cost an index look-up that can only ever succeed.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, column

metadata: Final = MetaData()

patient_records: Final = Table(
    "patient_records",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("public_id", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("registered_at", BigInteger),
    Column("deleted_at", BigInteger),
    Column("merged_into", BigInteger),
    Column("hold", Text),
    Column("exclusion", Text),
    Column("opted_out_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    # Who was merged into somebody: few, and asked for by whom they were merged into.
    Index(
        "patient_records_merged",
        "merged_into",
        sqlite_where=column("merged_into").is_not(None),
        postgresql_where=column("merged_into").is_not(None),
    ),
)

identifiers: Final = Table(
    "identifiers",
    metadata,
    Column("blind", LargeBinary, primary_key=True),
    Column("record_id", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Which record an identifier finds, current or alias. One identifier never finds two people: it is the key."""

identifier_kinds: Final = Table(
    "identifier_kinds",
    metadata,
    Column("blind", LargeBinary, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Kinds of identifier that were seen, so that a bare number can be looked for with each of them; sealed under an
organisation key, because a sloppy sender may put anything where authority and type belong."""

contact_points: Final = Table(
    "contact_points",
    metadata,
    Column("blind", LargeBinary, primary_key=True),
    Column("record_id", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
"""Whom a phone number or email address belongs to. Families share them, so one may find several people."""

journal: Final = Table(
    "journal",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("received_at", BigInteger, nullable=False),
    Column("listener", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("message_key", BigInteger, nullable=False),
    Column("body_digest", LargeBinary, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("record_id", BigInteger),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),
    Column("sealed_acknowledgment", LargeBinary, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("last_repeat_at", BigInteger),
    Column("replay_of", BigInteger),
    Index("journal_record", "record_id", "id"),
    # Unique, so that two daemons that are sent the same message at once cannot both apply it.
    Index(
        "journal_answered",
        "message_key",
        "body_digest",
        unique=True,
        sqlite_where=column("answer") == "AA",
        postgresql_where=column("answer") == "AA",
    ),
    Index(
        "journal_replays",
        "replay_of",
        sqlite_where=column("replay_of").is_not(None),
        postgresql_where=column("replay_of").is_not(None),
    ),
)
"""Every message received, with its outcome. ``message_key`` and ``body_digest`` are keyed hashes that find a repeat;
``sealed`` is the raw message, under the record key (``record_id`` set) or one derived from the organisation key named
by ``key_id``; ``answer`` is the code decided on (AA, AE, AR); ``sealed_acknowledgment`` the bytes that were sent (none
where silence was asked for), sealed under a key derived from the organisation's, sent again for a repeat; ``repeats``
counts those. An entry with ``replay_of`` is a stored message that staff had applied again, as it was or mended: nobody
was answered."""

quarantine: Final = Table(
    "quarantine",
    metadata,
    Column("journal_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("stream_offset", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_at", BigInteger),
    Column("sealed_note", LargeBinary),
    Index("quarantine_state", "state", "journal_id"),
)
"""What waits for a person. The bytes are the journal's; this row is the waiting, and how it ended: ``state`` is
waiting, resubmitted or discarded, ``sealed_note`` what the person who decided wrote about it."""

effects: Final = Table(
    "effects",
    metadata,
    Column("journal_id", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("record_id", BigInteger, nullable=False),
    Column("act", Text, nullable=False),
    Column("other_id", BigInteger),
    Index("effects_record", "record_id", "journal_id"),
    sqlite_with_rowid=False,
)
"""What a message did to people beyond setting fields: merges, deletions, links, each as seen by one person;
``other_id`` is the record of who else had a part in it. Plain messages write nothing here."""

keys: Final = Table(
    "keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("organisation", Text),
    Column("check_value", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Which keys this database was written with, so that a start with another key file is refused, not discovered later."""

daemons: Final = Table(
    "daemons",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),
    Column("version", Text, nullable=False),
    Column("report", Text, nullable=False),
)
"""A row for each run of the daemon: when it was last seen, and its own counts as JSON, for ``doorstep status``."""

senders: Final = Table(
    "senders",
    metadata,
    Column("daemon_id", BigInteger, primary_key=True),
    Column("listener", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False, server_default="0"),
    Column("sequence_gaps", BigInteger, nullable=False, server_default="0"),
    Column("sequence_missing", BigInteger, nullable=False, server_default="0"),
    Column("last_gap_at", BigInteger, nullable=False, server_default="0"),
)
"""When each sender was last heard, by each run of the daemon (its own rows, so that two daemons never wait); its last
sequence number (MSH-13), how often it jumped, and how many numbers are missing (0: none, or it sends none)."""

sender_slots: Final = Table(
    "sender_slots",
    metadata,
    Column("listener", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("daemon_id", BigInteger, primary_key=True, autoincrement=False),
    Column("messages", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How many messages of a sender each quarter of an hour brought (``slot``, counted since 1970), by each run of the
daemon: the habits that a silence is held against."""

sender_silences: Final = Table(
    "sender_silences",
    metadata,
    Column("listener", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("expected", BigInteger, nullable=False),
    Column("noticed_at", BigInteger, nullable=False),
)
"""Senders that are silent against their habit now: since when, and how many messages are usual in that time."""

findings: Final = Table(
    "findings",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("last_journal_id", BigInteger, nullable=False),
)
"""What conformance checks say of each sender: rule and place (segment, field), never content, counted."""

rate_windows: Final = Table(
    "rate_windows",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("blind", LargeBinary, primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
    Column("taken", BigInteger, nullable=False),
    Index("rate_windows_end", "ends_at"),
    sqlite_with_rowid=False,
)
"""How often a subject (an address, a client, a record: as a keyed hash) did what a limit counts, until ``ends_at``."""

audit_entries: Final = Table(
    "audit_entries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("record_id", BigInteger),
    Column("detail", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("authentication", LargeBinary, nullable=False),
    Column("seal", BigInteger),
    Index("audit_entries_seal", "seal", "id"),
    Index(
        "audit_entries_record",
        "record_id",
        "id",
        sqlite_where=column("record_id").is_not(None),
        postgresql_where=column("record_id").is_not(None),
    ),
)
"""Who did what, when, on whose behalf, to which record: written once, in the transaction of what was done.
``authentication`` is a keyed hash of all before it; ``seal`` the seal that an entry went under, empty until then."""

audit_seals: Final = Table(
    "audit_seals",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("authentication", LargeBinary, nullable=False),
)
"""The chain: each seal's ``authentication`` is a keyed hash of its entries' and of the seal before it."""

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("lookup", LargeBinary, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", BigInteger),
    Column("sealed", LargeBinary, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("idle_ends_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("sessions_subject", "kind", "subject"),
    Index("sessions_over", "idle_ends_at"),
)
"""Who is logged in (:mod:`patient_records.sessions`). ``lookup`` is a hash of the cookie's secret and ``sealed`` lies
under a key made from it; the secret itself only the browser has. ``subject`` is the row of whose it is."""
