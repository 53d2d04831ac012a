"""What every provider keeps to, and how the spool keeps to it when the disk does not."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from invites.channels.channel import Accepted, NotSent, Outcome, Provider, Refused, Request, Settlement, Unknown
from invites.channels.drop_folder import DropFolder
from invites.channels.spool import Spool
from tests.support.fake_street import FakeStreet
from tests.support.mail_server import MailServer

PDF = b"%PDF-1.7 /Type/Pages/Count 1"


@dataclass(frozen=True)
class Subject:
    """A provider under test, and what came out at its far end: (channel, reference) of each delivery."""

    provider: Provider
    delivered: Callable[[], list[tuple[str, str]]]
    channels: tuple[str, ...]

    def message(self, reference: str = "ref-1", body: bytes = PDF) -> Request:
        """Give a request that it carries, by the first of its channels."""
        return message(reference, self.channels[0], body)


@contextlib.contextmanager
def _spool(folder: Path) -> Iterator[Subject]:
    def delivered() -> list[tuple[str, str]]:
        return sorted((path.parent.name, path.stem) for path in folder.glob("*/*"))

    yield Subject(Spool(folder), delivered, CHANNELS)


@contextlib.contextmanager
def _drop_folder(folder: Path) -> Iterator[Subject]:
    def delivered() -> list[tuple[str, str]]:
        return sorted(("letter", path.stem) for path in folder.rglob("*.pdf"))

    yield Subject(DropFolder(folder, lambda: datetime.now(UTC)), delivered, ("letter",))


@contextlib.contextmanager
def _drop_folder_that_closes(folder: Path) -> Iterator[Subject]:
    """Every letter is in a batch, and the batch taken away, before anybody asks again."""
    drop = DropFolder(folder, lambda: datetime.now(UTC))
    taken: list[tuple[str, str]] = []

    def delivered() -> list[tuple[str, str]]:
        drop.close_batch()
        for batch in (folder / "batches").iterdir():
            taken.extend(("letter", path.stem) for path in batch.glob("*.pdf"))
            shutil.rmtree(batch)
        return sorted(taken)

    yield Subject(drop, delivered, ("letter",))


@contextlib.contextmanager
def _smtp(_folder: Path) -> Iterator[Subject]:
    with MailServer() as server:
        yield Subject(server.provider(), lambda: sorted(("email", name) for name in server.references), ("email",))


@contextlib.contextmanager
def _notify(_folder: Path) -> Iterator[Subject]:
    with FakeStreet() as street:
        yield Subject(street.notify(), partial(_accepted, street), CHANNELS)


@contextlib.contextmanager
def _gateway(_folder: Path, **options: object) -> Iterator[Subject]:
    with FakeStreet() as street:
        yield Subject(street.gateway(**options), partial(_accepted, street), ("sms",))  # type: ignore[arg-type]


def _accepted(street: FakeStreet) -> list[tuple[str, str]]:
    return sorted((entry.channel, entry.reference) for entry in street.ledger.entries if entry.kept)


PROVIDERS: dict[str, Callable[[Path], AbstractContextManager[Subject]]] = {
    "spool": _spool,
    "dropfolder": _drop_folder,
    "dropfolder, taken": _drop_folder_that_closes,
    "smtp": _smtp,
    "notify": _notify,
    "http": _gateway,
    "http, searchable": partial(_gateway, searchable=True),
    "http, deduplicates": partial(_gateway, deduplicates=True, searchable=True, idempotency_header="Idempotency-Key"),
}
CHANNELS = ("sms", "email", "letter")
TO = {"sms": "+447700900123", "email": "ada@example.org", "letter": "Ada Lovelace\n1 Long Lane\nExampleton\nEX1 1AA"}


@pytest.fixture(params=PROVIDERS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each provider in turn, with nothing delivered yet."""
    with PROVIDERS[request.param](tmp_path / "far-end") as made:
        yield made


def message(reference: str = "ref-1", channel: str = "sms", body: bytes = b"Hello \xe2\x82\xac") -> Request:
    head = f"Message-ID: <{reference}@hospital.example>\r\n\r\n".encode() if channel == "email" else b""
    return Request(channel, reference, TO.get(channel, ""), head + body)


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_is_accepted_is_delivered_and_can_be_found(subject: Subject, channel: str) -> None:
    if channel not in subject.channels:
        assert isinstance(subject.provider.send(message(channel=channel)), Refused)
        return
    outcome = subject.provider.send(message(channel=channel, body=PDF))
    assert isinstance(outcome, Accepted)
    assert outcome.provider_reference
    assert subject.delivered() == [(channel, "ref-1")]
    if subject.provider.settlement is not Settlement.NEITHER:
        assert subject.provider.search("ref-1") == outcome


def test_what_never_arrived_is_not_found(subject: Subject) -> None:
    subject.provider.send(subject.message("ref-1"))
    assert isinstance(subject.provider.search("ref-2"), NotSent | Unknown)
    assert isinstance(subject.provider.search("ref"), NotSent | Unknown)


def test_the_same_reference_twice_is_delivered_once_where_it_deduplicates(subject: Subject) -> None:
    if subject.provider.settlement is not Settlement.DEDUPLICATES:
        pytest.skip("this provider does not deduplicate")
    first = subject.provider.send(subject.message())
    assert subject.delivered() == [(subject.channels[0], "ref-1")]
    assert subject.provider.send(subject.message(body=PDF + b"another")) == first
    assert subject.delivered() == [(subject.channels[0], "ref-1")]


def test_the_same_reference_from_many_threads_is_delivered_once(subject: Subject) -> None:
    if subject.provider.settlement is not Settlement.DEDUPLICATES:
        pytest.skip("this provider does not deduplicate")
    start = threading.Barrier(8)

    def send(_: int) -> Outcome:
        start.wait(timeout=60)
        return subject.provider.send(subject.message())

    with ThreadPoolExecutor(8) as threads:
        outcomes = set(threads.map(send, range(8)))
    assert len(outcomes) == 1
    assert isinstance(outcomes.pop(), Accepted)
    assert subject.delivered() == [(subject.channels[0], "ref-1")]


def test_many_threads_lose_nothing(subject: Subject) -> None:
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(subject.provider.send, (subject.message(f"ref-{number}") for number in range(60))))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(subject.delivered()) == 60


@pytest.mark.parametrize("reference", ["", "../ref", "a/b", ".hidden", "a" * 65, "ref\n", "a.txt", "ré", "a\0b"])
def test_a_reference_that_could_be_a_path_is_refused(subject: Subject, reference: str) -> None:
    assert isinstance(subject.provider.send(subject.message(reference)), Refused)
    assert isinstance(subject.provider.search(reference), NotSent)
    assert subject.delivered() == []


def test_a_channel_it_does_not_carry_is_refused(subject: Subject) -> None:
    assert isinstance(subject.provider.send(message(channel="pigeon")), Refused)


# The spool's own promises.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a spool."""
    return tmp_path / "a" / "spool"


@pytest.fixture
def spool(folder: Path) -> Spool:
    """A spool in it."""
    return Spool(folder)


def test_a_text_message_is_readable_and_the_others_are_as_rendered(spool: Spool, folder: Path) -> None:
    for channel in CHANNELS:
        spool.send(message(channel=channel))
    assert (folder / "sms/ref-1.txt").read_text(encoding="utf-8") == "To: +447700900123\n\nHello €\n"
    assert (folder / "email/ref-1.eml").read_bytes() == message(channel="email").body
    assert (folder / "letter/ref-1.pdf").read_bytes() == message(channel="letter").body


def test_only_the_owner_may_read(spool: Spool, folder: Path) -> None:
    spool.send(message())
    assert stat.S_IMODE((folder / "sms/ref-1.txt").stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "sms", folder / "letter")} == {0o700}


def test_the_first_content_stays(spool: Spool, folder: Path) -> None:
    spool.send(message(body=b"first"))
    spool.send(message(body=b"second"))
    assert b"first" in (folder / "sms/ref-1.txt").read_bytes()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to the disk, in order: sync of a file, link, sync of a folder."""
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def watched_fsync(handle: int) -> None:
        done.append("folder synced" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file synced")
        fsync(handle)

    def watched_link(source: Path, target: Path, **how: bool) -> None:
        done.append("linked")
        link(source, target, **how)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "link", watched_link)
    return done


def test_the_file_is_durable_before_its_name_and_its_name_before_the_answer(spool: Spool, steps: list[str]) -> None:
    spool.send(message())
    assert steps == ["file synced", "linked", "folder synced"]
    spool.send(message())
    assert steps[3:] == ["folder synced"]  # the first attempt may have died before it


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link"])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "spool_full"),
        (errno.EDQUOT, "spool_full"),
        (errno.EACCES, "spool_denied"),
        (errno.EROFS, "spool_denied"),
        (errno.EIO, "spool_failed"),
    ],
)
def test_a_disk_that_refuses_leaves_nothing_and_says_not_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    spool = Spool(folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    with monkeypatch.context() as broken:
        broken.setattr(os, call, refuse)
        assert spool.send(message()) == NotSent(code)
    assert list(folder.glob("sms/*")) == list(folder.glob("sms/.*")) == []
    assert isinstance(spool.send(message()), Accepted)


def test_a_short_write_is_gone_on_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, bytes(content)[:3]))
    Spool(folder).send(message(channel="letter", body=b"0123456789"))
    assert (folder / "letter/ref-1.pdf").read_bytes() == b"0123456789"


def test_a_name_that_may_not_last_is_unknown_and_settled_by_sending_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(folder)
    fsync = os.fsync

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "refused")
        fsync(handle)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse_folders)
        assert spool.send(message()) == Unknown("spool_failed")
        assert spool.search("ref-1") == Unknown("spool_failed")
    assert spool.send(message()) == Accepted("sms/ref-1.txt")
    assert len(list(folder.glob("sms/*"))) == 1


def test_a_folder_that_went_away_is_not_sent(spool: Spool, folder: Path) -> None:
    (folder / "sms").rmdir()
    assert spool.send(message()) == NotSent("spool_missing")


def test_what_cannot_be_searched_is_unknown(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, "refused")

    monkeypatch.setattr(Path, "lstat", refuse)
    assert spool.search("ref-1") == Unknown("spool_failed")


def test_what_a_killed_process_left_is_swept_once_it_is_old(folder: Path) -> None:
    Spool(folder).send(message())
    old, young = (folder / "sms" / f".ref-2.txt.{name}.part" for name in ("old", "young"))
    for part in (old, young):
        part.write_bytes(b"half a mess")
    os.utime(old, (0, 0))
    assert isinstance(Spool(folder).send(message("ref-2")), Accepted)
    assert not old.exists()
    assert young.exists()
    assert (folder / "sms/ref-1.txt").exists()
