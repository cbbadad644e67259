"""Spoils rows at the rates that were asked for, and keeps a list of every row that it spoilt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from lakehouse.sources.synthetic.knobs import SECONDS, Knobs
from lakehouse.sources.synthetic.streams import Array, Table, stream

EVENT_KINDS = (
    "device_null",
    "source_case",
    "float_ids",
    "day_first",
    "duplicates",
    "late",
    "orphans",
    "before_signup",
    "junk_sessions",
)
TRANSACTION_KINDS = (
    "float_ids",
    "day_first",
    "duplicates",
    "late",
    "orphans",
    "discount_out_of_range",
    "refund_above_zero",
)
KINDS = {"events": EVENT_KINDS, "transactions": TRANSACTION_KINDS}
MOST_LATE = 30
LISTED: Mapping[str, Any] = {"table": pl.String, "key": pl.Int64, "kind": pl.String, "arrives_at": pl.Datetime("us")}
STAMP, DAY_FIRST = "%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M"
BROKEN_LINES = {
    "customers": "not-a-number,2022-01-01,US,40,Male,Gold,Email\n",
    "products": "900001,Home,Brand_1,-5.00,2021-01-01,0\n",
    "campaigns": "901,Email,Retention,2022-05-01,2022-04-01,All,0.05\n",
    "events": (
        "90000000001,2022-13-45 00:00:00,1,1,view,1,mobile,Organic,0,PDP,10.0,Control\n"
        "90000000002,2022-02-01 00:00:00,,1,view,1,mobile,Organic,0,PDP,10.0,Control\n"
    ),
    "transactions": (
        "90000000001,2022-02-01 00:00:00,1,1,0,0.00,10.00,0,0\n"
        "90000000002,2022-02-01 00:00:00,1,1,1,1.70,10.00,0,0\n"
        "90000000003,2022-02-01 00:00:00,1,1,1,0.00,,0,0\n"
    ),
}
"""Lines that break the contract, each in a way of its own; they end in quarantine."""


@dataclass(frozen=True)
class Spoilt:
    """A block's rows as they are written, by file, and the list: table, key, kind, arrives_at (of late rows)."""

    files: dict[str, pl.DataFrame]
    dirt: pl.DataFrame


def spoil(knobs: Knobs, block: int, raw: dict[str, pl.DataFrame]) -> Spoilt:
    """Spoil a block; what the knobs do not ask for stays as it is."""
    random = stream(knobs.seed, Table.DIRT, block)
    files, listed = dict(raw), [pl.DataFrame(schema=LISTED)]
    if "events" in raw and knobs.dirt.unpriced:
        files, unpriced = _unpriced(random, files, knobs.dirt.unpriced)
        listed.append(unpriced)
    if "transactions" in files:
        files["transactions"] = files["transactions"].drop("event_id")
    for table in ("events", "transactions"):
        if table in files:
            found, late, its = _rows(random, knobs, table, files[table], raw)
            files[table], listed = found, [*listed, its]
            if late.height:
                files[f"{table}-late"] = late
    return Spoilt(files, pl.concat(listed))


def broken() -> pl.DataFrame:
    """The list's rows of the broken lines."""
    return pl.concat(
        _listed(table, pl.Series([None] * text.count("\n"), dtype=pl.Int64), "broken_line")
        for table, text in BROKEN_LINES.items()
    )


def _unpriced(
    random: np.random.Generator, files: dict[str, pl.DataFrame], rate: float
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """A purchase loses its product in both tables, and its revenue."""
    sales = files["transactions"]
    lost = pl.Series(random.random(sales.height) < rate)
    nothing = pl.when(~lost)
    files = files | {
        "transactions": sales.with_columns(
            nothing.then("product_id").alias("product_id"), nothing.then("gross_revenue").alias("gross_revenue")
        ),
        "events": files["events"].with_columns(
            pl.when(~pl.col("event_id").is_in(sales["event_id"].filter(lost).implode()))
            .then("product_id")
            .alias("product_id")
        ),
    }
    both = [("events", "event_id"), ("transactions", "transaction_id")]
    return files, pl.concat(_listed(table, sales[key].filter(lost), "unpriced") for table, key in both)


def _rows(
    random: np.random.Generator, knobs: Knobs, table: str, rows: pl.DataFrame, raw: dict[str, pl.DataFrame]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The table's rows, those that come late, and the list."""
    kinds, key = KINDS[table], rows.columns[0]
    rates = np.array([getattr(knobs.dirt, kind) for kind in kinds])
    if not rates.any():
        return rows, rows.clear(), pl.DataFrame(schema=LISTED)
    kind = np.searchsorted(np.cumsum(rates), random.random(rows.height), side="right")
    kind = np.where(_fits(table, kind, rows), kind, len(kinds))
    is_ = {name: pl.Series(kind == number) for number, name in enumerate(kinds)}
    if is_.get("before_signup", pl.Series([False])).any():
        moved = pl.when(is_["before_signup"]).then(_before_signup(random, rows, raw["customers"]))
        rows = rows.with_columns(moved.otherwise("timestamp").alias("timestamp"))
    spoilt = _values(random, knobs, rows, is_)
    listed = pl.concat(_listed(table, rows[key].filter(its), name) for name, its in is_.items())
    waits = pl.Series(random.integers(1, MOST_LATE + 1, rows.height)) * SECONDS
    is_late = is_["late"]
    arrives = rows.select(pl.col(key), arrives_at=pl.col("timestamp") + pl.duration(seconds=pl.lit(waits))).filter(
        is_late
    )
    late = pl.col("kind") == "late"
    listed = (
        listed.drop("arrives_at")
        .join(arrives, left_on="key", right_on=key, how="left", maintain_order="left")
        .with_columns(pl.when(late).then("arrives_at").alias("arrives_at"))
    )
    again = spoilt.filter(is_["duplicates"])
    return pl.concat([spoilt.filter(~is_late), again]), spoilt.filter(is_late), listed


def _fits(table: str, kind: Array, rows: pl.DataFrame) -> Array:
    """Whether a row has what its kind of dirt would spoil."""
    kinds = KINDS[table]
    fits: Array = ~((kind == kinds.index("float_ids")) & rows["product_id"].is_null().to_numpy())
    if table == "transactions":
        sold = rows["refund_flag"].to_numpy() == 1
        fits &= ~((kind == kinds.index("refund_above_zero")) & (rows["product_id"].is_null().to_numpy() | ~sold))
    else:
        view = (rows["event_type"] == "view").to_numpy()
        fits &= ~((kind == kinds.index("before_signup")) & ~view)
    return fits


def _values(
    random: np.random.Generator, knobs: Knobs, rows: pl.DataFrame, is_: Mapping[str, pl.Series]
) -> pl.DataFrame:
    """The rows with their dirt; identifiers and moments become text only where they have to."""
    stranger = pl.lit(pl.Series(knobs.customers + 1 + random.integers(0, 1000, rows.height)))
    changes = {"customer_id": pl.when(is_["orphans"]).then(stranger).otherwise("customer_id")}
    changes |= _of_events(is_) if "device_null" in is_ else _of_transactions(is_)
    if knobs.dirt.day_first:
        moment = pl.col("timestamp")
        day_first = pl.when(is_["day_first"]).then(moment.dt.to_string(DAY_FIRST))
        changes["timestamp"] = day_first.otherwise(moment.dt.to_string(STAMP))
    if knobs.dirt.float_ids:
        product = pl.col("product_id").cast(pl.String)
        changes["product_id"] = pl.when(is_["float_ids"]).then(product + ".0").otherwise(product)
    return rows.with_columns(change.alias(name) for name, change in changes.items())


def _of_events(is_: Mapping[str, pl.Series]) -> dict[str, pl.Expr]:
    source = pl.col("traffic_source").cast(pl.String)
    return {
        "device_type": pl.when(~is_["device_null"]).then("device_type"),
        "session_id": pl.when(is_["junk_sessions"]).then(0).otherwise("session_id"),
        "traffic_source": pl.when(is_["source_case"]).then(source.str.to_uppercase()).otherwise(source),
    }


def _of_transactions(is_: Mapping[str, pl.Series]) -> dict[str, pl.Expr]:
    revenue = pl.col("gross_revenue")
    return {
        "discount_applied": pl.when(is_["discount_out_of_range"]).then(1.5).otherwise("discount_applied"),
        "gross_revenue": pl.when(is_["refund_above_zero"]).then(revenue.abs()).otherwise(revenue),
    }


def _before_signup(random: np.random.Generator, rows: pl.DataFrame, customers: pl.DataFrame) -> pl.Expr:
    """A moment up to ninety days before the customer's signup."""
    signup = rows.select("customer_id").join(
        customers.select("customer_id", pl.col("signup_date").cast(pl.Datetime("us"))),
        on="customer_id",
        how="left",
        maintain_order="left",
    )["signup_date"]
    seconds = pl.Series(random.integers(1, 90 * SECONDS, rows.height))
    return pl.lit(signup) - pl.duration(seconds=pl.lit(seconds))


def _listed(table: str, keys: pl.Series, kind: str) -> pl.DataFrame:
    nothing = pl.lit(None, dtype=pl.Datetime("us"))
    return pl.DataFrame({"key": keys}).select(
        pl.lit(table).alias("table"), "key", pl.lit(kind).alias("kind"), nothing.alias("arrives_at")
    )
