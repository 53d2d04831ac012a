"""Message profiles that cannot be read: said before a feed is checked by less than somebody wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from daemon.settings.faults import Contradiction
from daemon.settings.sections import Settings

_WRONG: Final = {
    "unreadable": ("cannot be read", "Name a file that the daemon's user may read"),
    "too_large": ("is too large for a message profile", "Name an XML profile of one message"),
    "no_xml": ("is no XML", "Export the profile as XML; a pickle made of it by other tools is not taken"),
    "no_profile": ("has no HL7v2xStaticDef", "Name a message profile (HL7v2xConformanceProfile)"),
    "no_structure": ("names no message structure (MsgStructID)", "Say which, such as ADT_A05"),
    "odd_segment": ("has a segment without a usable name", "Give each Segment and SegGroup its Name"),
}


def unusable_profiles(settings: Settings) -> Iterator[Contradiction]:
    """Find every message profile that no message could be checked by."""
    for position, listener in enumerate(settings.listeners):
        if not listener.message_profiles:
            continue
        from hl7_listener.message_profile import ProfileFault, load_profile  # noqa: PLC0415 (XML: only who has any)

        for path in listener.message_profiles:
            try:
                load_profile(str(path))
            except ProfileFault as fault:
                wrong, mend = _WRONG[fault.code]
                yield Contradiction(("listeners", position, "message_profiles"), f"{path} {wrong}", mend)
