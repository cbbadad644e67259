"""Increments: whatever order the files come in, the lake ends as if built at once, and only what differs is made."""

from datetime import datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from increment_checks import RUN_BOOKKEEPING, assert_same, contents, ingested_and_built, lake_at, rebuilt, split_into

from lakehouse.build import build
from lakehouse.contracts import FACTS, REQUIRED
from lakehouse.gold.history import history
from lakehouse.ingest import ingest
from lakehouse.silver.history import HISTORY


def split_by_time(csvs, folder, cuts, late):
    """The facts dealt out to folders by when they happened; each `late`-th row comes with the next folder."""
    rows = {table: pl.read_csv(csvs / f"{table}.csv", infer_schema=False) for table in FACTS}
    stamps = pl.concat(frame["timestamp"] for frame in rows.values()).drop_nulls().sort()
    edges = [stamps[min(int(cut * len(stamps)), len(stamps) - 1)] for cut in cuts]
    folders = [folder / f"day{part}" for part in range(len(edges) + 1)]
    for part, target in enumerate(folders):
        target.mkdir()
        for table, frame in rows.items():
            passed = pl.sum_horizontal(pl.col("timestamp").fill_null("") >= edge for edge in edges)
            delayed = (pl.int_range(pl.len()) % late == late - 1).cast(pl.UInt32)
            place = pl.min_horizontal(passed + delayed, len(edges))
            frame.filter(place == part).write_csv(target / f"{table}.csv")
    for table in set(REQUIRED) - set(FACTS):
        (folders[0] / f"{table}.csv").write_bytes((csvs / f"{table}.csv").read_bytes())
    return folders


@pytest.fixture(scope="module")
def built_at_once(tmp_path_factory, small_csvs):
    """All files in one build; tests only read it."""
    return ingested_and_built(lake_at(tmp_path_factory.mktemp("once")), [small_csvs])


@given(
    table=strategies.sampled_from(["transactions", "events", "customers"]),
    parts=strategies.integers(2, 3),
    order=strategies.lists(strategies.integers(0, 5), min_size=3, max_size=17),
    built=strategies.lists(strategies.booleans(), min_size=3, max_size=3),
)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_increments_equal_a_full_build(tmp_path_factory, small_csvs, built_at_once, *, table, parts, order, built):
    """Rows that come in any split and order, built after each file or not, give the tables of one build."""
    folder = tmp_path_factory.mktemp("split")
    lake = lake_at(folder / "var")
    for number, part in enumerate(split_into(small_csvs, folder, parts, order, table)):
        ingest(lake, str(part))
        if built[number]:
            build(lake)
    build(lake)
    assert_same(contents(rebuilt(lake, folder / "again")), contents(lake))
    drop = (*RUN_BOOKKEEPING, "raw")
    left, right = (contents(each, drop=drop) for each in (built_at_once, lake))
    for name in (HISTORY, "silver.quarantine"):  # superseding and history tell of the order in which files came
        left.pop(name, None), right.pop(name, None)
    assert_same(left, right)


@given(
    cuts=strategies.lists(strategies.floats(0.5, 1.0), min_size=1, max_size=3),
    late=strategies.integers(3, 400),
)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_days_that_follow_each_other_equal_a_full_build(tmp_path_factory, small_csvs, built_at_once, *, cuts, late):
    """What a build goes on from gives what counting from the beginning does; a row in so many comes a file too late."""
    folder = tmp_path_factory.mktemp("days")
    lake = lake_at(folder / "var")
    ingested_and_built(lake, split_by_time(small_csvs, folder, sorted(cuts), late))
    assert_same(contents(rebuilt(lake, folder / "again")), contents(lake))
    left, right = (contents(each, drop=(*RUN_BOOKKEEPING, "raw")) for each in (built_at_once, lake))
    for name in (HISTORY, "silver.quarantine"):
        left.pop(name, None), right.pop(name, None)
    assert_same(left, right)


def test_a_build_goes_on_from_where_the_last_one_was(tmp_path, small_csvs, monkeypatch):
    """Of later rows alone, no event before the kept totals is read, and exposures of closed months stay as they are."""
    bases = []

    def spy(silver, facts, buckets, *, base, **options):
        bases.append(base)
        assert base is None or (facts.events["timestamp"].min() - base.moment).days > -31  # a month of interactions
        return history(silver, facts, buckets, base=base, **options)

    monkeypatch.setattr("lakehouse.gold.tasks.history", spy)
    first, later = split_by_time(small_csvs, tmp_path, [0.97], 10**6)
    lake = ingested_and_built(lake_at(tmp_path / "var"), [first])
    assert set(bases) == {None}
    bases.clear()
    before = {file.path for file in lake.files("gold.campaign_exposures")}
    ingested_and_built(lake, [later])
    assert bases
    assert None not in bases
    after = {file.path for file in lake.files("gold.campaign_exposures")}
    assert len(before & after) > len(after) / 2
    assert after - before


def test_a_correction_changes_only_what_it_touches(tmp_path, write_shop):
    """The corrected row supersedes, later as_ofs follow, the files of earlier ones stay as they were."""
    days = [{"transaction_id": str(day), "timestamp": f"2024-0{day}-10 10:00:00"} for day in range(1, 6)]
    lake = lake_at(tmp_path / "var")
    ingest(lake, str(write_shop(transactions=days)))
    build(lake)
    before = {file.path for file in lake.files("gold.customer_features")}
    correction = days[3] | {"quantity": "9", "gross_revenue": "309.44"}
    ingest(lake, str(write_shop("late", only=("transactions",), transactions=[correction])))
    build(lake)
    features = lake.scan("gold.customer_features").sort("as_of").collect()
    assert [float(value) for value in features["monetary"]] == [68.76, 137.52, 206.28, 515.72, 584.48]
    kept = before & {file.path for file in lake.files("gold.customer_features")}
    assert len(kept) == 3
    assert_same(contents(rebuilt(lake, tmp_path / "again")), contents(lake))


def test_a_clock_that_goes_back_makes_outcomes_unknown_again(tmp_path, write_shop):
    """The newest sale was of an earlier day: windows that had ended have not, for other customers, too."""
    sales = [
        {"transaction_id": str(number), "customer_id": str(number), "timestamp": f"2024-01-{number:02} 10:00:00"}
        for number in range(1, 9)
    ]
    newest = {"transaction_id": "9", "customer_id": "9", "timestamp": "2024-04-20 10:00:00"}
    reached = [
        {"event_id": str(number), "customer_id": str(number), "timestamp": "2024-03-20 10:00:00", "campaign_id": "3"}
        for number in range(1, 9)
    ]
    customers = [{"customer_id": str(number)} for number in range(1, 10)]
    lake = lake_at(tmp_path / "var", rows_per_bucket=3)
    ingest(lake, str(write_shop(transactions=[*sales, newest], events=reached, customers=customers)))
    build(lake)
    assert lake.scan("gold.campaign_exposures").collect()["responded"].to_list() == [0] * 8
    earlier = newest | {"timestamp": "2024-03-25 10:00:00"}
    ingest(lake, str(write_shop("late", only=("transactions",), transactions=[earlier])))
    build(lake)
    assert lake.scan("gold.campaign_exposures").collect()["responded"].to_list() == [None] * 8
    assert_same(contents(rebuilt(lake, tmp_path / "again")), contents(lake))


def test_a_corrected_promotion_takes_the_old_ones_place(tmp_path, write_shop):
    """Gold, which rests on no promotion, is left alone; a full build says the same."""
    lake = lake_at(tmp_path / "var")
    ingest(lake, str(write_shop(promotions=[{}, {"promotion_id": "2", "week_start": "2024-01-08"}])))
    build(lake)
    ingest(lake, str(write_shop("late", only=(), promotions=[{"promotion_id": "2", "display": "0.5"}])))
    assert build(lake).gold == {}
    assert lake.scan("silver.promotions").sort("promotion_id").collect()["display"].to_list() == [0.25, 0.5]
    assert lake.scan("silver.quarantine").collect()["rule"].to_list() == ["superseded"]
    assert_same(contents(rebuilt(lake, tmp_path / "again")), contents(lake))


def test_what_a_customer_was_is_kept(tmp_path, write_shop):
    """A tier that rises later is the later one only in features after it."""
    lake = lake_at(tmp_path / "var")
    bought = {"transaction_id": "1", "timestamp": "2024-01-10 10:00:00"}
    ingest(lake, str(write_shop(transactions=[bought])))
    build(lake)
    later = {"transaction_id": "2", "timestamp": "2024-03-10 10:00:00"}
    risen = [{"loyalty_tier": "Platinum"}]
    ingest(lake, str(write_shop("later", only=("customers", "transactions"), transactions=[later], customers=risen)))
    build(lake)
    assert [None, datetime(2024, 1, 10, 10)] == lake.scan(HISTORY).sort("valid_from").collect()["valid_from"].to_list()
    features = lake.scan("gold.customer_features").sort("as_of").collect()
    assert features.filter(pl.col("as_of") > datetime(2024, 1, 11))["loyalty_level"].to_list() == [3, 3, 3]
    first = lake.scan("gold.customer_features", 0)
    assert_same(contents(rebuilt(lake, tmp_path / "again")), contents(lake))
    assert first is not None


def test_crowded_buckets_are_divided_anew(tmp_path, small_csvs):
    """When a table has grown beyond its buckets it is built again with more, and says the same."""
    lake = lake_at(tmp_path / "var", rows_per_bucket=1_000_000)
    ingest(lake, str(small_csvs))
    build(lake)
    assert {"0"} == {file.partition["bucket"] for file in lake.files("silver.events")}
    before = contents(lake)
    crowded = lake_at(tmp_path / "var", rows_per_bucket=500)
    build(crowded)
    assert len({file.partition["bucket"] for file in crowded.files("silver.events")}) > 4
    assert_same(before, contents(crowded))
