"""The provider that writes files: for the demo, for tests, and for whoever carries messages on by other means.

Theory. A message is a file named after its reference, ``<folder>/<channel>/<reference>.<txt|eml|pdf>``. It is written
under a name of its own, made durable, and then linked to its final name, which ``link(2)`` refuses to give twice. So a
file under its final name is always whole, and the same reference sent again, by whatever thread, daemon or attempt,
finds the first one and is :class:`Accepted` without a second. That is why the spool *deduplicates*: an unknown outcome
is settled by sending again, with no gap between a search and what follows from it. This holds for as long as the file
stays in its folder; whoever takes files away should leave them until the delivery has been given up or finished.

Accepted is said after the file and its entry in the folder are on the disk. Threads that send at the same time share
one sync of the folder. What a killed process leaves behind is a hidden ``.part`` file, never a message; the next start
sweeps it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from invites.channels.channel import (
    EMAIL,
    LETTER,
    SMS,
    Accepted,
    NotSent,
    Outcome,
    Refused,
    Request,
    Settlement,
    Unknown,
    is_reference,
)
from invites.channels.durable_folder import DurableFolder, fault_code

_SUFFIX: Final = {SMS: ".txt", EMAIL: ".eml", LETTER: ".pdf"}
_WHOSE: Final = "spool"


class Spool:
    """Writes each message to a file of its own below ``folder``. Raises OSError when that cannot be made.

    A folder that goes away later is not made again: it may be a disk that was unmounted, and what was written in its
    place would be found by nobody. Sending is NotSent until it is back.
    """

    name = "spool"
    settlement = Settlement.DEDUPLICATES
    settle_after = timedelta(0)

    def __init__(self, folder: Path) -> None:
        self._folders = {channel: DurableFolder(folder / channel) for channel in _SUFFIX}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for box in self._folders.values():
            box.prepare()

    def send(self, request: Request) -> Outcome:
        """Write the file. NotSent when the disk is full or closed to us, Unknown when it stands but may not last."""
        box = self._folders.get(request.channel)
        if box is None:
            return Refused("no_such_channel")
        if not is_reference(request.reference):
            return Refused("bad_reference")
        name = request.reference + _SUFFIX[request.channel]
        try:
            box.put(name, _content(request))
        except OSError as fault:
            return NotSent(fault_code(_WHOSE, fault))
        return self._settled(box, request.channel, name)

    def search(self, reference: str) -> Outcome:
        """Look for the reference's file in every channel's folder."""
        if not is_reference(reference):
            return NotSent("bad_reference")
        for channel, suffix in _SUFFIX.items():
            try:
                found = self._folders[channel].has(reference + suffix)
            except OSError as fault:
                return Unknown(fault_code(_WHOSE, fault))
            if found:
                return self._settled(self._folders[channel], channel, reference + suffix)
        return NotSent("not_in_spool")

    def _settled(self, box: DurableFolder, channel: str, name: str) -> Outcome:
        """A file that is there counts once its folder is on the disk too."""
        try:
            box.sync()
        except OSError as fault:
            return Unknown(fault_code(_WHOSE, fault))
        return Accepted(f"{channel}/{name}")


def _content(request: Request) -> bytes:
    """A text message carries its number; the others say whom they are for."""
    return b"To: %s\n\n%s\n" % (request.to.encode(), request.body) if request.channel == SMS else request.body
