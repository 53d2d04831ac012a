"""Assessing people whom we know already, and writing down what was found: one row each, invitations counted in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from invites import repository
from invites.bad_contacts import without_bad
from invites.eligibility import Assessment, assess
from invites.options import InviteOptions
from patient_records.model import PatientRecord


def reassess(
    connection: Connection, records: Iterable[PatientRecord], options: InviteOptions, now: datetime
) -> dict[int, Assessment]:
    """Assess these records as of now and store what was found; each record once, and in the caller's transaction."""
    by_id = {record.id: record for record in records}
    invited = repository.invited_among(connection, by_id)
    failed = repository.failed_channels(connection, by_id, now)
    good = without_bad(connection, by_id.values(), options)
    today = options.today(now)
    found = {
        id_: assess(
            record, options.policy, today, invited=id_ in invited, failed=failed.get(id_, ()), good=good.get(id_)
        )
        for id_, record in by_id.items()
    }
    rows = [repository.eligibility_row(id_, by_id[id_].organisation, said, today) for id_, said in found.items()]
    repository.put_eligibility(connection, rows)
    return found
