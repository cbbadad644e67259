"""The customer features as gold makes them, as pandas and DuckDB would, and what decoding their columns costs."""

from datetime import timedelta
from typing import Any

import polars as pl

from lakehouse.gold.customer_features import SPANS, as_ofs, customer_features
from lakehouse.gold.frozen_lake import FrozenLake, data_span
from lakehouse.gold.history import (
    EVENT_COLUMNS,
    EVENT_TYPES,
    LINE_COLUMNS,
    history,
    read_facts,
)
from lakehouse.parallel import side_by_side
from lakehouse.silver.sidecars import BUCKETS
from lakehouse.storage import Lake

LINES = [*LINE_COLUMNS, "refund_flag"]
EVENTS = [*EVENT_COLUMNS]


def gold(lake: Lake, count: int) -> pl.DataFrame:
    """What a build does for the newest as_ofs, so many of them, bucket by bucket; the rows if it is one."""
    frozen = FrozenLake.of(lake)
    moments = as_ofs(frozen.first, frozen.clock)[-count:]

    def one(bucket: int) -> pl.DataFrame:
        rows = customer_features(history(frozen, read_facts(frozen, [bucket]), [bucket]), moments)
        return rows if count == 1 else rows.head(0)  # a build writes them, bucket by bucket

    return pl.concat(side_by_side(one, range(frozen.buckets)))


def decode(lake: Lake) -> None:
    """Read the columns that the features need, and nothing else."""
    for bucket in range(lake.transaction("silver.events", BUCKETS) or 1):
        mine = pl.col("bucket") == bucket
        lake.scan("silver.events").filter(mine).select(EVENTS).collect()
        lake.scan("silver.transactions").filter(mine).select(LINES).collect()


def with_pandas(lake: Lake) -> Any:
    """The same features as of the data's clock in pandas, from the same Parquet files."""
    import pandas as pd

    _, clock = data_span(lake)
    lines = pd.read_parquet(_files(lake, "silver.transactions"), columns=LINES)
    events = pd.read_parquet(_files(lake, "silver.events"), columns=EVENTS)
    products = pd.read_parquet(_files(lake, "silver.products"), columns=["product_id", "category", "is_premium"])
    lines, events = lines[lines.timestamp < clock], events[events.timestamp < clock]
    lines["gross_revenue"] = (lines.gross_revenue.astype(float) * 100).round().astype("Int64")
    sales = lines[lines.refund_flag.fillna(0) == 0].merge(products, on="product_id", how="left")
    by, all_by = sales.groupby("customer_id"), lines.groupby("customer_id")
    found = pd.DataFrame(
        {
            "recency_days": (clock - by.timestamp.max()).dt.total_seconds() / 86_400,
            "tenure_days": (clock - by.timestamp.min()).dt.total_seconds() / 86_400,
            "tx_count": by.timestamp.nunique(),
            "monetary": all_by.gross_revenue.sum() / 100,
            "avg_discount": by.discount_applied.mean(),
            "avg_quantity": by.quantity.mean(),
            "premium_tx_share": by.is_premium.mean(),
            "category_count": by.category.nunique(),
            "product_count": by.product_id.nunique(),
            "refund_share": 1 - by.size() / all_by.size(),
        }
    )
    for days in SPANS:
        start = clock - timedelta(days=days)
        found[f"spend_{days}d"] = lines[lines.timestamp >= start].groupby("customer_id").gross_revenue.sum() / 100
        found[f"tx_count_{days}d"] = sales[sales.timestamp >= start].groupby("customer_id").timestamp.nunique()
    seen = events.groupby("customer_id")
    found = found.join(
        pd.DataFrame(
            {
                **{
                    f"events_{kind}_count": events[events.event_type == kind].groupby("customer_id").size()
                    for kind in EVENT_TYPES
                },
                "avg_session_duration_sec": seen.session_duration_sec.mean(),
                "last_event": seen.timestamp.max(),
            }
        ),
        how="outer",
    )
    reached = events[events.campaign_id.notna() & (events.event_type != "purchase")]
    found["reached_campaigns"] = reached.groupby("customer_id").campaign_id.nunique()
    return found.reset_index()


def with_duckdb(lake: Lake) -> None:
    """The main features as of the data's clock in DuckDB, over the same Parquet files."""
    import duckdb

    _, clock = data_span(lake)
    lines, events, products = (_files(lake, f"silver.{name}") for name in ("transactions", "events", "products"))
    kinds = ", ".join(f"count(*) filter (event_type = '{kind}') as events_{kind}_count" for kind in EVENT_TYPES)
    windows = ", ".join(
        f"sum(gross_revenue) filter (timestamp >= $clock - interval {days} day) as spend_{days}d" for days in SPANS
    )
    duckdb.execute(
        f"""create table features as
        with lines as (select * from read_parquet($lines) where timestamp < $clock),
        sold as (
            select customer_id, max(timestamp) filter (refund_flag = 0) as last_order,
                min(timestamp) filter (refund_flag = 0) as first_order,
                count(distinct timestamp) filter (refund_flag = 0) as tx_count, sum(gross_revenue) as monetary,
                avg(discount_applied) filter (refund_flag = 0) as avg_discount,
                avg(quantity) filter (refund_flag = 0) as avg_quantity,
                avg(p.is_premium) filter (refund_flag = 0) as premium_tx_share,
                count(distinct p.category) filter (refund_flag = 0) as category_count,
                count(distinct product_id) filter (refund_flag = 0) as product_count, {windows}
            from lines left join read_parquet($products) p using (product_id) group by customer_id),
        seen as (
            select customer_id, {kinds}, avg(session_duration_sec) as avg_session_duration_sec,
                max(timestamp) as last_event
            from read_parquet($events) where timestamp < $clock group by customer_id)
        select * from sold full join seen using (customer_id)""",
        {"clock": clock, "lines": lines, "events": events, "products": products},
    )


def compare(ours: pl.DataFrame, theirs: pl.DataFrame) -> str:
    """Says whether the values of pandas and of gold agree, to 1e-9 relative."""
    both = ours.join(theirs, on="customer_id", suffix="_pandas")
    names = [name for name in theirs.columns if f"{name}_pandas" in both.columns]
    wrong = []
    for name in names:
        left, right = pl.col(name).cast(pl.Float64), pl.col(f"{name}_pandas").cast(pl.Float64)
        counted = name.endswith(("_count", "d", "monetary")) and name not in ("recency_days", "tenure_days")
        right = right.fill_null(0) if counted else right
        off = (left - right).abs() > 1e-9 * right.abs().clip(lower_bound=1)
        if both.filter(off | (left.is_null() != right.is_null())).height:
            wrong.append(name)
    verdict = "all agree" if not wrong else f"DIFFERENT: {', '.join(wrong)}"
    return f"{both.height:,} customers x {len(names)} features of pandas and of gold compared to 1e-9: {verdict}"


def _files(lake: Lake, table: str) -> list[str]:
    return [f"{lake.uri(table)}/{file.path}" for file in lake.files(table)]
