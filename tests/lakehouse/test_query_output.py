import json
from pathlib import Path

import polars as pl
import pytest

from lakehouse.errors import ConfigurationError
from lakehouse.query_output import COUNTED_ROWS, as_table, encoded, format_of, show

FRAME = pl.DataFrame({"name": ["a", "b"], "items": [[1, 2], []]}, schema_overrides={"items": pl.List(pl.Int64)})


def test_csv_joins_lists() -> None:
    """A list is one field, its items parted by semicolons."""
    assert encoded(FRAME, "csv") == b"name,items\na,1;2\nb,\n" or encoded(FRAME, "csv") == b'name,items\na,1;2\nb,""\n'


def test_json_and_parquet_keep_all_rows(tmp_path: Path) -> None:
    """Programs get what the query gave."""
    assert json.loads(encoded(FRAME, "json")) == FRAME.to_dicts()
    show(FRAME, "parquet", tmp_path / "rows.parquet")
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(FRAME)


def test_a_table_says_how_many_rows_there_are() -> None:
    """People see the count under the rows, and the columns of a wide answer below each other."""
    assert encoded(FRAME, "table").decode().splitlines()[-1] == "2 rows"
    wide = pl.DataFrame({f"column_{number}": range(6) for number in range(20)})
    lines = encoded(wide, "table").decode().splitlines()
    assert lines[-1] == "6 rows, the first 5 shown"
    assert any(line.startswith("│ column_19 ┆ 0") for line in lines)


def test_a_long_table_shows_and_counts_its_first_rows() -> None:
    """Of very long answers only more than are counted were fetched."""
    assert as_table(pl.DataFrame({"n": range(60)})).splitlines()[-1] == "60 rows, the first 50 shown"
    assert "more than 10,000 rows, the first 50 shown" in as_table(pl.DataFrame({"n": range(COUNTED_ROWS + 1)}))


@pytest.mark.parametrize(
    ("asked", "name", "chosen"),
    [(None, "x.csv", "csv"), (None, "x.JSON", "json"), (None, "x.parquet", "parquet"), ("json", "x.csv", "json")],
)
def test_a_files_suffix_names_the_format(asked: str | None, name: str, chosen: str) -> None:
    """Unless another one is asked for."""
    assert format_of(asked, Path(name)) == chosen
    assert format_of(None, Path("x.txt")) == format_of(None, None) == "table"
    with pytest.raises(ConfigurationError, match=r"cannot write .parqet: name a file .csv, .json, .parquet or .txt"):
        format_of(None, Path("x.parqet"))


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    with pytest.raises(ConfigurationError, match="No such file or directory; choose another --output"):
        show(FRAME, "csv", tmp_path / "no folder" / "rows.csv")
