"""A stolen database has nobody in it: every column is sealed, a keyed hash, or clear for a reason written here.

A new column fails these tests until somebody has said which of the three it is. Say so here only after asking: could a
person be told from it, or a date of birth follow from it (SPEC 4)?
"""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import Column, LargeBinary

import invites.accounts.tables
import invites.tables  # noqa: F401 (puts its tables on the metadata)
import web.access.tables
import web.ops.tables  # noqa: F401 (likewise)
from patient_records.tables import metadata

SEALED: Final = "sealed, or a key wrapped under another: AES-256-GCM"
KEYED: Final = "a keyed hash: without the key no guess can be tested against it"
RANDOM: Final = "random, says nothing"
ID: Final = "our own id of a row; says when it was made"
CODE: Final = "a word from a list in the code"
CONFIGURED: Final = "a name from the configuration"
WHEN: Final = "when something happened to the row, never anything of the person's life"
COUNT: Final = "a count"
STANDING: Final = "a state of the record that queries need (SPEC 4)"
HEADER: Final = "who sent it and under which number: MSH, never PID"

COLUMNS: Final[dict[str, dict[str, str]]] = {
    "patient_records": {
        **dict.fromkeys(["id", "merged_into"], ID),
        "public_id": RANDOM,
        **dict.fromkeys(["organisation", "key_id"], CONFIGURED),
        "version": COUNT,
        **dict.fromkeys(["wrapped_key", "sealed"], SEALED),
        **dict.fromkeys(["registered_at", "deleted_at", "hold", "exclusion", "opted_out_at"], STANDING),
        **dict.fromkeys(["created_at", "changed_at"], WHEN),
    },
    "identifiers": {"blind": KEYED, "record_id": ID},
    "identifier_kinds": {"blind": KEYED, "key_id": CONFIGURED, "sealed": SEALED},
    "contact_points": {"blind": KEYED, "record_id": ID},
    "journal": {
        **dict.fromkeys(["id", "record_id", "replay_of"], ID),
        **dict.fromkeys(["received_at", "last_repeat_at"], WHEN),
        **dict.fromkeys(["listener", "organisation", "key_id"], CONFIGURED),
        **dict.fromkeys(["sender", "control_id", "event"], HEADER),
        **dict.fromkeys(["message_key", "body_digest"], KEYED),
        **dict.fromkeys(["outcome", "reason", "changes", "findings", "answer"], CODE),
        **dict.fromkeys(["sealed", "sealed_acknowledgment"], SEALED),
        "repeats": COUNT,
    },
    "quarantine": {
        "journal_id": ID,
        **dict.fromkeys(["received_at", "decided_at"], WHEN),
        **dict.fromkeys(["reason", "state"], CODE),
        "stream_offset": COUNT,
        "sealed_note": SEALED,
    },
    "effects": {
        **dict.fromkeys(["journal_id", "record_id", "other_id"], ID),
        "number": COUNT,
        "act": CODE,
    },
    "keys": {
        **dict.fromkeys(["key_id", "organisation"], CONFIGURED),
        "purpose": CODE,
        "check_value": KEYED,
        "created_at": WHEN,
    },
    "daemons": {
        "id": ID,
        **dict.fromkeys(["started_at", "seen_at", "stopped_at"], WHEN),
        "version": CODE,
        "report": COUNT,
    },
    "senders": {
        "daemon_id": ID,
        "listener": CONFIGURED,
        "sender": HEADER,
        **dict.fromkeys(["first_at", "last_at", "last_gap_at"], WHEN),
        **dict.fromkeys(["messages", "last_sequence", "sequence_gaps", "sequence_missing"], COUNT),
    },
    "sender_slots": {"listener": CONFIGURED, "sender": HEADER, "slot": WHEN, "daemon_id": ID, "messages": COUNT},
    "sender_silences": {
        "listener": CONFIGURED,
        "sender": HEADER,
        **dict.fromkeys(["since", "noticed_at"], WHEN),
        "expected": COUNT,
    },
    "findings": {
        "sender": HEADER,
        **dict.fromkeys(["rule", "place"], CODE),
        "count": COUNT,
        **dict.fromkeys(["first_at", "last_at"], WHEN),
        "last_journal_id": ID,
    },
    "provider_buckets": {"lane": CONFIGURED, "period": COUNT, "full_at": WHEN},
    "rate_windows": {"rule": CODE, "blind": KEYED, "ends_at": WHEN, "taken": COUNT},
    "audit_entries": {
        **dict.fromkeys(["id", "record_id", "seal"], ID),
        "at": WHEN,
        **dict.fromkeys(["actor_kind", "action"], CODE),
        "actor_id": "our own id of a client or an account of staff; an operator's login name on the machine",
        **dict.fromkeys(["organisation", "key_id"], CONFIGURED),
        "detail": "codes, ids of rows and counts from an allow list (patient_records/audit_actions.py)",
        "authentication": KEYED,
    },
    "audit_seals": {
        "number": COUNT,
        "at": WHEN,
        "entries": COUNT,
        "key_id": CONFIGURED,
        "authentication": KEYED,
    },
    "staff_accounts": {
        "id": ID,
        "login": "staff, not a patient: how an operator named the account",
        "organisation": CONFIGURED,
        "password_hash": KEYED,
        **dict.fromkeys(
            ["one_time_until", "credentials_at", "locked_until", "created_at", "last_login_at", "disabled_at"], WHEN
        ),
        "failures": COUNT,
    },
    "staff_sessions": {
        "session_hash": "SHA-256 of 256 random bits",
        "staff_id": ID,
        **dict.fromkeys(["created_at", "seen_at"], WHEN),
    },
    "api_clients": {
        "id": ID,
        "client_id": RANDOM,
        "label": "the name that staff gave a client: a system's or their own, never a patient's",
        "organisation": CONFIGURED,
        "scope": CODE,
        "secret_hash": "the hash of 256 random bits: no guess can be tested against it",
        "staff_id": ID,
        **dict.fromkeys(["created_at", "last_used_at", "revoked_at"], WHEN),
    },
    "bearers": {
        "bearer_hash": "the hash of 256 random bits: no guess can be tested against it",
        "api_client_id": ID,
        **dict.fromkeys(["created_at", "expires_at"], WHEN),
    },
    "eligibility": {
        "record_id": ID,
        "organisation": CONFIGURED,
        **dict.fromkeys(["state", "reasons"], CODE),
        "assessed_on": "the day of the assessment; never a person's next birthday (SPEC 4)",
    },
    "access_tokens": {
        **dict.fromkeys(["id", "record_id"], ID),
        **dict.fromkeys(["organisation", "pepper_id"], CONFIGURED),
        "lookup": KEYED,
        "salt": RANDOM,
        "wrapped_key": SEALED,
        **dict.fromkeys(["created_at", "expires_at", "ended_at"], WHEN),
        **dict.fromkeys(["end_reason", "origin"], CODE),
        "wrong_answers": COUNT,
    },
    "invitations": {
        **dict.fromkeys(["id", "record_id", "access_token_id"], ID),
        "organisation": CONFIGURED,
        **dict.fromkeys(["purpose", "end_reason"], CODE),
        "number": COUNT,
        **dict.fromkeys(["created_at", "ended_at"], WHEN),
    },
    "accounts": {
        **dict.fromkeys(["id", "record_id", "access_token_id"], ID),
        "organisation": CONFIGURED,
        "blind": KEYED,
        **dict.fromkeys(["state", "end_reason", "parameters"], CODE),
        "salt": RANDOM,
        **dict.fromkeys(["wrapped_key", "sealed"], SEALED),
        **dict.fromkeys(["created_at", "confirmed_at", "ended_at"], WHEN),
    },
    "account_links": {
        **dict.fromkeys(["id", "account_id", "record_id"], ID),
        **dict.fromkeys(["purpose", "end_reason"], CODE),
        "lookup": KEYED,
        **dict.fromkeys(["created_at", "expires_at", "ended_at"], WHEN),
        "wrong_answers": COUNT,
    },
    "sessions": {
        **dict.fromkeys(["id", "subject"], ID),
        "lookup": RANDOM,
        "kind": CODE,
        "sealed": SEALED,
        **dict.fromkeys(["began_at", "used_at", "idle_ends_at", "ends_at"], WHEN),
    },
    "outbox": {
        **dict.fromkeys(["id", "invitation_id", "access_token_id", "record_id"], ID),
        "organisation": CONFIGURED,
        "business_key": "record id, purpose and number: ids and counts",
        "reference": RANDOM,
        **dict.fromkeys(["channel", "provider", "state", "code", "purpose"], CODE),
        **dict.fromkeys(["due_at", "lease_until", "expires_at", "created_at", "final_at"], WHEN),
        "lease_owner": ID,
        "attempt": COUNT,
        **dict.fromkeys(["sealed_payload", "sealed_request"], SEALED),
        "provider_reference": "the provider's own id of a message",
    },
    "attempts": {
        "entry_id": ID,
        "number": COUNT,
        **dict.fromkeys(["started_at", "finished_at"], WHEN),
        **dict.fromkeys(["outcome", "code"], CODE),
    },
    "destinations": {"entry_id": ID, "blind": KEYED},
    "receipts": {
        "entry_id": ID,
        **dict.fromkeys(["state", "code", "channel"], CODE),
        **dict.fromkeys(["permanent", "counts"], "yes or no"),
        "organisation": CONFIGURED,
        **dict.fromkeys(["at", "received_at"], WHEN),
        "repeats": COUNT,
    },
    "receipts_waiting": {
        "provider": CODE,
        "reference": "our reference or the provider's own id of a message",
        **dict.fromkeys(["ours", "permanent"], "yes or no"),
        **dict.fromkeys(["state", "code"], CODE),
        **dict.fromkeys(["at", "received_at"], WHEN),
    },
    "bad_contacts": {
        "record_id": ID,
        "blind": KEYED,
        "organisation": CONFIGURED,
        **dict.fromkeys(["channel", "code"], CODE),
        "failures": COUNT,
        **dict.fromkeys(["last_at", "bad_since"], WHEN),
    },
    "pauses": {
        "organisation": CONFIGURED,
        **dict.fromkeys(["channel", "origin"], CODE),
        "everything": "yes or no",
        "reason": "what the operator who paused wrote, or which threshold was passed; not a word of any person",
        "since": WHEN,
    },
    "tallies": {
        "organisation": CONFIGURED,
        "channel": CODE,
        "day": WHEN,
        **dict.fromkeys(["started", "good", "bad"], COUNT),
    },
    "canaries": {
        "organisation": CONFIGURED,
        "issued": COUNT,
        **dict.fromkeys(["last_at", "passed_at"], WHEN),
        "passed_by": CODE,
    },
    "reminders": {"record_id": ID, "number": COUNT, "decided_at": WHEN, "outcome": CODE},
    "reminder_walks": {
        "organisation": CONFIGURED,
        "number": COUNT,
        "through_at": WHEN,
        "through_entry": ID,
    },
    "policy_walks": {
        "organisation": CONFIGURED,
        "policy": "a fingerprint of the configuration",
        "through": ID,
        **dict.fromkeys(["begun_at", "finished_at"], WHEN),
    },
}

ALL_COLUMNS: Final = [column for table in metadata.tables.values() for column in table.columns]


def test_every_column_is_sealed_hashed_or_clear_for_a_reason() -> None:
    declared = {(column.table.name, column.name) for column in ALL_COLUMNS}
    explained = {(table, column) for table, columns in COLUMNS.items() for column in columns}
    assert not declared - explained, f"say in this file why these may exist: {sorted(declared - explained)}"
    assert not explained - declared, f"these are gone, take them out here: {sorted(explained - declared)}"


@pytest.mark.parametrize("column", ALL_COLUMNS, ids=str)
def test_what_is_called_sealed_is_bytes_and_the_other_way_round(column: Column[object]) -> None:
    reason = COLUMNS.get(column.table.name, {}).get(column.name)
    called_sealed = column.name.startswith(("sealed", "wrapped"))
    assert called_sealed == (reason == SEALED)
    if called_sealed:
        assert isinstance(column.type, LargeBinary)


@pytest.mark.parametrize("column", ALL_COLUMNS, ids=str)
def test_no_column_is_named_after_what_a_person_is(column: Column[object]) -> None:
    personal = {"name", "family", "given", "birth", "dob", "sex", "address", "postcode", "phone", "mobile", "email"}
    assert not personal.intersection(column.name.split("_"))
