"""The dictionary and the tables say the same."""

import polars as pl
import pytest

from lakehouse import ingest
from lakehouse.contracts import OPTIONAL
from lakehouse.dictionary import tables
from lakehouse.erasures import ERASURES
from lakehouse.erasures import SCHEMA as ERASURES_SCHEMA
from lakehouse.metrics_table import METRICS
from lakehouse.metrics_table import SCHEMA as METRICS_SCHEMA
from lakehouse.predictions import PREDICTIONS, append_records
from lakehouse.silver import split
from lakehouse.silver.split import QUARANTINE, QUARANTINE_SCHEMA

SCORES = {table for table in tables() if table.startswith("gold.") and table.endswith("_scores")}
ELSEWHERE = {PREDICTIONS, "promotions"} | SCORES
"""Tables that the small shop lacks: the log has a test below, the others are written by training and tested there."""
LACKING = {f"bronze.{table}": ingest.schema(table) for table in OPTIONAL}
LACKING |= {f"silver.{table}": split.schema(table) for table in OPTIONAL}
"""Tables that a shop may lack, with their columns."""


@pytest.mark.parametrize("table", sorted(set(tables()) - ELSEWHERE))
def test_every_column_has_an_entry_and_every_entry_a_column(tiny_lake, table):
    """A column that is added, renamed or dropped has to be told here too."""
    if table == METRICS:
        columns = METRICS_SCHEMA.names()
    elif table == QUARANTINE:
        columns = QUARANTINE_SCHEMA.names()
    elif table == ERASURES:
        columns = ERASURES_SCHEMA.names()
    elif table in LACKING:
        columns = LACKING[table].names()
    else:
        columns = tiny_lake.scan(table).collect_schema().names()

    assert sorted(tables()[table].columns) == sorted(columns)


def test_the_tables_that_a_shop_may_lack_say_so():
    """Bronze and silver of what the contract calls optional."""
    assert set(LACKING) == {name for name, table in tables().items() if table.optional}


def test_every_table_of_the_lake_is_in_the_dictionary(tiny_lake):
    """A new table cannot be forgotten."""
    logs = tiny_lake.settings.var_dir.rglob("_delta_log")
    built = {".".join(log.parent.relative_to(tiny_lake.root).parts) for log in logs}

    assert built
    assert built <= set(tables())


def test_the_prediction_logs_own_columns_have_entries(lake):
    """Those that every answer has, whatever the model; models' inputs and outputs are checked with the models."""
    record = dict.fromkeys(("use_case", "model_name", "alias", "feature_table"), "clv")
    record |= {"ids": ["a"], "entity_ids": ["1"], "model_version": 1, "feature_version": 1, "columns": {}}
    record |= {"as_of": None, "predicted_at": None, "request_features": [[]], "default_features": [[]]}
    append_records(lake, [record | {"warnings": [[]]}], app_id="a", sequence=1)

    assert set(lake.scan(PREDICTIONS).collect_schema().names()) <= set(tables()[PREDICTIONS].columns)


def test_amounts_and_times_have_a_unit(tiny_lake):
    """Whatever is a sum of money, a moment or a duration says what it is measured in."""
    for table in (name for name in tables() if name.startswith(("silver.", "gold."))):
        schema = tiny_lake.scan(table).collect_schema() if tiny_lake.exists(table) else {}
        for name, dtype in schema.items():
            if isinstance(dtype, (pl.Decimal, pl.Datetime)) or name.endswith(("_days", "_sec", "_share")):
                assert tables()[table].columns[name].unit, f"{table}.{name}"
