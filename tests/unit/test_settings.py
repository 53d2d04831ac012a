"""The configuration: where it is looked for, what overrides it, and that every fault is named with its mend."""

from __future__ import annotations

import json
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.settings import ConfigurationFaults, Fault, Listener, Settings, as_json, find, for_people, load
from daemon.settings.key_names import key_names

CANARY = "correct-horse-battery"


SMTP = "[delivery.email]\nprovider='smtp'\n[delivery.email.smtp]\n"
NOTIFY = "[delivery.sms]\nprovider='notify'\n[delivery.notify]\n"
KEY = "key='a-11111111-1111-4111-8111-111111111111-22222222-2222-4222-8222-222222222222'\n"
HTTP = "[delivery.sms]\nprovider='http'\n[delivery.sms.http]\n"
URL = "url='https://h'\n"
MAIL = SMTP + "host='h'\nsender='A <a@b.example>'\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "doorstep.toml"
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    return load(written(folder, text), environ or {})


def faults(folder: Path, text: str, environ: dict[str, str] | None = None, *, serving: bool = False) -> list[Fault]:
    with pytest.raises(ConfigurationFaults) as caught:
        load(written(folder, text), environ or {}, serving=serving)
    assert CANARY not in str(caught.value)
    return list(caught.value.faults)


def keys(found: list[Fault]) -> list[str]:
    return [fault.key for fault in found]


class TestWhereItIsLookedFor:
    def test_what_was_asked_for_comes_first(self, tmp_path: Path) -> None:
        written(tmp_path, "")
        environ = {"DOORSTEP_CONFIG": "other.toml"}
        assert find(Path("asked.toml"), environ, tmp_path) == tmp_path / "asked.toml"
        assert find(None, environ, tmp_path) == tmp_path / "other.toml"
        assert find(None, {"DOORSTEP_CONFIG": ""}, tmp_path) == tmp_path / "doorstep.toml"

    def test_without_a_file_there_are_defaults_in_the_current_folder(self, tmp_path: Path) -> None:
        settings = load(None, {}, folder=tmp_path)
        assert settings.database.url.reveal() == f"sqlite:///{tmp_path}/doorstep-data/doorstep.db"
        assert settings.keys.file == tmp_path / "doorstep-data/keys.json"
        assert settings.delivery.spool.folder == tmp_path / "doorstep-data/spool"

    def test_a_file_that_was_asked_for_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationFaults, match="cannot be read") as caught:
            load(tmp_path / "absent.toml", {})
        assert caught.value.faults[0].file == str(tmp_path / "absent.toml")

    def test_relative_paths_are_taken_from_the_files_folder(self, tmp_path: Path) -> None:
        text = (
            '[database]\nurl = "sqlite:///data/d.db"\n[keys]\nfile = "/etc/keys.json"\n[delivery.spool]\nfolder = "out"'
        )
        settings = loaded(tmp_path, text)
        assert settings.database.location == f"sqlite:///{tmp_path}/data/d.db"
        assert settings.keys.file == Path("/etc/keys.json")
        assert settings.delivery.spool.folder == tmp_path / "out"

    def test_a_byte_order_mark_is_no_fault(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, "\ufeff[api]\nport = 9").api.port == 9


class TestEnvironment:
    def test_it_overrides_the_file_in_each_kind_of_value(self, tmp_path: Path) -> None:
        environ = {
            "DOORSTEP_DATABASE__URL": "postgresql+psycopg://u:p@db/doorstep",
            "DOORSTEP_DATABASE__MIGRATE_ON_START": "true",
            "DOORSTEP_DELIVERY__EMAIL__SMTP__PORT": "25",
            "DOORSTEP_DELIVERY__FIRST_RETRY": "5s",
            "DOORSTEP_CONFIG": "ignored",
            "DOORSTEP_CAMPAIGN": "1",
            "PATH": "/bin",
        }
        settings = loaded(tmp_path, "[delivery]\nfirst_retry = '9s'\ngive_up_after = '1h'", environ)
        assert settings.database.location == "postgresql+psycopg://db/doorstep"
        assert settings.database.migrate_on_start is True
        assert settings.delivery.email.smtp.port == 25
        assert settings.delivery.first_retry == timedelta(seconds=5)
        assert settings.delivery.give_up_after == timedelta(hours=1)

    @pytest.mark.parametrize(
        ("name", "wrong", "mend"),
        [
            ("DOORSTEP_API__PROT", "is no setting", "Did you mean DOORSTEP_API__PORT?"),
            ("DOORSTEP_LISTENERS__0__PORT", "points into a list", "configuration file"),
            ("DOORSTEP_LISTENERS__PORT", "points into a list", "configuration file"),
            ("DOORSTEP_LISTENERS", "points into a list", "configuration file"),
            ("DOORSTEP_INVITATIONS__CHANNELS", "points into a list", "configuration file"),
            ("DOORSTEP_API", "names a section", "DOORSTEP_API__NAME"),
            ("DOORSTEP_SERVICE_HOST", "is no setting", "enableServiceLinks"),
            ("DOORSTEP_PORT_8080_TCP_ADDR", "is no setting", "enableServiceLinks"),
            ("DOORSTEP_XYZZY", "is no setting", "Remove it"),
        ],
    )
    def test_a_name_that_overrides_nothing_is_a_fault(self, tmp_path: Path, name: str, wrong: str, mend: str) -> None:
        (fault,) = faults(tmp_path, "", {name: CANARY})
        assert (fault.file, fault.key) == ("environment", name)
        assert wrong in fault.wrong
        assert mend in fault.mend

    def test_a_faulty_value_names_its_variable_and_not_the_file(self, tmp_path: Path) -> None:
        (fault,) = faults(tmp_path, "[api]\nport = 9", {"DOORSTEP_API__PORT": CANARY})
        assert (fault.file, fault.key) == ("environment", "DOORSTEP_API__PORT")
        assert "whole number" in fault.wrong

    def test_a_secret_given_twice_is_a_fault(self, tmp_path: Path) -> None:
        (fault,) = faults(tmp_path, "", {"DOORSTEP_DATABASE__URL": "sqlite:///a", "DOORSTEP_DATABASE__URL__FILE": "b"})
        assert fault.key == "DOORSTEP_DATABASE__URL__FILE"
        assert fault.wrong == "is given by DOORSTEP_DATABASE__URL too"

    def test_every_variable_that_the_reference_promises_is_read(self, tmp_path: Path) -> None:
        for key in key_names():
            if not key.listed:
                with pytest.raises(ConfigurationFaults) as caught:
                    load(written(tmp_path, ""), {key.variable + "X": ""})
                assert key.variable in caught.value.faults[0].mend


class TestFaults:
    def test_all_are_named_at_once_and_nothing_that_follows_from_another(self, tmp_path: Path) -> None:
        text = """
            databse = 3
            [organisation]
            code = "RX 1"
            [[listeners]]
            prot = 1
            port = "2575"
            processing_ids = ["P", 3]
            allow = ["10.0.0.0/33"]
            frame_deadline = "3 seconds"
            [[listeners]]
            validation = "all"
            charset = "utf-16"
            verify_status = "yes"
            [api]
            port = 70000
            [join]
            public_url = "patients.example"
            [delivery.sms]
            provider = "pigeon"
            [delivery.email]
            smtp = 3
            [smtp]
        """
        found = faults(tmp_path, text, serving=True)
        assert sorted(keys(found)) == sorted(
            [
                "databse",
                "organisation.code",
                "listeners.0.prot",
                "listeners.0.port",
                "listeners.0.processing_ids.1",
                "listeners.0.allow.0",
                "listeners.0.frame_deadline",
                "listeners.1.validation",
                "listeners.1.charset",
                "listeners.1.verify_status",
                "listeners.1.name",
                "api.port",
                "join.public_url",
                "delivery.sms.provider",
                "delivery.email.smtp",
                "smtp",
            ]
        )
        assert all(fault.wrong and fault.mend for fault in found)

    @pytest.mark.parametrize(
        ("text", "key", "meant"),
        [
            ("[api]\nprot = 1", "api.prot", "api.port"),
            ("[listener]\nport = 1", "listener", "listeners"),
            ("[[listeners]]\nnmae = 'x'", "listeners.0.nmae", "listeners.0.name"),
            ("lifetime_days = 30", "lifetime_days", "invitations.lifetime_days"),
            ("public_url = 'http://x'", "public_url", "api.public_url or join.public_url"),
            ("[smtp]", "smtp", "delivery.email.smtp"),
            ("[[organisations]]\ncode='A'\nname='B'\ncontact='1'\nzone=''", "organisations.0.zone", ""),
        ],
    )
    def test_an_unknown_key_is_refused_with_the_nearest_right_one(
        self, tmp_path: Path, text: str, key: str, meant: str
    ) -> None:
        (fault,) = faults(tmp_path, text)
        assert fault.key == key
        assert fault.mend == (f"Did you mean {meant}?" if meant else fault.mend)

    def test_a_slip_of_syntax_names_its_line(self, tmp_path: Path) -> None:
        (fault,) = faults(tmp_path, f"[api]\nport = 1\nhost = {CANARY}")
        assert fault.line == 3
        assert str(fault).startswith(f"{tmp_path}/doorstep.toml:3: is no TOML")

    def test_text_that_is_not_utf8_is_a_fault(self, tmp_path: Path) -> None:
        file = tmp_path / "doorstep.toml"
        file.write_bytes("[organisation]\nname = 'Hôpital'".encode("latin-1"))
        with pytest.raises(ConfigurationFaults, match="not UTF-8"):
            load(file, {})

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("listeners = 3", "listeners"),
            ("[listeners]\nport = 1", "listeners"),
            ("organisations = 'x'", "organisations"),
            ("organisation = 'x'", "organisation"),
            ("listeners = ['x']", "listeners.0"),
            ("[api]\nport = true", "api.port"),
            ("[api]\nport = -1", "api.port"),
            ("[api]\nhost = ''", "api.host"),
            ("[invitations]\nchannels = []", "invitations.channels"),
            ("[invitations]\nexcluded_senders = ['PAS']", "invitations.excluded_senders.0"),
            ("[invitations]\nchannels = ['sms', 'sms']", "invitations.channels"),
            ("[invitations]\nchannels = ['fax']", "invitations.channels.0"),
            ("[invitations]\nevery = '0s'", "invitations.every"),
            ("[invitations]\nevery = '99999999d'", "invitations.every"),
            ("[invitations]\nevery = 60", "invitations.every"),
            ("[invitations]\nlifetime_days = 0", "invitations.lifetime_days"),
            ("[organisation]\ntimezone = 'Europe/Londres'", "organisation.timezone"),
            ("[organisation]\ntimezone = '../etc'", "organisation.timezone"),
            ("[organisation]\nlanguage = 'English'", "organisation.language"),
            ("[[listeners]]\nallow = ['10.0.0.1/8']", "listeners.0.allow.0"),
            ("[[listeners]]\ncharset = 'utf-17'", "listeners.0.charset"),
            ("[[listeners]]\ncharset = 'base64'", "listeners.0.charset"),
            ("[[listeners]]\nheld = 'AR'", "listeners.0.held"),
            ("[keys]\nfile = ''", "keys.file"),
            ("[delivery.letter]\nbatch = 'daily 25:00'", "delivery.letter.batch"),
            ("[join]\npublic_url = 'https://a/?b'", "join.public_url"),
            ("[database]\nurl = 'sqlite://'", "database.url"),
            ("[database]\nurl = 'sqlite:///:memory:'", "database.url"),
            ("[database]\nurl = 'mysql://a/b'", "database.url"),
            (f"[database]\nurl = '{CANARY}'", "database.url"),
            ("[database]\nurl = {env = 'ABSENT'}", "database.url"),
            ("[database]\nurl = {file = 'absent'}", "database.url"),
            (f"[database]\nurl = {{value = '{CANARY}'}}", "database.url"),
        ],
    )
    def test_a_value_that_cannot_be_is_refused(self, tmp_path: Path, text: str, key: str) -> None:
        assert keys(faults(tmp_path, text)) == [key]

    def test_they_are_rendered_for_people_and_for_scripts(self) -> None:
        one = Fault("f.toml", "api.port", "is too large", "Choose 65535 or less")
        two = Fault("f.toml", "", "is no TOML", "Correct the line", 4)
        assert for_people([one, two]) == (
            "f.toml: api.port: is too large. Choose 65535 or less.\nf.toml:4: is no TOML. Correct the line."
        )
        assert json.loads(as_json([one])) == [
            {"file": "f.toml", "key": "api.port", "wrong": "is too large", "mend": "Choose 65535 or less"}
        ]


class TestContradictions:
    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("[[listeners]]\nport=1\n[[listeners]]\nport=2", "listeners.1.name"),
            ("[[listeners]]\nport=7\nname='a'\n[[listeners]]\nport=7\nname='b'", "listeners.1.port"),
            ("[[listeners]]\nport=8080\nhost='0.0.0.0'", "api.port"),
            ("[api]\nport = 8081", "join.port"),
            ("[[listeners]]\norganisation='RX2'", "listeners.0.organisation"),
            ("[invitations]\nexcluded_organisations=['RX1', 'RX2']", "invitations.excluded_organisations.1"),
            ("[[invitations.cohorts]]\norganisations=['rx1']", "invitations.cohorts.0.organisations.0"),
            ("[[organisations]]\ncode='RX1'\nname='B'\ncontact='1'", "organisations.0.code"),
            ("[[organisations]]\ncode='RX2'\nname='B'", "organisations.0.contact"),
            ("[[listeners]]\nbyte_budget=2048", "listeners.0.byte_budget"),
            ("[delivery]\nfirst_retry='3d'", "delivery.first_retry"),
            ("[delivery]\ngive_up_after='30d'", "delivery.give_up_after"),
            ("[invitations]\nlifetime_days=14", "invitations.lifetime_days"),
            (SMTP + "host='h'", "delivery.email.smtp.sender"),
            (SMTP + "sender='A <a@b.example>'", "delivery.email.smtp.host"),
            (MAIL + "username='u'", "delivery.email.smtp.password"),
            (MAIL + "username='u'\ntls='none'\npassword='p'", "delivery.email.smtp.tls"),
            (MAIL + "ca_file='nowhere.pem'", "delivery.email.smtp.ca_file"),
            (MAIL + "timeout='31s'", "delivery.email.smtp.timeout"),
            (SMTP + "host='h'\nsender='nobody'", "delivery.email.smtp.sender"),
            ("[delivery.letter]\nprovider='notify'", "delivery.notify.key"),
            ("[delivery.sms]\nlimits=['10']", "delivery.sms.limits.0"),
            ("[delivery.email]\nlimits=['0/s']", "delivery.email.limits.0"),
            ("[delivery.notify]\ncallback_secret='short'", "delivery.notify.callback_secret"),
            ("[delivery.email.bounces]\nmaildir='nowhere'", "delivery.email.bounces.maildir"),
            (NOTIFY + "key='slip'\nsms_template='t'", "delivery.notify.key"),
            (NOTIFY + KEY, "delivery.notify.sms_template"),
            ("[delivery.email]\nprovider='notify'\n[delivery.notify]\n" + KEY, "delivery.notify.email_template"),
            (NOTIFY + KEY + "sms_template='t'\ntimeout='1m'", "delivery.notify.timeout"),
            (HTTP, "delivery.sms.http.url"),
            (HTTP + URL + "body='{to}'", "delivery.sms.http.body"),
            (HTTP + URL + "body='[\"{name}\"]'", "delivery.sms.http.body"),
            (HTTP + URL + "headers=['X-Key: {secret}']", "delivery.sms.http.secret"),
            (HTTP + URL + "headers=['X-Key']", "delivery.sms.http.headers.0"),
            (HTTP + URL + "username='u'", "delivery.sms.http.password"),
            (HTTP + URL + "body='[]'\ndeduplicates=true", "delivery.sms.http.deduplicates"),
            (HTTP + URL + "search_url='https://h'", "delivery.sms.http.search_url"),
            (HTTP + URL + "accepted=['yes']", "delivery.sms.http.accepted.0"),
            (HTTP + URL + "accepted=['200 body~(']", "delivery.sms.http.accepted.0"),
            (HTTP + URL + "ca_file='nowhere'", "delivery.sms.http.ca_file"),
        ],
    )
    def test_settings_that_cannot_stand_together_are_a_fault(self, tmp_path: Path, text: str, key: str) -> None:
        assert keys(faults(tmp_path, text)) == [key]

    def test_rates_are_read(self, tmp_path: Path) -> None:
        limits = loaded(tmp_path, "[delivery.sms]\nlimits=['10/s', '3000/m', '250000/d']").delivery.sms.limits
        assert [(one.most, one.period.total_seconds()) for one in limits] == [(10, 1), (3000, 60), (250000, 86400)]

    def test_port_0_meets_nobody(self, tmp_path: Path) -> None:
        text = "[[listeners]]\nport=0\n[api]\nport=0\n[join]\nport=0"
        assert loaded(tmp_path, text).join.port == 0


class TestListeners:
    def test_one_belongs_to_the_first_organisation_and_keeps_its_zone(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, "[organisation]\ncode = 'AB'\ntimezone = 'Europe/Paris'")
        assert (settings.listeners[0].organisation, settings.listeners[0].timezone) == ("AB", "Europe/Paris")

    def test_another_follows_the_organisation_that_it_names(self, tmp_path: Path) -> None:
        text = """
            [[organisations]]
            code = "RX2"
            name = "Two"
            contact = "1"
            timezone = "Europe/Dublin"
            [[listeners]]
            name = "a"
            organisation = "RX2"
            [[listeners]]
            name = "b"
            port = 2
            timezone = "Asia/Tokyo"
            idle_timeout = "5m"
            allow = ["10.1.0.0/16", "2001:db8::/32", "192.0.2.7"]
            charset = "Windows-1252"
        """
        one, two = loaded(tmp_path, text).listeners
        assert one.timezone == "Europe/Dublin"
        assert (two.organisation, two.timezone, two.idle_timeout) == ("RX1", "Asia/Tokyo", timedelta(minutes=5))
        assert two.allow == (ip_network("10.1.0.0/16"), ip_network("2001:db8::/32"), ip_network("192.0.2.7/32"))
        assert two.charset == "cp1252"

    def test_there_may_be_none(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, "listeners = []").listeners == ()


class TestSecrets:
    @pytest.mark.parametrize(
        "given", [f'"{CANARY}"', "{file = 'secret.txt'}", "{env = 'THE_PASSWORD'}"], ids=["text", "file", "env"]
    )
    def test_each_form_gives_the_value_and_no_repr_does(self, tmp_path: Path, given: str) -> None:
        (tmp_path / "secret.txt").write_text(CANARY + "\n", encoding="utf-8")
        settings = loaded(tmp_path, f"[delivery.email.smtp]\npassword = {given}", {"THE_PASSWORD": CANARY})
        password = settings.delivery.email.smtp.password
        assert password.reveal() == CANARY
        assert repr(password) == "<Secret ***>"
        assert CANARY not in f"{settings!r}{settings}{password!r}{password}{[password]}"

    def test_the_environment_may_point_to_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "url").write_text("postgresql+psycopg://u:p@db/x", encoding="utf-8")
        settings = loaded(tmp_path, "", {"DOORSTEP_DATABASE__URL__FILE": "url"})
        assert settings.database.location == "postgresql+psycopg://db/x"

    def test_a_missing_one_is_no_fault_where_nobody_needs_it(self, tmp_path: Path) -> None:
        password = loaded(tmp_path, "").delivery.email.smtp.password
        assert password.missing == "environment variable SMTP_PASSWORD is not set"
        with pytest.raises(LookupError, match="SMTP_PASSWORD is not set"):
            password.reveal()

    def test_the_databases_location_holds_no_password(self, tmp_path: Path) -> None:
        url = f"postgresql+psycopg://u:{CANARY}@db:5433/x?password={CANARY}"
        settings = loaded(tmp_path, f"[database]\nurl = '{url}'")
        assert settings.database.location == "postgresql+psycopg://db:5433/x"
        assert settings.database.url.reveal() == url


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().api.port = 1


def test_the_defaults_are_valid_as_they_are_written() -> None:
    assert Settings().listeners == (Listener(),)
