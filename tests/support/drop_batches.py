"""What a print house finds in a drop folder, and checks before it prints."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path


def batches(folder: Path) -> list[Path]:
    """The batches that stand in the drop folder, the oldest first."""
    return sorted((folder / "batches").iterdir())


def manifest(batch: Path) -> list[dict[str, str]]:
    """The rows of a batch's manifest."""
    with (batch / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def handed_over(folder: Path) -> Counter[str]:
    """How often each reference is in a batch; every batch is held against its own manifest and sums."""
    found: Counter[str] = Counter()
    for batch in batches(folder):
        rows = manifest(batch)
        sums = json.loads((batch / "batch.json").read_bytes())
        assert sums["batch"] == batch.name
        assert sums["letters"] == len(rows) > 0
        assert sums["manifest_sha256"] == hashlib.sha256((batch / "manifest.csv").read_bytes()).hexdigest()
        assert [(row["number"], row["of"]) for row in rows] == [
            (str(number), str(len(rows))) for number in range(1, len(rows) + 1)
        ]
        files = {row["file"] for row in rows if row.get("file")}
        assert {path.name for path in batch.iterdir()} == files | {"manifest.csv", "batch.json"}
        for row in rows:
            if row.get("file"):
                content = (batch / row["file"]).read_bytes()
                assert (row["sha256"], row["bytes"]) == (hashlib.sha256(content).hexdigest(), str(len(content)))
        found.update(row["reference"] for row in rows)
    return found
