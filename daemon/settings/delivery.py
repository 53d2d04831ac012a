"""[delivery]: how invitations travel, and who carries them."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Strict

from daemon.settings.providers import Gateway, Notify
from daemon.settings.section import Section
from daemon.settings.value_types import (
    Batch,
    Duration,
    FilePath,
    FilePathOrNone,
    Flag,
    Host,
    MailAddressOrNone,
    Many,
    Rate,
    SecretText,
)


class Spool(Section):
    """[delivery.spool]: deliveries as files."""

    folder: FilePath = Path("doorstep-data/spool")
    """The folder of sms/, email/ and letter/, absolute once loaded."""


class Sms(Section):
    """[delivery.sms]."""

    provider: Literal["spool", "notify", "http"] = "spool"
    """Who carries text messages."""
    limits: Many[Rate] = ()
    """What the provider allows, such as "10/s", "3000/m" or "250000/d"; kept by all daemons together."""
    http: Gateway = Gateway()


class Smtp(Section):
    """[delivery.email.smtp]: the mail server, used where provider = "smtp"."""

    host: Host = "mail.example"
    """The server."""
    port: Annotated[int, Strict(), Field(ge=1, le=65535)] = 587
    """Its port."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the connection is protected."""
    ca_file: FilePathOrNone = None
    """PEM file of the only authorities whose certificates are trusted; empty: those of the system."""
    username: str = ""
    """The login; empty: none, and no password is asked for."""
    password: SecretText = Field(default={"env": "SMTP_PASSWORD"})  # type: ignore[assignment]  # validated into a Secret
    """The login's password."""
    sender: Annotated[str, Field(min_length=3, max_length=320)] = "Example Hospital <noreply@example>"
    """The From address."""
    return_path: MailAddressOrNone = ""
    """The address that bounces go to; empty: the sender's."""
    hello: Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9.:\[\]-]*$")] = ""
    """Our name in EHLO; empty: the machine's."""
    timeout: Duration = timedelta(seconds=25)
    """How long one delivery may take; less than half of ``delivery.lease``."""


class Bounces(Section):
    """[delivery.email.bounces]: what mail servers send back to the return path."""

    maildir: FilePathOrNone = None
    """The Maildir that the return path's mails are delivered to; empty: none is read."""
    every: Duration = timedelta(minutes=1)
    """How often it is looked at."""
    secret: SecretText = Field(default={"env": "BOUNCE_TOKEN"})  # type: ignore[assignment]  # validated into a Secret
    """The bearer token for bounces posted whole to /receipts/email; missing: none are taken."""


class Email(Section):
    """[delivery.email]."""

    provider: Literal["spool", "smtp", "notify"] = "spool"
    """Who carries emails."""
    limits: Many[Rate] = ()
    """What the provider allows, such as "10/s", "3000/m" or "250000/d"; kept by all daemons together."""
    smtp: Smtp = Smtp()
    bounces: Bounces = Bounces()


class DropFolder(Section):
    """[delivery.letter.dropfolder]: batches for a print house, used where provider = "dropfolder"."""

    folder: FilePath = Path("doorstep-data/letters")
    """The folder of batches/ and returns/, absolute once loaded."""
    content: Literal["pdf", "manifest"] = "pdf"
    """A PDF for each letter, or a manifest alone, for a mail house that merges into its own stationery."""


class Letter(Section):
    """[delivery.letter]."""

    provider: Literal["spool", "dropfolder", "notify"] = "spool"
    """Who carries letters."""
    limits: Many[Rate] = ()
    """What the provider allows, such as "10/s", "3000/m" or "250000/d"; kept by all daemons together."""
    batch: Batch = "immediate"
    """When letters are handed over: as they come, or ``daily HH:MM`` in the organisation's zone."""
    large_print: Flag = False
    """Whether every letter is in 16 points and larger, on two pages."""
    dropfolder: DropFolder = DropFolder()

    @property
    def daily_at(self) -> time | None:
        """The local time of day at which letters are handed over; None for as they come."""
        _, daily, clock = self.batch.partition("daily ")
        return time.fromisoformat(clock) if daily else None


class Delivery(Section):
    """[delivery]: how invitations travel."""

    first_retry: Duration = timedelta(seconds=30)
    """The pause before the second attempt; later ones double it, with jitter."""
    give_up_after: Duration = timedelta(hours=48)
    """When to turn to the next channel."""
    lease: Duration = timedelta(seconds=60)
    """How long a daemon may hold an outbox entry before another takes it."""
    spool: Spool = Spool()
    notify: Notify = Notify()
    sms: Sms = Sms()
    email: Email = Email()
    letter: Letter = Letter()
