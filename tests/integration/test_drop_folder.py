"""Batches for a print house: whole or not there, and no letter in two, wherever the process dies."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites.channels.batch_manifest import LetterFields, encode_fields
from invites.channels.channel import Accepted, HandedOver, NotSent, Refused, Request
from invites.channels.drop_folder import DropFolder
from tests.support.drop_batches import batches, handed_over, manifest

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
CALLS = ("open", "write", "fsync", "link", "rename", "unlink", "mkdir")
"""Every call by which the drop folder changes the disk."""


class Died(BaseException):
    """The process is gone: nothing that follows in it happens."""


def drop(folder: Path, now: Callable[[], datetime] = lambda: NOON) -> DropFolder:
    return DropFolder(folder, now)


def letter(reference: str, body: bytes = b"%PDF-1.7 /Type/Pages/Count 2") -> Request:
    return Request("letter", reference, "Ada\n1 Lane\nEX1 1AA", body + reference.encode())


def fields(reference: str) -> Request:
    said = LetterFields(
        address=("Ms Ada Lovelace", "1 Long Lane, Upper", "EX1 1AA"),
        name="Ms Ada Lovelace",
        purpose="invitation",
        language="en",
        large_print=True,
        hospital='St "Mary"',
        contact="01632 960000",
        invitation_code="23456 78923",
        token="BCDFG HJKLM",
        join_page="https://x.example/join",
        join_link="https://x.example/join#c=1&t=2",
        expires_on="2026-12-22",
        expires="22 December 2026",
    )
    return Request("letter", reference, "\n".join(said.address), encode_fields(said))


def die_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Have the process die at that call, counted from 0, and do nothing more; gives the calls as they come."""
    made: list[str] = []

    def dying(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **how: object) -> object:
            made.append(name)
            if len(made) > step:
                raise Died
            return real(*given, **how)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, dying(name, getattr(os, name)))
    return made


def test_a_batch_has_its_letters_a_manifest_and_sums(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    provider = drop(folder)
    for number in (2, 1, 3):
        assert isinstance(provider.send(letter(f"ref-{number}")), Accepted)
    assert batches(folder) == []
    said = provider.close_batch()
    [batch] = batches(folder)
    assert said == HandedOver(batch.name, 3, 6)
    assert batch.name.startswith("20261126T120000Z-")
    assert [row["reference"] for row in manifest(batch)] == ["ref-1", "ref-2", "ref-3"]
    assert handed_over(folder) == {"ref-1": 1, "ref-2": 1, "ref-3": 1}
    assert provider.close_batch() is None


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    provider = drop(folder)
    provider.send(letter("ref-1"))
    provider.close_batch()
    [batch] = batches(folder)
    assert {stat.S_IMODE(path.stat().st_mode) for path in batch.iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, batch, batch.parent)} == {0o700}


def test_a_mail_house_that_merges_gets_a_manifest_alone(tmp_path: Path) -> None:
    provider = drop(tmp_path)
    assert isinstance(provider.send(fields("ref-1")), Accepted)
    provider.close_batch()
    [batch] = batches(tmp_path)
    [row] = manifest(batch)
    assert row["address_line_2"] == "1 Long Lane, Upper"
    assert (row["address_line_4"], row["hospital"], row["large_print"]) == ("", 'St "Mary"', "yes")
    assert (row["invitation_code"], row["token"], row["expires_on"]) == ("23456 78923", "BCDFG HJKLM", "2026-12-22")
    assert sorted(path.name for path in batch.iterdir()) == ["batch.json", "manifest.csv"]
    assert stat.S_IMODE((batch / "manifest.csv").stat().st_mode) == 0o600
    assert provider.send(fields("ref-1")) == Accepted("dropfolder/ref-1")
    assert provider.close_batch() is None


def test_what_is_no_letter_is_refused(tmp_path: Path) -> None:
    assert drop(tmp_path).send(Request("letter", "ref-1", "x", b"Hello")) == Refused("not_a_letter")
    assert drop(tmp_path).send(Request("letter", "ref-1", "x", b"%PDF-1.7 Hello")) == Refused("letter_unreadable")


@pytest.mark.parametrize("make", [letter, fields])
def test_a_process_that_dies_at_any_step_leaves_whole_batches_and_each_letter_in_one(
    tmp_path: Path, make: Callable[[str], Request]
) -> None:
    """Three letters, a batch, two more and another batch: killed before each call on the disk in turn."""
    steps = 0
    while True:
        folder = tmp_path / str(steps)
        accepted: set[str] = set()
        with pytest.MonkeyPatch.context() as dying:
            made = die_at(dying, steps)
            try:
                provider = drop(folder)
                for group in (("a", "b", "c"), ("d", "e")):
                    for reference in group:
                        if isinstance(provider.send(make(reference)), Accepted):
                            accepted.add(reference)
                    provider.close_batch()
            except Died:
                pass
            died = len(made) > steps
        if folder.exists() and (folder / "batches").exists():
            assert all(count == 1 for count in handed_over(folder).values()), f"step {steps}"
        after = drop(folder)  # started again: the outbox sends what it does not know to be accepted, and some that is
        for reference in ("b", "e", *sorted(set("abcde") - accepted)):
            assert isinstance(after.send(make(reference)), Accepted)
        while after.close_batch():
            pass
        assert handed_over(folder) == dict.fromkeys("abcde", 1), f"died before call {steps}: {made[-3:]}"
        assert not list(folder.glob(".closing*"))
        if not died:
            break
        steps += 1
    assert steps > 40


def test_a_batch_taken_away_is_not_made_again_by_another_daemon(tmp_path: Path) -> None:
    first, second = drop(tmp_path), drop(tmp_path)
    first.send(letter("ref-1"))
    first.close_batch()
    [batch] = batches(tmp_path)
    for path in batch.iterdir():
        path.unlink()
    batch.rmdir()
    assert second.send(letter("ref-1")) == Accepted("dropfolder/ref-1")
    assert second.search("ref-1") == Accepted("dropfolder/ref-1")
    assert second.close_batch() is None


def test_a_line_of_the_ledger_that_a_killed_daemon_did_not_finish_hides_none(tmp_path: Path) -> None:
    provider = drop(tmp_path)
    provider.send(letter("ref-1"))
    provider.close_batch()
    with next((tmp_path / ".ledger").iterdir()).open("ab") as torn:
        torn.write(b"ref-2")
    assert provider.search("ref-2") == NotSent("not_in_dropfolder")
    provider.send(letter("ref-3"))
    provider.close_batch()
    assert provider.search("ref-3") == Accepted("dropfolder/ref-3")


def test_the_ledger_forgets_what_nobody_asks_for_any_more(tmp_path: Path) -> None:
    now = NOON
    provider = drop(tmp_path, lambda: now)
    for reference in ("ref-1", "ref-2"):
        provider.send(letter(reference))
        provider.close_batch()
        assert isinstance(provider.search("ref-1"), Accepted)
        now += timedelta(days=3)
    provider.send(letter("ref-3"))
    provider.close_batch()
    assert len(list((tmp_path / ".ledger").iterdir())) == 2
    assert provider.search("ref-1") == NotSent("not_in_dropfolder")
    assert isinstance(provider.search("ref-2"), Accepted)


def test_a_folder_that_went_away_is_not_sent_and_no_batch(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    provider = drop(folder)
    folder.rename(tmp_path / "unmounted")
    assert provider.send(letter("ref-1")) == NotSent("dropfolder_missing")
    assert provider.close_batch() == HandedOver(code="dropfolder_missing")
    assert not folder.exists()


def test_a_disk_that_is_full_keeps_the_letters_for_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = drop(tmp_path)
    provider.send(letter("ref-1"))

    def full(*_: object) -> None:
        raise OSError(28, "no space")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        assert provider.close_batch() == HandedOver(code="dropfolder_full")
        assert provider.close_batch() == HandedOver(code="dropfolder_full")
    assert batches(tmp_path) == []
    assert provider.close_batch() is not None
    assert handed_over(tmp_path) == {"ref-1": 1}
