"""A process that gathers letters and closes batches until it is killed: ``FOLDER SEED REFERENCE...``.

It says of each letter that was accepted, on a line of its own.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from invites.channels.channel import Accepted, Request
from invites.channels.drop_folder import DropFolder


def main() -> None:
    """Send the references in order, closing a batch every few letters."""
    folder, seed, *references = sys.argv[1:]
    dice = random.Random(seed)
    drop = DropFolder(Path(folder), lambda: datetime.now(UTC))
    for reference in references:
        outcome = drop.send(Request("letter", reference, "", b"%PDF-1.7 /Type/Pages/Count 1 " * 500))
        if isinstance(outcome, Accepted):
            sys.stdout.write(f"{reference}\n")
            sys.stdout.flush()
        if dice.random() < 0.25:
            drop.close_batch()
    while drop.close_batch():
        pass
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
