"""Receipts come in: by calls that show a secret, out of a Maildir, and by asking."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from invites.channels.bounce_folder import BounceFolder, BounceReport
from invites.channels.channel import Accepted
from invites.channels.loop_thread import LoopThread
from invites.channels.receipt_poll import NOT_BEFORE, PollReport, ReceiptPoll
from invites.receipt import Receipt, ReceiptState
from patient_records.errors import StorageUnavailable
from tests.support.outbox_rows import queued
from tests.support.patience import SAFETY
from tests.support.people import House, ScriptedProvider
from tests.unit.test_bounce import dsn
from web.api.receipts import MOST_BYTES, Caller, routes
from web.server import WebFace

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
SECRET = "a secret of the provider's"


class Taker:
    """Takes receipts in, or fails as told."""

    def __init__(self) -> None:
        self.taken: list[Receipt] = []
        self.batches: list[int] = []
        self.fault: Exception | None = None

    def take(self, receipts: Sequence[Receipt]) -> None:
        if self.fault:
            raise self.fault
        self.taken.extend(receipts)
        self.batches.append(len(receipts))


def read(said: Any) -> list[Receipt]:
    if isinstance(said, dict) and "number" in said:
        int(said["number"])
    if isinstance(said, dict) and "refs" in said:
        return [receipt for number in range(said["refs"]) for receipt in read({"ref": str(number)})]
    return (
        [Receipt("http", ReceiptState.DELIVERED, NOW, said["ref"])] if isinstance(said, dict) and "ref" in said else []
    )


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def client(taker: Taker) -> Iterator[httpx.Client]:
    async def take(receipts: Sequence[Receipt]) -> None:
        taker.take(receipts)

    mail = Caller(SECRET, lambda said: read({"ref": said.decode()}), mail=True)
    face = WebFace(Starlette(routes=routes(take, {"sms": Caller(SECRET, read), "email": mail})), "127.0.0.1", 0)
    loop = LoopThread("face")
    port = loop.run(face.start, SAFETY)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SAFETY) as made:
        yield made
    loop.close(face.stop, SAFETY)


BEARER = {"Authorization": f"Bearer {SECRET}"}


def test_a_call_with_the_secret_is_taken_however_it_is_written(client: httpx.Client, taker: Taker) -> None:
    answers = [
        client.post("/receipts/sms", json={"ref": "r1"}, headers=BEARER),
        client.post("/receipts/sms", data={"ref": "r2"}, headers=BEARER),
        client.post(f"/receipts/sms/{SECRET}", json={"ref": "r3"}),
        client.get(f"/receipts/sms/{SECRET}", params={"ref": "r4"}),
        client.post("/receipts/email", content=b"r5", headers=BEARER),
    ]
    assert [answer.status_code for answer in answers] == [204] * 5
    assert [receipt.reference for receipt in taker.taken] == ["r1", "r2", "r3", "r4", "r5"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/receipts/sms", {}),
        ("/receipts/sms", {"Authorization": "Bearer slip"}),
        ("/receipts/sms", {"Authorization": f"Basic {SECRET}"}),
        ("/receipts/sms", {"Authorization": "Bearer"}),
        ("/receipts/sms/slip", {}),
    ],
)
def test_a_call_without_it_is_not(client: httpx.Client, taker: Taker, path: str, headers: dict[str, str]) -> None:
    assert client.post(path, json={"ref": "r1"}, headers=headers).status_code == 401
    assert taker.taken == []


def test_a_long_call_is_taken_whole_in_transactions_of_some_hundreds(client: httpx.Client, taker: Taker) -> None:
    assert client.post("/receipts/sms", json={"refs": 1201}, headers=BEARER).status_code == 204
    assert len(taker.taken) == 1201
    assert max(taker.batches) == 500


def test_what_means_nothing_here_is_passed_over_and_what_cannot_be_read_is_said_so(
    client: httpx.Client, taker: Taker
) -> None:
    assert client.post("/receipts/sms", json={"other": 1}, headers=BEARER).status_code == 204
    assert client.post("/receipts/sms", content=b"{", headers=BEARER).status_code == 400
    assert client.post("/receipts/sms", content=b" " * (MOST_BYTES + 1), headers=BEARER).status_code == 413
    assert client.post("/receipts/other", json={}, headers=BEARER).status_code == 404
    assert taker.taken == []


def test_what_the_reader_falls_over_is_said_so_and_no_fault_of_ours(client: httpx.Client, taker: Taker) -> None:
    assert client.post("/receipts/sms", json={"number": "9" * 5000}, headers=BEARER).status_code == 400
    assert client.post("/receipts/sms", content=b'{"ref": ' + b"9" * 5000 + b"}", headers=BEARER).status_code == 400
    assert taker.taken == []


def test_what_cannot_be_stored_now_is_to_be_told_again(client: httpx.Client, taker: Taker) -> None:
    taker.fault = StorageUnavailable("gone")
    answer = client.post("/receipts/sms", json={"ref": "r1"}, headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for part in ("new", "cur", "tmp"):
        (tmp_path / "mail" / part).mkdir(parents=True)
    return tmp_path / "mail"


def test_bounces_are_read_once_and_other_mail_is_left_for_a_person(maildir: Path, taker: Taker) -> None:
    (maildir / "new" / "1.bounce").write_bytes(dsn())
    (maildir / "new" / "2.reply").write_bytes(b"Subject: who are you?\r\n\r\n")
    folder = BounceFolder(maildir, taker.take, lambda: NOW)
    assert folder.run() == BounceReport(1, 1)
    assert folder.run() == BounceReport()
    assert [receipt.reference for receipt in taker.taken] == ["ref-1"]
    assert sorted(path.name for path in (maildir / "cur").iterdir()) == ["1.bounce:2,S", "2.reply:2,"]


def test_what_is_no_readable_file_stays_where_it_is_and_holds_up_no_other(maildir: Path, taker: Taker) -> None:
    new = maildir / "new"
    (new / "0.folder").mkdir()
    os.mkfifo(new / "1.pipe")
    (new / "2.loop").symlink_to("2.loop")
    (new / "3.bounce").write_bytes(dsn())
    (new / "4.bounce").write_bytes(dsn(returned="Message-ID: <ref-2@hospital.example>"))
    (maildir / "cur" / "3.bounce:2,S").mkdir()
    folder = BounceFolder(maildir, taker.take, lambda: NOW)
    with pytest.raises(IsADirectoryError):
        folder.run()
    assert [receipt.reference for receipt in taker.taken] == ["ref-1", "ref-2"]
    assert [path.name for path in (maildir / "cur").iterdir() if path.is_file()] == ["4.bounce:2,S"]
    (maildir / "cur" / "3.bounce:2,S").rmdir()
    assert folder.run() == BounceReport(1, 0, unreadable=3)
    assert sorted(path.name for path in new.iterdir()) == ["0.folder", "1.pipe", "2.loop"]


def test_a_bounce_that_cannot_be_stored_stays_where_it_is(maildir: Path, taker: Taker) -> None:
    (maildir / "new" / "1.bounce").write_bytes(dsn())
    folder = BounceFolder(maildir, taker.take, lambda: NOW)
    taker.fault = StorageUnavailable("gone")
    with pytest.raises(StorageUnavailable):
        folder.run()
    taker.fault = None
    assert folder.run() == BounceReport(1, 0)


class Told(ScriptedProvider):
    """A provider that tells what became of a message."""

    def __init__(self) -> None:
        super().__init__(name="scripted")
        self.said: dict[str, Receipt | None] = {}
        self.asked: list[str] = []

    def receipt(self, name: str) -> Receipt | None:
        self.asked.append(name)
        return self.said.get(name)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def test_messages_without_a_final_word_are_asked_about_until_there_is_one(house: House) -> None:
    queued(house, 3)
    provider = Told()
    provider.script = [Accepted("a"), Accepted("b"), Accepted("c")]
    house.lane(provider).run()
    poll = ReceiptPoll(house.database, provider, house.invites.receipts.take)
    assert poll.run() == PollReport(0, 0)  # a callback may still come
    house.later(NOT_BEFORE + timedelta(seconds=1))
    at = datetime.now(UTC)
    provider.said = {
        "a": Receipt("scripted", ReceiptState.DELIVERED, at, provider_reference="a"),
        "b": Receipt("scripted", ReceiptState.SENT, at, provider_reference="b"),
    }
    assert poll.run() == PollReport(3, 2)
    assert poll.run() == PollReport(2, 1)
    assert sorted(provider.asked) == ["a", "b", "b", "c", "c"]
    house.later(timedelta(days=7))
    assert poll.run() == PollReport(0, 0)


def test_more_messages_than_one_run_asks_about_are_asked_about_in_turn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invites.channels.receipt_poll._AT_A_TIME", 2)
    queued(house, 5)
    provider = Told()
    provider.script = [Accepted(name) for name in "abcde"]
    house.lane(provider).run()
    house.later(NOT_BEFORE + timedelta(seconds=1))
    poll = ReceiptPoll(house.database, provider, house.invites.receipts.take)
    assert [poll.run().asked for _ in range(4)] == [2, 2, 1, 2]
    assert sorted(provider.asked[:5]) == list("abcde")


def test_what_callers_send_is_never_in_an_answer(client: httpx.Client) -> None:
    answer = client.post("/receipts/sms", content=json.dumps({"to": "+447700900123"}), headers=BEARER)
    assert answer.content == b""
