"""Every setting: its name, its type, its default and its sentence (SPEC 2).

Each section is one small frozen part, to be handed to whoever needs it and to nobody else. Names and defaults are a
promise to everyone who has a configuration file.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator
from sqlalchemy.engine import make_url

from daemon.settings.secret import Secret
from daemon.settings.value_types import (
    Batch,
    Charset,
    Choices,
    DatabaseUrl,
    Duration,
    DurationOrOff,
    FilePath,
    Flag,
    Host,
    Language,
    Many,
    Name,
    Network,
    Port,
    PublicUrl,
    SecretText,
    Zone,
)


class Section(BaseModel):
    """A table of the configuration: frozen, complete, and without a key that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _sections_present(cls, given: object) -> object:
        """Treat an absent table as an empty one, so that its defaults too are validated at the file's place."""
        if not isinstance(given, dict):
            return given
        tables = (name for name, field in cls.model_fields.items() if _is_section(field.annotation))
        return {**{name: {} for name in tables}, **given}


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


class Database(Section):
    """[database]: where everything is kept."""

    url: DatabaseUrl = Secret("sqlite:///doorstep-data/doorstep.db")
    """``sqlite:///path`` or ``postgresql+psycopg://...``; a secret, for it may hold a password."""
    migrate_on_start: Flag = False
    """Whether ``serve`` may migrate PostgreSQL; SQLite always migrates itself."""

    @property
    def location(self) -> str:
        """The database without user, password and options: what may be logged."""
        url = make_url(self.url.reveal())
        return f"{url.drivername}://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"


class Keys(Section):
    """[keys]: what opens the records."""

    file: FilePath = Path("doorstep-data/keys.json")
    """The key file, absolute once loaded."""


class Organisation(Section):
    """[organisation] and each of [[organisations]]: a hospital as its patients meet it."""

    code: Name = "RX1"
    """Its ODS code."""
    name: Annotated[str, Field(min_length=1, max_length=100)] = "Example Hospital"
    """Its name in messages to patients."""
    contact: Annotated[str, Field(min_length=1, max_length=100)] = "01632 960000"
    """The telephone number for patients' questions."""
    timezone: Zone = "Europe/London"
    """The IANA zone of its dates, and of times that senders give without an offset."""
    language: Language = "en"
    """The language of wording for patients who prefer none."""


class Listener(Section):
    """Each of [[listeners]]: one port that an interface engine sends to."""

    name: Name = "pas"
    """Its name in logs, metrics and sender profiles."""
    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 2575
    """The port; 0 means any free one."""
    organisation: Name = "RX1"
    """The code of the organisation whose patients arrive here; by default [organisation]'s."""
    validation: Literal["off", "sample", "report", "enforce"] = "sample"
    """How much conformance is checked: nothing, one message a second and sender, all, or all before the ACK."""
    verify_status: Flag = False
    """Whether only NHS numbers of status 01 pass; all else is held."""
    processing_ids: Choices[Annotated[str, Field(pattern=r"^[A-Z0-9]{1,3}$")]] = ("P", "T", "D")
    """Processing ids (MSH-11.1) that are accepted; empty counts as P."""
    max_connections: Annotated[int, Strict(), Field(ge=1, le=100_000)] = 2000
    """Connections at a time; more are closed at once."""
    on_storage_failure: Literal["close", "AE", "AR"] = "close"
    """What a sender gets when nothing can be stored: a closed connection makes every sender retry."""
    always_acknowledge: Flag = False
    """Whether to answer even where MSH-15 and MSH-16 ask for silence."""
    held: Literal["AA", "AE"] = "AA"
    """The answer to a held message; AE stops some engines' whole feed."""
    enhanced: Literal["accept", "both"] = "accept"
    """In enhanced mode, asked for both: the accept acknowledgment alone, or CA and then the application's."""
    timezone: Zone = "Europe/London"
    """The IANA zone of times without an offset; by default the listener's organisation's."""
    charset: Charset = ""
    """The character set whatever MSH-18 says; empty believes MSH-18."""
    default_charset: Charset = ""
    """The character set where MSH-18 says nothing; empty tries UTF-8, Windows-1252 and Latin-1 in turn."""
    max_frame_bytes: Annotated[int, Strict(), Field(ge=1024, le=1 << 30)] = 1_048_576
    """The largest message, in bytes; a larger one gets AR, quarantine and a closed connection."""
    frame_deadline: Duration = timedelta(seconds=30)
    """The time a sender has for one whole frame."""
    idle_timeout: DurationOrOff = None
    """How long a connection may be silent between frames; empty: for ever (TCP keepalive is on)."""
    allow: Many[Network] = ()
    """Networks that may connect (CIDR); empty: all."""
    byte_budget: Annotated[int, Strict(), Field(ge=1024)] = 67_108_864
    """Bytes held for all connections together; beyond that sockets are not read."""


class Api(Section):
    """[api]: the hospital network's face (REST, FHIR, ops, metrics)."""

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8080
    """The port; 0 means any free one."""


class Join(Section):
    """[join]: the public face."""

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8081
    """The port; 0 means any free one."""
    public_url: PublicUrl = "http://127.0.0.1:8081"
    """What patients' links begin with, without a slash at its end."""


class Serve(Section):
    """[serve]: the daemon itself."""

    stop_deadline: Duration = timedelta(seconds=30)
    """How long a stop may take to finish the work in hand."""


class Invitations(Section):
    """[invitations]: whom to invite, and how often to look."""

    lifetime_days: Annotated[int, Strict(), Field(ge=1, le=366)] = 30
    """Days that a pair lives from its generation."""
    minimum_age: Annotated[int, Strict(), Field(ge=0, le=120)] = 16
    """Years of age from which a person may be invited."""
    channels: Choices[Literal["sms", "email", "letter"]] = ("sms", "email", "letter")
    """Allowed channels, the preferred one first."""
    every: Duration = timedelta(minutes=1)
    """How often to look for people to invite."""
    batch: Annotated[int, Strict(), Field(ge=1, le=10_000)] = 100
    """Invitations issued in one transaction."""


class Spool(Section):
    """[delivery.spool]: deliveries as files."""

    folder: FilePath = Path("doorstep-data/spool")
    """The folder of sms/, email/ and letter/, absolute once loaded."""


class Sms(Section):
    """[delivery.sms]."""

    provider: Literal["spool", "notify", "http"] = "spool"
    """Who carries text messages."""


class Smtp(Section):
    """[delivery.email.smtp]: the mail server, used where provider = "smtp"."""

    host: Host = "mail.example"
    """The server."""
    port: Annotated[int, Strict(), Field(ge=1, le=65535)] = 587
    """Its port."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the connection is protected."""
    username: str = ""
    """The login; empty: none, and no password is asked for."""
    password: SecretText = Field(default={"env": "SMTP_PASSWORD"})  # type: ignore[assignment]  # validated into a Secret
    """The login's password."""
    sender: Annotated[str, Field(min_length=3, max_length=320)] = "Example Hospital <noreply@example>"
    """The From address."""


class Email(Section):
    """[delivery.email]."""

    provider: Literal["spool", "smtp", "notify"] = "spool"
    """Who carries emails."""
    smtp: Smtp = Smtp()


class Letter(Section):
    """[delivery.letter]."""

    provider: Literal["spool", "notify"] = "spool"
    """Who carries letters."""
    batch: Batch = "immediate"
    """When letters are handed over: as they come, or ``daily HH:MM`` in the organisation's zone."""


class Delivery(Section):
    """[delivery]: how invitations travel."""

    first_retry: Duration = timedelta(seconds=30)
    """The pause before the second attempt; later ones double it, with jitter."""
    give_up_after: Duration = timedelta(hours=48)
    """When to turn to the next channel."""
    lease: Duration = timedelta(seconds=60)
    """How long a daemon may hold an outbox entry before another takes it."""
    spool: Spool = Spool()
    sms: Sms = Sms()
    email: Email = Email()
    letter: Letter = Letter()


class Settings(Section):
    """The whole configuration. ``Settings()`` is the defaults, with relative paths left relative."""

    database: Database = Database()
    keys: Keys = Keys()
    organisation: Organisation = Organisation()
    organisations: Many[Organisation] = ()
    """More organisations, with the same keys."""
    listeners: Many[Listener] = (Listener(),)
    """One for each port."""
    api: Api = Api()
    join: Join = Join()
    serve: Serve = Serve()
    invitations: Invitations = Invitations()
    delivery: Delivery = Delivery()

    @model_validator(mode="before")
    @classmethod
    def _listeners_belong(cls, given: object) -> object:
        """Give each listener that does not say so its organisation, and that organisation's zone."""
        if not isinstance(given, dict):
            return given
        listeners = given.get("listeners", [{}])
        if not isinstance(listeners, list):
            return given
        return {**given, "listeners": [_belonging(listener, given) for listener in listeners]}

    @property
    def all_organisations(self) -> tuple[Organisation, ...]:
        """[organisation] first, then [[organisations]]."""
        return (self.organisation, *self.organisations)


def _belonging(listener: object, given: dict[str, Any]) -> object:
    """Complete one raw listener. Whatever is not yet known to be sound is left for the validators to name."""
    if not isinstance(listener, dict):
        return listener
    first = given.get("organisation", {})
    others = given.get("organisations", [])
    known = [one for one in [first, *(others if isinstance(others, list) else [])] if isinstance(one, dict)]
    code = listener.get("organisation", first.get("code", "RX1") if isinstance(first, dict) else "RX1")
    own = next((one for one in known if one.get("code", "RX1") == code), {})
    return {"organisation": code, "timezone": own.get("timezone", "Europe/London"), **listener}
