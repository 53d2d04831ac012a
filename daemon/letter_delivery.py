"""Who carries letters, and in what form, as configured.

``spool`` writes each letter to a file as it comes. Where letters are handed over once a day, or where the provider is
``dropfolder``, they go out in batches with a manifest: below ``delivery.letter.dropfolder.folder``, or, of the spool,
below its own folder of letters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from daemon.settings import Delivery, Settings
from invites.channels.channel import Channel, Provider
from invites.channels.drop_folder import DropFolder
from invites.channels.letter_fields import LettersAsFields
from invites.options import Lane
from invites.receipt import Receipt
from invites.receipts import ReceiptReport
from invites.return_files import ReturnFiles

RETURNS: Final = "returns"
"""The folder of return files, beside that of batches."""

_PROGRESS: Final = 1000
"""Letters between two lines of the log while a batch is gathered."""

_LATE: Final = timedelta(days=1)
"""What an unknown outcome may be tried beyond ``give_up_after``: by a daemon that was down, say."""


def letter_lane(settings: Settings, channel: Channel, spool: Provider, now: Callable[[], datetime]) -> Lane:
    """Make the lane of letters. Raises OSError when the folder of batches cannot be made."""
    delivery, letter = settings.delivery, settings.delivery.letter
    if letter.provider != "dropfolder" and letter.daily_at is None:
        return Lane(channel, spool)
    folder, dropped = _folder(delivery), letter.provider == "dropfolder"
    drop = DropFolder(folder, now, remember=delivery.give_up_after + _LATE, progress=_tell)
    languages = {organisation.code: organisation.language for organisation in settings.all_organisations}
    merged = dropped and letter.dropfolder.content == "manifest"
    printed = LettersAsFields(languages, large_print=letter.large_print) if merged else channel
    return Lane(printed, drop, drop.close_batch)


def return_files(
    settings: Settings, take: Callable[[Sequence[Receipt]], ReceiptReport], now: Callable[[], datetime]
) -> ReturnFiles | None:
    """Make the reader of the print house's return files; None where letters go out in no batches. Raises OSError."""
    delivery = settings.delivery
    if delivery.letter.provider != "dropfolder" and delivery.letter.daily_at is None:
        return None
    zone = ZoneInfo(settings.organisation.timezone)
    return ReturnFiles(_folder(delivery) / RETURNS, take, DropFolder.name, zone, now)


def _folder(delivery: Delivery) -> Path:
    dropped = delivery.letter.provider == "dropfolder"
    return delivery.letter.dropfolder.folder if dropped else delivery.spool.folder / "letter"


def _tell(gathered: int) -> None:
    if gathered % _PROGRESS == 0:
        structlog.get_logger("letters").info("letters_gathered", count=gathered)
