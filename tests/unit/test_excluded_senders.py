"""Who is excluded by sender is excluded: the setting's spelling and the record's are one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.inviting import _policy
from daemon.settings import load
from hl7_listener.adt import interpret
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from invites.eligibility import Reason, assess
from patient_records.model import PatientRecord, Standing
from patient_records.reconcile import reconcile
from patient_records.update import PatientUpdate
from tests.support.feed import a28

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("written", ["PAS/RX1", "PAS|RX1", " PAS | RX1 "])
@pytest.mark.parametrize(
    ("setting", "reasons"),
    [("excluded_senders = ['{}']", (Reason.EXCLUDED_SENDER,)), ("[[invitations.cohorts]]\nsenders = ['{}']", ())],
)
def test_a_sender_is_known_however_it_is_written(
    tmp_path: Path, written: str, setting: str, reasons: tuple[Reason, ...]
) -> None:
    file = tmp_path / "doorstep.toml"
    file.write_text("[invitations]\n" + setting.format(written))
    settings = load(file, {})
    update = interpret(
        read(a28(1)), ListenerOptions("pas", "127.0.0.1", 0, "RX1", ZoneInfo("UTC")), SenderProfile(), NOW
    )
    assert isinstance(update, PatientUpdate)
    demographics = reconcile(None, update).demographics
    assert demographics is not None
    record = PatientRecord(1, "public", "RX1", 1, demographics, Standing())
    said = assess(record, _policy(settings.invitations), date(2026, 6, 1), invited=False)
    about_senders = {Reason.EXCLUDED_SENDER, Reason.OUTSIDE_COHORT}
    assert tuple(about_senders.intersection(getattr(said, "reasons", ()))) == reasons
