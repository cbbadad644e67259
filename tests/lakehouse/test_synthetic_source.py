from pathlib import Path

import numpy as np
import polars as pl

from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.sources import synthetic
from lakehouse.storage import Lake

SIZE = {"customers": 200, "products": 30, "days": 200}


def frame(folder: Path, table: str) -> pl.DataFrame:
    """A file without the broken lines at its end, with types."""
    rows = pl.read_csv(folder / f"{table}.csv", infer_schema=False)
    broken = {"customers": 1, "products": 1, "campaigns": 1, "events": 2, "transactions": 3}[table]
    names = [name for name in rows.columns if name.endswith(("_id", "quantity", "flag"))]
    money = [name for name in rows.columns if name in ("gross_revenue", "discount_applied", "base_price")]
    return rows.head(-broken).with_columns(pl.col(names).cast(pl.Int64), pl.col(money).cast(pl.Float64))


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """Two runs give the same files, another seed gives others."""
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        synthetic.write(tmp_path / name, seed=seed, **SIZE)
    for table in ("customers", "products", "campaigns", "events", "transactions"):
        one, again, other = ((tmp_path / name / f"{table}.csv").read_bytes() for name in ("one", "again", "other"))
        assert one == again
        assert one != other


def test_the_contract_holds_but_for_the_broken_rows(tmp_path: Path) -> None:
    """Silver accepts everything except the eight rows that were broken on purpose."""
    synthetic.write(tmp_path / "raw", **SIZE)
    lake = Lake(Settings(var_dir=tmp_path))
    ingest(lake, str(tmp_path / "raw"))
    report = build_silver(lake)
    assert report.quarantined == {"customers": 1, "products": 1, "campaigns": 1, "events": 2, "transactions": 3}
    assert report.good["customers"] == 200


def test_purchases_are_transactions(tmp_path: Path) -> None:
    """Each purchase event has one transaction of the same moment, customer, product and campaign."""
    synthetic.write(tmp_path, **SIZE)
    key = ["timestamp", "customer_id", "product_id", "campaign_id"]
    purchases = frame(tmp_path, "events").filter(pl.col("event_type") == "purchase").select(key)
    assert purchases.sort(key).equals(frame(tmp_path, "transactions").select(key).sort(key))


def test_revenue_is_what_the_price_says(tmp_path: Path) -> None:
    """Revenue is price x quantity x (1 - discount), negative for refunds; unpriced rows have neither product nor it."""
    synthetic.write(tmp_path, **SIZE)
    sales = frame(tmp_path, "transactions").join(frame(tmp_path, "products"), on="product_id", how="left")
    priced = sales.filter(pl.col("product_id").is_not_null())
    full = pl.col("base_price") * pl.col("quantity") * (1 - pl.col("discount_applied"))
    expected = full * (1 - 2 * pl.col("refund_flag"))
    assert priced.select((expected - pl.col("gross_revenue")).abs().max()).item() < 0.0051
    assert sales["product_id"].is_null().equals(sales["gross_revenue"].is_null())
    assert 0.05 < 1 - priced.height / sales.height < 0.15


def test_signal_can_be_switched_off(tmp_path: Path) -> None:
    """Without signal the best seller is hardly better than the median product; with it, many times."""
    ratios = []
    for name, signal in (("flat", False), ("rich", True)):
        synthetic.write(tmp_path / name, signal=signal, **SIZE)
        sold = frame(tmp_path / name, "transactions")["product_id"].drop_nulls().value_counts()["count"].to_numpy()
        ratios.append(sold.max() / np.median(sold))
    assert ratios[0] < 2
    assert ratios[1] > 3
