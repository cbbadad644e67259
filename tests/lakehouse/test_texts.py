"""Typing each text of a column once gives what typing it in every row gives."""

import polars as pl
from hypothesis import given, strategies
from polars.testing import assert_frame_equal

from lakehouse.contracts import LONGEST_TEXT, TABLES
from lakehouse.silver.cast import Forms, cast, repaired
from lakehouse.silver.split import checked, rejected_rows
from lakehouse.silver.texts import few_texts

TEXTS = [None, "", " ", "view", "View", " VIEW", "paid search", "Paid Search", "PAID search", "Null", "ΣΑΣ", "ß"]
TEXTS += ["x" * LONGEST_TEXT, "x" * (LONGEST_TEXT + 1)]
NUMBERS = [
    None,
    "",
    " ",
    "1",
    " 2 ",
    "0",
    "1630.0",
    "-1",
    "x",
    "nan",
    "Null",
    "2024-01-01 10:00:00",
    "01-01-2024 10:00",
]
EVENTS = TABLES["events"]
CELLS = {name: TEXTS if column.kind == "text" else NUMBERS for name, column in EVENTS.items()}
ROWS = strategies.lists(
    strategies.fixed_dictionaries({n: strategies.sampled_from(cells) for n, cells in CELLS.items()})
)
DIALECTS = strategies.sampled_from(["standard", "excel"])


def bronze(rows):
    """Bronze's rows of events."""
    lines = pl.DataFrame(rows, schema=dict.fromkeys(EVENTS, pl.String)).with_row_index("source_line")
    nothing = pl.lit(None, pl.String)
    return lines.lazy().with_columns(malformed=nothing, raw=nothing, source_file=pl.lit("f"), loaded_at=pl.lit(0))


def repairs(rows, names):
    """How many rows each repairing rule of some columns counts."""
    rules = {rule: is_so for name in names for rule, is_so in repaired(name, EVENTS[name], Forms(name)).items()}
    return {rule: rows.select(is_so.sum()).collect().item() for rule, is_so in rules.items()}


@given(ROWS, DIALECTS, strategies.sampled_from([0, 2, 1_000]))
def test_each_text_typed_once_gives_what_typing_every_row_gives(rows, dialect, few):
    """The same values, first broken rules, repairs and quarantine, however many columns hold few texts."""
    texts = few_texts(bronze(rows), "events", dialect, few=few)
    plain, quick = checked(bronze(rows), "events", dialect), checked(bronze(rows), "events", dialect, texts.values)
    kept = [*EVENTS, "source_line", "rule"]
    assert_frame_equal(plain.select(kept).collect(), quick.select(kept).collect())
    assert_frame_equal(rejected_rows(plain, "events").collect(), rejected_rows(quick, "events").collect())
    assert repairs(plain, texts.values) == texts.counts


@given(strategies.sampled_from(NUMBERS), strategies.sampled_from(sorted(EVENTS)), DIALECTS)
def test_blanks_around_a_value_change_nothing(text, name, dialect):
    """Whatever the type, and whatever else is wrong with it."""
    frame = pl.DataFrame(
        {"bare": [text and text.strip()], "blank": [text and f" {text}\t"]},
        schema_overrides={"bare": pl.String, "blank": pl.String},
    )
    found = frame.select(cast(pl.col(column), EVENTS[name], dialect).alias(column) for column in frame.columns)
    assert found["bare"].to_list() == found["blank"].to_list()
