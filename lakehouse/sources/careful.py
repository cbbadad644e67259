"""Reads a raw file line by line: for files with quotes, or with lines that do not fit the header."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

BATCH = 200_000
LONGEST_RECORD = 100
"""Lines that a quoted field may span; beyond, its opening quote is taken for a broken line of its own."""
SCHEMA = {"source_line": pl.Int64, "malformed": pl.String, "raw": pl.String}
Record = tuple[int, list[str] | None, str | None, str | None]


def read(path: Path, columns: Collection[str]) -> Iterator[pl.LazyFrame]:
    """The rows of a file in batches; see `CsvSource.read`. Empty lines are no rows."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        numbered = enumerate(lines, start=1)
        header = [name.strip() for name in next(csv.reader([next(numbered, (1, ""))[1]]), [])]
        batch: list[Record] = []
        for record in _records(numbered, len(header)):
            batch.append(record)
            if len(batch) == BATCH:
                yield _frame(batch, header, columns)
                batch = []
        if batch:
            yield _frame(batch, header, columns)


def _records(lines: Iterator[tuple[int, str]], width: int) -> Iterator[Record]:
    """Line number, fields, the reason why there are none, and the text of a line without."""
    waiting: list[tuple[int, str]] = []
    while True:
        number, line = waiting.pop(0) if waiting else next(lines, (0, ""))
        if not number:
            return
        text, taken = line, [(number, line)]
        while text.count('"') % 2 and len(taken) < LONGEST_RECORD:
            following = waiting.pop(0) if waiting else next(lines, (0, ""))
            if not following[0]:
                break
            taken.append(following)
            text += following[1]
        if text.count('"') % 2:
            waiting = taken[1:] + waiting
            yield number, None, "unclosed_quote", _printable(line)
        elif text.strip("\r\n"):
            yield _split(number, text, width)


def _split(number: int, text: str, width: int) -> Record:
    text = text.rstrip("\r\n")
    try:
        fields = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
    except csv.Error:
        return number, None, "not_csv", _printable(text)
    reason = None
    if len(fields) != width:
        reason = "too_few_fields" if len(fields) < width else "too_many_fields"
    elif "\0" in text:
        reason = "nul_byte"
    elif not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text):
        reason = "not_utf8"
    return (number, None, reason, _printable(text)) if reason else (number, fields, None, None)


def _printable(text: str) -> str:
    """The line with what cannot be shown replaced, at most 10,000 letters of it."""
    letters = text.rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return letters.replace("\0", "\N{SYMBOL FOR NULL}")[:10_000]


def _frame(records: list[Record], header: list[str], columns: Collection[str]) -> pl.LazyFrame:
    empty: list[str | None] = [None] * len(header)
    rows = [(number, reason, raw, *(fields or empty)) for number, fields, reason, raw in records]
    frame = pl.DataFrame(rows, schema=SCHEMA | dict.fromkeys(header, pl.String), orient="row")
    return frame.lazy().select(*columns, "source_line", "malformed", "raw")
