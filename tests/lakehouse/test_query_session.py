"""What people ask for: tables with their grain, columns with their meaning, plans, and the lake as it was."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lakehouse.errors import ConfigurationError, MissingTableError
from lakehouse.query import SqlError, connect, named, sql
from lakehouse.query_session import Session
from lakehouse.query_versions import VersionError, parse_versions, version_at

TABLE = "gold.interactions"


@pytest.fixture
def grown(lake):
    """A table made empty, then of one, two and three rows."""
    for row in range(3):
        lake.append(TABLE, pl.DataFrame({"units": [row]}))
    return lake


def test_describe_shows_type_unit_and_meaning(tiny_lake):
    """Each column of the table, in its order."""
    with Session(tiny_lake) as session:
        rows = session.ask("DESCRIBE gold.customer_features;")

    assert tiny_lake.scan("gold.customer_features").collect_schema().names() == rows["column"].to_list()
    money = rows.row(by_predicate=pl.col("column") == "monetary", named=True)
    assert (money["type"], money["unit"]) == ("DECIMAL(18,2)", "money")
    assert "net of refunds" in money["meaning"]


def test_show_tables_gives_the_grain_of_those_there_are(tiny_lake):
    """Tables that were never written are left out."""
    with Session(tiny_lake) as session:
        rows = dict(session.ask("show tables").iter_rows())

    assert rows["gold.interactions"].startswith("one row per customer, product and day")
    assert "predictions" not in rows


def test_duckdb_knows_the_comments(tiny_lake):
    """Any tool on the connection finds the grain and the meanings."""
    query = "select comment from duckdb_views() where schema_name = 'gold' and view_name = 'product_features'"
    column = "select comment from duckdb_columns() where table_name = 'product_features' and column_name = 'revenue'"

    assert sql(tiny_lake, query).item().startswith("one row per product and as_of")
    assert sql(tiny_lake, column).item().endswith("[money]")


def test_a_query_opens_only_the_tables_that_it_names(tiny_lake):
    """On S3 each table costs requests; asking what there is opens all."""
    with connect(tiny_lake, query="select * from Gold.Interactions") as connection:
        views = connection.sql("select view_name from duckdb_views() where not internal and not temporary").pl()

    assert views["view_name"].to_list() == ["interactions"]
    assert len(named("show all tables")) > 20


def test_a_statement_sees_the_lake_as_it_is_then(grown):
    """A session keeps its own tables, and sees what was committed since the last statement."""
    with Session(grown) as session:
        session.ask(f"create temp table earlier as select * from {TABLE}")
        grown.append(TABLE, pl.DataFrame({"units": [9]}))

        assert session.ask(f"select (select count(*) from earlier), count(*) from {TABLE}").row(0) == (3, 4)


def test_a_version_or_a_moment_gives_the_rows_of_then(grown):
    """By number, and by the time of the commit; before the first commit there was no table."""
    stamps = {c["version"]: datetime.fromtimestamp(c["timestamp"] / 1000, UTC) for c in grown.delta(TABLE).history()}
    count = f"select count(*) from {TABLE}"

    assert sql(grown, count, versions={TABLE: 2}).item() == 2
    assert 2 == sql(grown, count, at=stamps[2]).item() == sql(grown, count, at=stamps[2].replace(tzinfo=None)).item()
    assert version_at(grown, TABLE, stamps[0] - timedelta(milliseconds=1)) is None
    with (
        pytest.raises(SqlError, match=r"no gold\.interactions yet, or was none then"),
        Session(grown, at=datetime(2020, 1, 1)) as session,
    ):
        assert session.ask("show tables").is_empty()
        session.ask(count)


def test_versions_that_are_not_there_say_so(grown):
    """One that is too new, one of a table that is not there, and one whose files were vacuumed."""
    with pytest.raises(VersionError, match="no version 9: its newest is 3"):
        sql(grown, f"from {TABLE}", versions={TABLE: 9})
    with pytest.raises(VersionError, match="'metrics' does not exist"):
        sql(grown, "from metrics", versions={"metrics": 0})
    grown.overwrite(TABLE, pl.DataFrame({"units": [1]}))
    grown.delta(TABLE).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(SqlError, match="a file of that version is gone"):
        sql(grown, f"from {TABLE}", versions={TABLE: 2})


@pytest.mark.parametrize("pin", ["gold.nothing=1", "gold.interactions", "gold.interactions=new", "=3"])
def test_a_pin_that_is_none_is_refused(pin):
    """The message shows how to write one."""
    with pytest.raises(ConfigurationError, match="=12"):
        parse_versions([pin])


def test_a_log_that_was_cleaned_says_how_far_back_it_reaches(grown):
    """Asking for an earlier moment is no empty answer."""
    grown.delta(TABLE).create_checkpoint()
    for version in (0, 1):
        (grown.settings.var_dir / f"lake/gold/interactions/_delta_log/{version:020}.json").unlink()

    with pytest.raises(VersionError, match=r"its log begins .* with version 2"):
        version_at(grown, TABLE, datetime(2020, 1, 1))
    with pytest.raises(VersionError, match="does not keep version 0 any more: choose 3"):
        sql(grown, f"from {TABLE}", versions={TABLE: 0})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "select * from gold.costumer_features",
            "no table gold.costumer_features, did you mean gold.customer_features?",
        ),
        ("from customer_features", "no table customer_features, did you mean gold.customer_features?"),
        ('describe "silver"."transaction"', "no table silver.transaction, did you mean silver.transactions?"),
        ("from gold.nothing_like_it", "no table gold.nothing_like_it; `show tables` lists"),
    ],
)
def test_a_misspelt_table_gets_the_one_that_was_meant(tiny_lake, query, said):
    """Whether its schema is there or not."""
    with Session(tiny_lake) as session, pytest.raises(SqlError) as caught:
        session.ask(query)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        f"delete from {TABLE}",
        f"-- all\nupdate {TABLE} set units = 0",
        f"insert into {TABLE} values (1)",
        f"with a as (select 1) insert into {TABLE} select * from a",
        f"create or replace view {TABLE} as select 1",
        "create table gold.new as select 1",
        f"drop table if exists {TABLE}",
        f"truncate {TABLE}",
        f"drop view {TABLE}",
        f"alter table {TABLE} add column b int",
        f"merge into {TABLE} using (select 1 as a) s on true when matched then delete",
    ],
)
def test_the_lake_is_read_only(grown, statement):
    """What would change it is refused, and what is read afterwards is what was there."""
    with Session(grown) as session:
        with pytest.raises(SqlError, match="the lake is read-only here"):
            session.ask(statement)
        assert session.ask(f"select count(*) from {TABLE}").item() == 3


def test_temporary_tables_can_be_changed(grown):
    """They are the session's own."""
    with Session(grown) as session:
        session.ask("create temp table Mine as select 1 as a")
        session.ask("insert into mine values (2)")
        session.ask("insert into temp.Mine values (3)")
        session.ask("-- update the counts\nupdate Mine set a = 4")
        assert session.ask("from mine")["a"].to_list() == [4, 4, 4]
        session.ask("drop table mine")


def test_an_empty_lake_says_that_it_is(lake):
    """And where it was looked for."""
    with Session(lake) as session, pytest.raises(MissingTableError, match=f"nothing is in {lake.root} yet"):
        session.ask("show tables;")


def test_a_moment_to_come_is_refused(lake):
    """With the time it is now."""
    with pytest.raises(VersionError, match="is in the future: it is 20"):
        Session(lake, at=datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1))


def test_people_need_only_the_first_rows(grown):
    """A limit cuts what is fetched."""
    with Session(grown) as session:
        assert session.ask(f"from {TABLE}", limit=2).height == 2
        assert session.ask("set threads = 1", limit=2).is_empty()
