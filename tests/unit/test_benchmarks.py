from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, run
from benchmarks.scale import TINY
from benchmarks.workbench import DATABASES

SIZED = {"rate", "p50", "seconds", "doorstep"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_runs_and_gives_numbers(name: str, tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    [table] = run((name,), TINY, DATABASES, tmp_path, file)
    assert table.name == name
    assert table.rows
    for row in table.rows:
        assert set(row) <= {column.key for column in table.columns}
        assert any(isinstance(row.get(key), float) and row[key] for key in SIZED)
    written = json.loads(file.read_text())
    assert written["tables"][0]["rows"] == table.rows
    assert str(tmp_path) not in file.read_text()
    assert list(tmp_path.iterdir()) == [file]
