"""A CSV file as people have them: charsets, quoting, and what could not be used, handed back."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hl7_listener.csv_file import CsvFault, Rejects, rows_of, survey
from hl7_listener.csv_rows import DateForm

HEADER = "First Name,LAST_NAME,date_of_birth,national_id\r\n"


def written(folder: Path, text: str, charset: str = "utf-8") -> Path:
    path = folder / "people.csv"
    path.write_bytes(text.encode(charset))
    return path


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "cp1252"])
def test_charsets_are_told_apart_by_the_whole_file(tmp_path: Path, charset: str) -> None:
    path = written(tmp_path, HEADER + "Zoë,Archer,1970-01-31,9990000018\r\n", charset)
    found = survey(path)
    assert (found.rows, found.dates) == (1, DateForm.ISO)
    assert next(rows_of(path, found)).values["first_name"] == "Zoë"


def test_quotes_commas_and_line_ends_in_values(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + '"Una ""Bo""","Archer, of\r\nSampleton",31/01/1970,1\r\n\r\nKit,Bowman,,2\r\n')
    found = survey(path)
    assert (found.rows, found.dates) == (2, DateForm.DAY_FIRST)
    first, second = rows_of(path, found)
    assert first.values["first_name"] == 'Una "Bo"'
    assert first.values["last_name"] == "Archer, of\r\nSampleton"
    assert (first.line, second.line) == (3, 5)


def test_a_row_of_another_width_has_no_values(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "Una,Archer\r\nKit,Bowman,,2,more\r\n")
    assert [row.fits for row in rows_of(path, survey(path))] == [False, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("first_name;last_name;national_id\r\n", "not divided by commas"),
        ("", "lacks"),
        (HEADER + 'Una,"Archer,1970-01-31,1\r\n', "line 2"),
        (HEADER + "Una,Archer,Jan 1970,1\r\n", "--dates"),
    ],
)
def test_what_is_no_such_file_says_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CsvFault, match=says) as fault:
        survey(written(tmp_path, text))
    assert "Archer" not in str(fault.value)


def test_rejected_rows_come_back_as_they_stood_with_the_reason(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + 'Zoë,"Archer, of",1970,1\r\nKit\r\n', "cp1252")
    found = survey(path, DateForm.ISO)
    rejects = Rejects(path, found)
    for row in rows_of(path, found):
        rejects.add(row, "not good")
    assert not rejects.path.exists()
    place = rejects.finish()
    assert place == tmp_path / "people.csv.rejected.csv"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert place.read_bytes().decode("cp1252") == (
        "First Name,LAST_NAME,date_of_birth,national_id,reason\r\n"
        'Zoë,"Archer, of",1970,1,not good\r\nKit,,,,not good\r\n'
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["people.csv", "people.csv.rejected.csv"]


def test_a_rejected_file_can_be_mended_and_imported_itself(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "Una,Archer,1970-01-31,1\r\n")
    found = survey(path)
    rejects = Rejects(path, found)
    for row in rows_of(path, found):
        rejects.add(row, "not good")
    again = rejects.finish()
    assert again is not None
    assert survey(again).columns == (*found.columns, None)


def test_a_run_without_rejects_takes_the_last_ones_away(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER)
    old = tmp_path / "people.csv.rejected.csv"
    old.write_text("of yesterday")
    assert Rejects(path, survey(path)).finish() is None
    assert not old.exists()


def test_rejected_rows_are_not_written_where_somebody_else_prepared_a_file(tmp_path: Path) -> None:
    """A file that lies there already may be readable by others, or lead elsewhere."""
    path = written(tmp_path, HEADER + "Una,Archer,1970-01-31,9990000018\r\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    (tmp_path / "people.csv.rejected.csv.part").symlink_to(elsewhere)
    found = survey(path)
    rejects = Rejects(path, found)
    rejects.add(next(rows_of(path, found)), "no reason")
    kept = rejects.finish()
    assert kept is not None
    assert (elsewhere.read_text(), kept.is_symlink(), stat.S_IMODE(kept.stat().st_mode)) == ("theirs", False, 0o600)
