"""What a page asks of tables that grow with people, pairs and messages, it finds by an index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.staff.conftest import ADA
from tests.support.query_plans import plans_of
from tests.support.staff_site import StaffSite

FEW = [
    "identifier_kinds",
    "staff_accounts",
    "daemons",
    "senders",
    "sender_silences",
    "outbox USING INDEX outbox_unknown",
]
"""What is few however many people there are: kinds, colleagues, daemons, senders, entries that nobody knows of."""


@pytest.fixture
def site(tmp_path: Path, sqlite_url: str) -> Iterator[StaffSite]:
    with StaffSite(tmp_path, sqlite_url) as made:
        made.staff()
        yield made


def test_no_page_of_the_staff_reads_a_table_from_end_to_end(site: StaffSite) -> None:
    [ada] = site.arrive([ADA])
    person = f"/staff/people/{ada}"
    with plans_of(site.house.database) as steps, site.logged_in() as anna:
        assert anna.post("/staff/people", identifier="9990000018").is_redirect
        for path in ("pair", "letter", "split", "unlock", "close"):
            anna.post(f"{person}/{path}", code_by="sms", token_by="email")
        for path in ("/staff/people", person, "/staff/service", "/staff/clients"):
            assert anna.get(path).status_code == 200
        anna.post(f"{person}/revoke", pair="all")
        anna.post(f"{person}/decide", decision="hold", ground="clinical")
        anna.post("/staff/clients", name="ward sheet")
        anna.post("/staff/entries/1/settle", word="accepted")
        anna.post("/staff/logout", page="/staff/people")
    assert len(steps) > 100
    walks = {step.removeprefix("SCAN ") for step in steps if step.startswith("SCAN ")}
    assert "outbox USING COVERING INDEX outbox_state" in walks
    assert [
        walk for walk in walks if not walk.startswith((*FEW, "CONSTANT", "(subquery")) and "COVERING" not in walk
    ] == []
