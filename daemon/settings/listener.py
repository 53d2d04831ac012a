"""Each of [[listeners]]: a port that an interface engine sends to."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, Strict

from daemon.settings.secret import Secret
from daemon.settings.section import Section
from daemon.settings.value_types import (
    Charset,
    Choices,
    Duration,
    DurationOrOff,
    FilePath,
    FilePathOrNone,
    Flag,
    Host,
    Many,
    Name,
    Network,
    Port,
    SecretText,
    Zone,
)


class ListenerTls(Section):
    """[listeners.tls]: TLS on one port; without a certificate it speaks plain TCP."""

    certificate: FilePathOrNone = None
    """The server's certificate and its chain, PEM."""
    key: FilePathOrNone = None
    """The certificate's private key, PEM."""
    key_password: SecretText = Secret("")
    """The key's password; empty: it is not encrypted."""
    client_authority: FilePathOrNone = None
    """Whose certificates senders must show, PEM; empty: they need none."""
    allowed_subjects: Many[Annotated[str, Field(min_length=1, max_length=255)]] = ()
    """Names of which a sender's certificate must have one; empty: any that the authority signed."""
    minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""
    handshake_timeout: Duration = timedelta(seconds=10)
    """How long a handshake may take."""


ProfileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")]


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
    profile: ProfileName = ""
    """The sender profile of those senders whom no profile matches: a file in senders.folder, or one that is shipped."""
    validation: Literal["off", "sample", "report", "enforce"] = "sample"
    """How much conformance is checked: nothing, one message a second and sender, all, or all before the ACK."""
    message_profiles: Many[FilePath] = ()
    """Message profiles (XML) by which conformance is checked, too: for each message the first that is for it."""
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
    batch_acknowledgment: Literal["each", "batch"] = "each"
    """The answer to a batch in one frame: one for each message, or one batch of acknowledgments."""
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
    tls: ListenerTls = ListenerTls()
