"""Personal clients: made and revoked by their coordinator alone, who lends them their own rights."""

from __future__ import annotations

import html
import re

import pytest

from tests.support.staff_site import ROOT, StaffSite, Visitor
from web.access import clients
from web.access.tables import api_clients


def made(visitor: Visitor, name: str = "ward sheet") -> tuple[str, str]:
    answer = visitor.post("/staff/clients", name=name)
    client_id, secret = (html.unescape(text) for text in re.findall(r"<dd>([^<]+)</dd>", answer.text))
    return client_id, secret


def authenticated(site: StaffSite, client_id: str, secret: str) -> clients.Client | None:
    with site.house.database.read() as connection:
        return clients.authenticate(connection, client_id, secret)


def test_a_client_has_its_coordinators_rights_and_its_secret_is_shown_once(site: StaffSite, anna: Visitor) -> None:
    client_id, secret = made(anna)
    client = authenticated(site, client_id, secret)
    assert client is not None
    assert (client.organisation, client.scope.value, client.label) == ("RX1", "coordinator", "ward sheet")
    page = anna.get("/staff/clients").text
    assert client_id in page
    assert secret not in page
    [entry] = [one for one in site.trail() if one.action == "client_added"]
    assert entry.detail == {"client": client_id, "scope": "coordinator"}
    assert entry.actor == client.actor


def test_a_client_is_revoked_by_its_owner_alone(site: StaffSite, anna: Visitor) -> None:
    client_id, secret = made(anna)
    site.staff("berta")
    with site.logged_in("berta") as berta:
        assert client_id not in berta.get("/staff/clients").text
        assert berta.post(f"/staff/clients/{client_id}/revoke").status_code == 404
    assert authenticated(site, client_id, secret) is not None
    assert anna.post(f"/staff/clients/{client_id}/revoke").status_code == 303
    assert authenticated(site, client_id, secret) is None
    assert anna.post(f"/staff/clients/{client_id}/revoke").status_code == 303, "a second time is nothing"
    assert [one.action for one in site.trail() if one.action == "client_revoked"] == ["client_revoked"]


def test_a_disabled_account_takes_its_clients_along(site: StaffSite, anna: Visitor) -> None:
    client_id, secret = made(anna)
    with site.house.database.begin() as connection:
        site.house.staff.disable(connection, "anna", ROOT, site.house.database.now(connection))
    assert authenticated(site, client_id, secret) is None


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x07b"])
def test_a_client_has_a_name(site: StaffSite, anna: Visitor, name: str) -> None:
    assert "name of 1 to 60 characters" in anna.post("/staff/clients", name=name).text
    assert site.rows(api_clients) == []


def test_there_are_only_so_many(site: StaffSite, anna: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.ops.own_clients.MOST", 2)
    first, _ = made(anna)
    made(anna)
    assert "the most" in anna.post("/staff/clients", name="third").text
    anna.post(f"/staff/clients/{first}/revoke")
    made(anna)
    assert len(site.rows(api_clients)) == 3


def test_markup_in_a_name_is_text(anna: Visitor) -> None:
    anna.post("/staff/clients", name="<script>alert(1)</script>")
    page = anna.get("/staff/clients").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
