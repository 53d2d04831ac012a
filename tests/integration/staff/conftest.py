"""The staff's pages over a house on each database, one coordinator who is logged in, and one person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from patient_records.model import Identifier
from tests.support.people import person
from tests.support.staff_site import StaffSite, Visitor

NHS = Identifier("NHS", "NH", "9990000018")
LOCAL = Identifier("RX1", "MR", "4711", "RX1")
ADA = person(identifiers=(NHS, LOCAL))


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[StaffSite]:
    """The pages of two organisations."""
    with StaffSite(tmp_path, database_url) as made:
        made.staff()
        yield made


@pytest.fixture
def anna(site: StaffSite) -> Iterator[Visitor]:
    """A coordinator of RX1."""
    with site.logged_in() as visitor:
        yield visitor


@pytest.fixture
def ada(site: StaffSite) -> str:
    """A patient of RX1: her public id."""
    return site.arrive([ADA])[0]
