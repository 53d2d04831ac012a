"""What a listener needs to know of its configuration: small, frozen, handed in."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from hl7_listener.sender_profile import Answers, SenderProfile
from hl7_listener.senders import NOBODY_DESCRIBED, Senders

MEBIBYTE = 1 << 20

CLOSE: Final = "close"
"""The default of ``on_storage_failure``: no answer and a closed connection."""


class ListenerOptions(Struct, frozen=True):
    """One listener.

    ``batch_acknowledgment`` gives a batch frame one answer, instead of one to each of its messages.
    ``organisation`` is the code whose records its messages make; ``timezone`` is the sender's, for times without an
    offset; ``region`` (ISO 3166-1) reads national phone numbers. ``charset`` overrides MSH-18, ``default_charset``
    follows it (SPEC 3.4). ``validation`` is off, sample, report or enforce; ``message_profiles`` are paths of those to
    check by, too. ``held`` is how a held message is answered (AA or AE: an AE stops some engines' whole feed).
    ``on_storage_failure`` is close, AE or AR (SPEC 3.2). ``content`` and ``permanent`` are what is answered to what
    could be mended and to what never can be; ``senders`` are their profiles.

    Limits, each with its reason: ``max_frame_bytes``, because a frame is held in memory whole; ``frame_deadline`` for
    one whole frame, because half a frame holds memory for as long as its sender likes; ``byte_budget`` for all
    connections together, because many small promises make a large one; ``max_connections``, because each costs a
    descriptor. ``idle_timeout`` None is off: engines keep a quiet link open for days, and TCP keepalive finds the dead.
    """

    name: str
    host: str
    port: int
    organisation: str
    timezone: ZoneInfo
    region: str = "GB"
    charset: str | None = None
    default_charset: str | None = None
    validation: str = "sample"
    message_profiles: tuple[str, ...] = ()
    verify_status: bool = False
    processing_ids: tuple[str, ...] = ("P", "T", "D")
    held: str = "AA"
    both_acknowledgments: bool = False
    always_acknowledge: bool = False
    batch_acknowledgment: bool = False
    on_storage_failure: str = "close"
    max_frame_bytes: int = MEBIBYTE
    frame_deadline: timedelta = timedelta(seconds=30)
    idle_timeout: timedelta | None = None
    max_connections: int = 2000
    byte_budget: int = 64 * MEBIBYTE
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    senders: Senders = NOBODY_DESCRIBED
    content: str = "AE"
    permanent: str = "AR"

    def towards(self, profile: SenderProfile) -> ListenerOptions:
        """Give these options as they are for a sender of that profile."""
        answers = profile.answers
        if profile.charset is None and profile.default_charset is None and answers == Answers():
            return self
        return replace(
            self,
            charset=profile.charset or self.charset,
            default_charset=profile.default_charset or self.default_charset,
            on_storage_failure=answers.passing or self.on_storage_failure,
            content=answers.content or self.content,
            permanent=answers.permanent or self.permanent,
            held=answers.held or self.held,
        )

    @property
    def enforces(self) -> bool:
        """Whether a message is checked before it is applied."""
        return self.validation == "enforce"
