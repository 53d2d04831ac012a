"""The key file: organisation keys, the blind-index key, the pepper; each with an id, old ones kept beside the current.

Whoever has the database and not this file has nobody (SPEC 4). So the file lies elsewhere than the backups of the
database, is readable by the daemon's user alone, and is written whole or not at all. Rotation adds a key and makes it
current; the old one stays until nothing is left under it.

The database keeps a check value for every key that it was written with (table ``keys``). A start compares: a missing
key is made only while its organisation has no records, and a wrong or lost one stops the start, because a blind index
under another key would find nobody and make everybody a second time.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hmac
import json
import os
import stat
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import insert, select, text

from patient_records import tables
from patient_records.blind_index import BlindIndex
from patient_records.errors import KeyFault
from patient_records.instants import to_micros
from patient_records.model import Masked
from patient_records.sealing import KEY_BYTES, SealingKey
from patient_records.unit_of_work import POSTGRESQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

_FORMAT: Final = 1
_BLIND_INDEX: Final = "blind_index"
_PEPPER: Final = "pepper"
_ORGANISATION: Final = "organisation"
_ADVISORY_LOCK: Final = 0x6B657972696E67  # "keyring" in ASCII: any number does, as long as nobody else takes it


class Key(Masked, Struct, frozen=True):
    """One secret of the key file: its id, what it is for, whose it is (organisation keys), and 32 random bytes."""

    key_id: str
    purpose: str
    organisation: str | None
    secret: bytes

    @property
    def check_value(self) -> bytes:
        """What the database keeps to recognise this key; it gives nothing of the key away."""
        return hmac.digest(self.secret, b"doorstep key check:" + self.key_id.encode(), "sha256")[:16]


class KeyRing(Masked):
    """The keys of one installation, read once."""

    def __init__(self, keys: Iterable[Key], current: dict[str, str]) -> None:
        """``current`` maps a purpose (``blind_index``, ``pepper``, ``organisation:RX1``) to the id of its key."""
        self._keys = {key.key_id: key for key in keys}
        self._current = dict(current)
        self._sealing = {k.key_id: SealingKey(k.secret, k.key_id) for k in self._keys.values() if k.organisation}

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, old ones included."""
        return tuple(self._keys.values())

    @property
    def current(self) -> dict[str, str]:
        """Which key id is current for each purpose."""
        return dict(self._current)

    @property
    def blind_index(self) -> BlindIndex:
        """The blind index under its current key."""
        return BlindIndex(self._keys[self._current[_BLIND_INDEX]].secret)

    def organisation_key(self, organisation: str) -> SealingKey:
        """The current key of that organisation; raises :class:`KeyFault` when there is none."""
        try:
            return self._sealing[self._current[f"{_ORGANISATION}:{organisation}"]]
        except KeyError:
            raise KeyFault(f"no key for organisation {organisation}: start doorstep with it configured once") from None

    def sealing_key(self, key_id: str) -> SealingKey:
        """An organisation key by id, old ones included; raises :class:`KeyFault`."""
        try:
            return self._sealing[key_id]
        except KeyError:
            raise KeyFault(f"key {key_id} is not in the key file: restore the file that has it") from None

    @property
    def pepper_id(self) -> str:
        """The id of the current pepper."""
        return self._current[_PEPPER]

    @property
    def pepper_ids(self) -> tuple[str, ...]:
        """The ids of all peppers, old ones included: a code that was issued under any of them may still be good."""
        return tuple(key.key_id for key in self._keys.values() if key.purpose == _PEPPER)

    def pepper(self, key_id: str) -> bytes:
        """A pepper (32 bytes) by id, old ones included; raises :class:`KeyFault`."""
        try:
            return self._keys[key_id].secret
        except KeyError:
            raise KeyFault(f"pepper {key_id} is not in the key file: restore the file that has it") from None

    def derived_secret(self, purpose: str) -> tuple[str, bytes]:
        """A secret (32 bytes) for one purpose of the whole installation, and the id of the key that it is made from.

        HMAC-SHA256 of the purpose under the blind-index key (the expand step of RFC 5869), which lives as long as the
        database does; what the index itself hashes begins with other words.
        """
        key = self._keys[self._current[_BLIND_INDEX]]
        return key.key_id, hmac.digest(key.secret, b"doorstep derived secret\x00" + purpose.encode("ascii"), "sha256")

    def completed(self, organisations: Iterable[str]) -> KeyRing:
        """A ring that also has every key that is needed for these organisations; itself when none was missing."""
        wanted = [(_BLIND_INDEX, None), (_PEPPER, None), *[(f"{_ORGANISATION}:{code}", code) for code in organisations]]
        keys, current = dict(self._keys), dict(self._current)
        for purpose, code in wanted:
            if purpose not in current:
                made = _new_key(purpose, code, taken=set(keys))
                keys[made.key_id] = made
                current[purpose] = made.key_id
        return self if len(keys) == len(self._keys) else KeyRing(keys.values(), current)


def _new_key(purpose: str, organisation: str | None, taken: set[str]) -> Key:
    stem = organisation or purpose.replace("_", "-")
    number = next(n for n in range(1, len(taken) + 2) if f"{stem}.{n}" not in taken)
    return Key(f"{stem}.{number}", purpose.partition(":")[0], organisation, os.urandom(KEY_BYTES))


def read_key_file(path: Path) -> KeyRing:
    """Read the key file. An absent one gives an empty ring; a broken or readable-by-others one raises KeyFault."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except FileNotFoundError:
        return KeyRing([], {})
    except (OSError, UnicodeError) as error:
        raise KeyFault(f"{path}: cannot be read ({type(error).__name__}): give it to the daemon's user") from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeyFault(f"{path}: others can read or write it: chmod 600 {path}")
    try:
        return _decode(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyFault(f"{path}: is not a doorstep key file, or is damaged: restore it from its backup") from None


def _decode(document: dict[str, object]) -> KeyRing:
    if document["format"] != _FORMAT:
        raise ValueError("format")
    entries, current = document["keys"], document["current"]
    if not isinstance(entries, list) or not isinstance(current, dict):
        raise TypeError("keys")
    keys = [
        Key(str(e["id"]), str(e["purpose"]), e.get("organisation"), base64.b64decode(e["secret"], validate=True))
        for e in entries
    ]
    known = {key.key_id for key in keys}
    if len(known) < len(keys) or not known.issuperset(current.values()):
        raise ValueError("ids")
    if any(len(key.secret) != KEY_BYTES for key in keys):
        raise ValueError("keys")
    return KeyRing(keys, current)


def write_key_file(path: Path, ring: KeyRing) -> None:
    """Write the ring (mode 0600): the old file or the new one, never half of either, whatever happens.

    A path that is a symbolic link stays one: the file it leads to is replaced. Raises OSError.
    """
    path = path.resolve()
    document = {
        "format": _FORMAT,
        "note": "Whoever has this file and the database has the patients. Back it up apart from the database.",
        "current": ring.current,
        "keys": [
            {
                "id": key.key_id,
                "purpose": key.purpose,
                **({"organisation": key.organisation} if key.organisation else {}),
                "secret": base64.b64encode(key.secret).decode("ascii"),
            }
            for key in ring.keys
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".new")  # one name, so that what a killed process leaves is written over
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_against_database(connection: Connection, ring: KeyRing) -> None:
    """Raise :class:`KeyFault` unless every key that this database was written with is in the ring, unchanged."""
    have = {key.key_id: key for key in ring.keys}
    for key_id, check_value in connection.execute(select(tables.keys.c.key_id, tables.keys.c.check_value)):
        key = have.get(key_id)
        if key is None:
            raise KeyFault(f"key {key_id} is not in the key file, but the database was written with it: restore it")
        if not hmac.compare_digest(key.check_value, check_value):
            raise KeyFault(f"key {key_id} is not the one the database was written with: restore the right key file")


def note_in_database(connection: Connection, ring: KeyRing, now: datetime) -> None:
    """Note the check values of keys that the database does not know yet, in the caller's transaction."""
    known = set(connection.scalars(select(tables.keys.c.key_id)))
    rows = [
        {
            "key_id": key.key_id,
            "purpose": key.purpose,
            "organisation": key.organisation,
            "check_value": key.check_value,
            "created_at": to_micros(now),
        }
        for key in ring.keys
        if key.key_id not in known
    ]
    if rows:
        connection.execute(insert(tables.keys), rows)


@contextlib.contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Hold the key file's lock: of two processes that both miss a key, one makes it and the other reads it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_name(path.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_key_file(path: Path, organisations: Iterable[str]) -> KeyRing:
    """Write a new key file with every key that is needed; raises :class:`KeyFault` when there is one already."""
    try:
        with _alone_with(path):
            if path.exists():
                raise KeyFault(f"{path} is there already and was left alone")
            ring = KeyRing([], {}).completed(organisations)
            write_key_file(path, ring)
            return ring
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> KeyFault:
    return KeyFault(f"{path}: cannot be written ({type(error).__name__}): let the daemon's user write its folder once")


def open_key_ring(path: Path, connection: Connection, organisations: Iterable[str], now: datetime) -> KeyRing:
    """Read the key file, hold it against the database, make what may be made, and note it: the daemon's start.

    A key that is missing here is made only if the database was not written with it (SPEC 2); the file is written and
    synced before the database hears of the new key, so that no row can ever be under a key that was lost. Several
    processes may start at once: those of one key file wait on its lock, those of one database on the database's (on
    SQLite the writing transaction that the caller has begun), and what was noted is held against the ring once more.
    """
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    codes = list(organisations)
    ring = read_key_file(path)
    check_against_database(connection, ring)
    if ring.completed(codes) is not ring:
        try:
            with _alone_with(path):
                ring = read_key_file(path).completed(codes)
                write_key_file(path, ring)
        except OSError as error:
            raise _unwritable(path, error) from None
    note_in_database(connection, ring, now)
    check_against_database(connection, ring)
    return ring
