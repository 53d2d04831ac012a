"""What is wrong with TLS files is said by setting, so that it can be mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from daemon.cli import doorstep
from hl7_listener.certificates import TlsOptions, faults
from hl7_listener.tls import TlsSide
from tests.support.certificates import Authority, Signed

Change = Callable[[Authority, Signed], TlsOptions]


def plain(_authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.certificate, server.key)


def absent(_authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.certificate.with_name("nowhere.crt"), server.key)


def unreadable_key(_authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.certificate, server.key.parent)


def swapped(_authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.key, server.certificate)


def mismatched(authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.certificate, authority.sign("other").key)


def expired(authority: Authority, _server: Signed) -> TlsOptions:
    old = authority.sign("old", days=(-9, -1))
    return TlsOptions(old.certificate, old.key)


def not_yet(authority: Authority, _server: Signed) -> TlsOptions:
    new = authority.sign("new", days=(1, 9))
    return TlsOptions(new.certificate, new.key)


def encrypted(authority: Authority, _server: Signed) -> TlsOptions:
    locked = authority.sign("locked", password="open sesame")
    return TlsOptions(locked.certificate, locked.key)


def opened(authority: Authority, _server: Signed) -> TlsOptions:
    locked = authority.sign("locked", password="open sesame")
    return TlsOptions(locked.certificate, locked.key, "open sesame")


def wrong_password(authority: Authority, _server: Signed) -> TlsOptions:
    locked = authority.sign("locked", password="open sesame")
    return TlsOptions(locked.certificate, locked.key, "abracadabra")


def needless_password(_authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.certificate, server.key, "open sesame")


def binary(_authority: Authority, server: Signed) -> TlsOptions:
    der = x509.load_pem_x509_certificate(server.certificate.read_bytes()).public_bytes(Encoding.DER)
    server.certificate.write_bytes(der)
    return TlsOptions(server.certificate, server.key)


def no_authority(_authority: Authority, server: Signed) -> TlsOptions:
    return TlsOptions(server.certificate, server.key, client_authority=server.key)


CASES: list[tuple[Change, list[tuple[str, str]]]] = [
    (plain, []),
    (absent, [("certificate", "unreadable")]),
    (unreadable_key, [("key", "unreadable")]),
    (swapped, [("certificate", "no_certificate"), ("key", "no_key")]),
    (mismatched, [("key", "other_key")]),
    (expired, [("certificate", "expired")]),
    (not_yet, [("certificate", "not_yet")]),
    (encrypted, [("key", "key_encrypted")]),
    (opened, []),
    (wrong_password, [("key", "no_key")]),
    (needless_password, []),
    (binary, [("certificate", "no_certificate")]),
    (no_authority, [("client_authority", "no_certificate")]),
]


@pytest.mark.parametrize(("change", "expected"), CASES, ids=[change.__name__ for change, _ in CASES])
def test_each_fault_names_its_setting(tmp_path: Path, change: Change, expected: list[tuple[str, str]]) -> None:
    authority = Authority(tmp_path)
    options = change(authority, authority.sign("server"))
    now = datetime.now(UTC)
    found = list(faults(options, now))
    assert [(fault.setting, fault.code) for fault in found] == expected
    assert all("BEGIN" not in fault.wrong and "sesame" not in repr(fault) for fault in found)
    if not expected:
        TlsSide(options, now)  # OpenSSL takes what has no fault


def configured(tmp_path: Path, tls: str) -> Path:
    file = tmp_path / "doorstep.toml"
    file.write_text(f"[[listeners]]\nport = 0\n[listeners.tls]\n{tls}\n", encoding="utf-8")
    return file


def checked(file: Path) -> tuple[int, list[tuple[str, str]]]:
    result = CliRunner().invoke(doorstep, ["check-config", "--config", str(file), "--json"])
    return result.exit_code, [(one["key"], one["wrong"]) for one in json.loads(result.stdout)]


def test_check_config_shows_what_is_wrong_with_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.sign("old", days=(-9, -1))
    authority.sign("other")
    status, found = checked(configured(tmp_path, 'certificate = "old.crt"\nkey = "other.key"'))
    assert status == 1
    assert [key for key, _ in found] == ["listeners.0.tls.certificate", "listeners.0.tls.key"]
    assert found[0][1].startswith("expired on ")
    assert found[1][1] == "does not belong to the certificate"


@pytest.mark.parametrize(
    ("tls", "key"),
    [
        ('certificate = "server.crt"', "key"),
        ('key = "server.key"', "certificate"),
        ('client_authority = "authority.pem"', "client_authority"),
        ('certificate = "server.crt"\nkey = "server.key"\nallowed_subjects = ["x"]', "allowed_subjects"),
        ('certificate = "server.crt"\nkey = "server.key"\nkey_password = {env = "NOT_SET"}', "key_password"),
    ],
)
def test_half_a_tls_is_a_fault(tmp_path: Path, tls: str, key: str) -> None:
    Authority(tmp_path).sign("server")
    assert [found for found, _ in checked(configured(tmp_path, tls))[1]] == [f"listeners.0.tls.{key}"]


def test_a_certificate_that_ends_soon_is_a_warning(tmp_path: Path) -> None:
    Authority(tmp_path).sign("server", days=(-1, 7.5))
    file = configured(tmp_path, 'certificate = "server.crt"\nkey = "server.key"')
    result = CliRunner().invoke(doorstep, ["check-config", "--config", str(file)])
    assert result.exit_code == 0
    assert "warning: the certificate of listener pas expires in 7 days" in result.stderr
