"""Prints what a query gave: a table for people, CSV, JSON or Parquet for programs."""

import shutil
import sys
from pathlib import Path

import polars as pl

from lakehouse.errors import ConfigurationError
from lakehouse.wording import counted, printable

SHOWN_ROWS = 50
COUNTED_ROWS = 10_000
"""Up to how many rows a table for people counts; with one more, it says that there are more."""
WIDE_COLUMNS = 12
WIDE_ROWS = 5


def show(frame: pl.DataFrame, output_format: str = "table", output: Path | None = None) -> None:
    """Write rows to a file or to the terminal.

    Raises:
        ConfigurationError: Parquet has nowhere to go but a terminal, or the file cannot be written.
    """
    if output is None and output_format == "parquet" and sys.stdout.isatty():
        raise ConfigurationError("Parquet is not for a terminal: name a file with --output")
    write(encoded(frame, output_format), output)


def write(content: bytes, output: Path | None) -> None:
    """Write to a file, or to the terminal where there is none.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        if output is None:
            sys.stdout.buffer.write(content)
            sys.stdout.flush()
        else:
            output.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {str(output)!r}: {error.strerror}; choose another --output"
        ) from error


def encoded(frame: pl.DataFrame, output_format: str) -> bytes:
    """The rows as a table of at most 50 rows, or all of them as CSV (lists joined by `;`), JSON or Parquet."""
    if output_format == "parquet":
        from io import BytesIO

        frame.write_parquet(buffer := BytesIO())
        return buffer.getvalue()
    if output_format == "json":
        return frame.write_json().encode() + b"\n"
    if output_format == "csv":
        lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
        return frame.with_columns(pl.col(lists).cast(pl.List(pl.String)).list.join(";")).write_csv().encode()
    return (as_table(frame) + "\n").encode()


def format_of(asked: str | None, output: Path | None) -> str:
    """The format that was asked for, else the one that a file's suffix names, else a table for people.

    Raises:
        ConfigurationError: the suffix is of another format.
    """
    suffix = output.suffix.lower().removeprefix(".") if output else ""
    if not asked and suffix not in ("csv", "json", "parquet", "txt", ""):
        raise ConfigurationError(f"cannot write .{suffix}: name a file .csv, .json, .parquet or .txt, or say --format")
    return asked or (suffix if suffix in ("csv", "json", "parquet") else "table")


def as_table(frame: pl.DataFrame) -> str:
    """The first 50 rows as a table, with the number of all of them; a wide one with its columns downwards.

    Control characters are shown escaped: a terminal would obey them.
    """
    rows = counted(frame.height, "row") if frame.height <= COUNTED_ROWS else f"more than {COUNTED_ROWS:,} rows"
    wide = frame.width > WIDE_COLUMNS  # too wide for a terminal: columns downwards, as many rows as fit side by side
    most = WIDE_ROWS if wide else SHOWN_ROWS
    rows += f", the first {most} shown" if frame.height > most else ""
    shown = frame.head(most).with_columns(pl.col(pl.String).map_elements(printable, return_dtype=pl.String))
    if wide:
        shown = _turned(shown)
    with pl.Config(
        tbl_rows=max(SHOWN_ROWS, frame.width),
        tbl_cols=-1,
        fmt_str_lengths=120,
        tbl_width_chars=max(shutil.get_terminal_size((160, 24)).columns, 80),
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_formatting="UTF8_FULL_CONDENSED",
    ):
        return f"{shown}\n{rows}"


def _turned(frame: pl.DataFrame) -> pl.DataFrame:
    """One line per column, with its values beside it."""
    values = {f"row {number}": [str(value) for value in row] for number, row in enumerate(frame.iter_rows(), 1)}
    return pl.DataFrame({"column": frame.columns, **values})
