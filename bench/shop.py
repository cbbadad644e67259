"""Writes a large shop without signal as the contract's five CSVs, in bounded memory: what the benches read.

python -m bench.shop FOLDER --events 10 --customers 100000
"""

import argparse
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

CHUNK = 1_000_000
START = datetime(2021, 1, 1)
SECONDS = 1_095 * 86_400
PRODUCTS = 2_000


def main() -> None:
    """Write the shop that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=float, default=10, help="Million events; a fifth as many transactions.")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    write(arguments.folder, int(arguments.events * 1e6), arguments.customers, arguments.seed)


def write(folder: Path, events: int, customers: int, seed: int = 1) -> None:
    """Write the five files; rows of one seed are the same whatever `events` is, as far as they go."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, 0])
    _dimensions(random, customers, folder)
    prices = random.lognormal(4, 0.6, PRODUCTS).round(2)
    pl.DataFrame(
        {
            "product_id": range(1, PRODUCTS + 1),
            "category": random.choice(["Home", "Grocery", "Fashion", "Sports"], PRODUCTS),
            "brand": [f"Brand_{number}" for number in random.integers(1, 101, PRODUCTS)],
            "base_price": prices,
            "launch_date": ["2020-06-01"] * PRODUCTS,
            "is_premium": (prices > np.median(prices)).astype(int),
        }
    ).write_csv(folder / "products.csv")
    _chunks(folder / "events.csv", events, lambda block, size: _events(block, size, customers, seed))
    _chunks(folder / "transactions.csv", events // 5, lambda block, size: _sales(block, size, customers, seed, prices))


def divide(whole: Path, old: Path, new: Path) -> None:
    """Copy a shop into a folder without the newest 1 % of its facts, and those into another."""
    for folder in (old, new):
        folder.mkdir(parents=True)
    for name in ("customers", "products", "campaigns"):
        shutil.copy(whole / f"{name}.csv", old)
    edge = f"{START + timedelta(seconds=int(SECONDS * 0.99)):%Y-%m-%d %H:%M:%S}"
    for name in ("events", "transactions"):
        rows = pl.scan_csv(whole / f"{name}.csv", infer_schema=False)
        for folder, kept in ((old, pl.col("timestamp") < edge), (new, pl.col("timestamp") >= edge)):
            rows.filter(kept).sink_csv(folder / f"{name}.csv")


def _dimensions(random: np.random.Generator, customers: int, folder: Path) -> None:
    pl.DataFrame(
        {
            "customer_id": range(1, customers + 1),
            "signup_date": ["2020-12-01"] * customers,
            "country": random.choice(["US", "IN", "UK", "BR"], customers),
            "age": random.integers(18, 71, customers),
            "gender": random.choice(["Male", "Female"], customers),
            "loyalty_tier": random.choice(["Bronze", "Silver", "Gold", "Platinum"], customers),
            "acquisition_channel": random.choice(["Organic", "Email", "Social"], customers),
        }
    ).write_csv(folder / "customers.csv")
    pl.DataFrame(
        {
            "campaign_id": range(1, 51),
            "channel": random.choice(["Email", "Social"], 50),
            "objective": ["Retention"] * 50,
            "start_date": [f"2021-{1 + number % 12:02d}-01" for number in range(50)],
            "end_date": [f"2022-{1 + number % 12:02d}-01" for number in range(50)],
            "target_segment": ["All"] * 50,
            "expected_uplift": random.uniform(0.02, 0.14, 50).round(3),
        }
    ).write_csv(folder / "campaigns.csv")


def _chunks(path, rows, make) -> None:
    with path.open("wb") as file:
        for block in range(-(-rows // CHUNK)):
            frame = make(block, min(CHUNK, rows - block * CHUNK))
            frame.write_csv(file, include_header=block == 0, float_precision=2)


def _events(block: int, size: int, customers: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng([seed, 1, block])
    kinds = random.choice(["view", "click", "add_to_cart", "bounce", "purchase"], size, p=[0.52, 0.19, 0.14, 0.1, 0.05])
    campaign = random.integers(1, 51, size) * (random.random(size) < 0.05)
    return pl.DataFrame(
        {
            "event_id": np.arange(size) + block * CHUNK + 1,
            "timestamp": _stamps(random, size),
            "customer_id": random.integers(1, customers + 1, size),
            "session_id": random.integers(1, 10**7, size),
            "event_type": kinds,
            "product_id": pl.Series(random.integers(1, PRODUCTS + 1, size)).set(pl.Series(kinds == "bounce"), None),
            "device_type": random.choice(["mobile", "desktop", "tablet"], size),
            "traffic_source": np.where(campaign > 0, "Email", random.choice(["Organic", "Direct"], size)),
            "campaign_id": campaign,
            "page_category": random.choice(["PLP", "PDP", "Home"], size),
            "session_duration_sec": random.exponential(132, size).round(1),
            "experiment_group": random.choice(["Control", "Variant_A"], size),
        }
    )


def _sales(block: int, size: int, customers: int, seed: int, prices) -> pl.DataFrame:
    random = np.random.default_rng([seed, 2, block])
    product, quantity = random.integers(0, PRODUCTS, size), random.integers(1, 5, size)
    discount = random.choice([0, 0.05, 0.1, 0.15, 0.2], size)
    refund = random.random(size) < 0.03
    return pl.DataFrame(
        {
            "transaction_id": np.arange(size) + block * CHUNK + 1,
            "timestamp": _stamps(random, size),
            "customer_id": random.integers(1, customers + 1, size),
            "product_id": product + 1,
            "quantity": quantity,
            "discount_applied": discount,
            "gross_revenue": (prices[product] * quantity * (1 - discount)).round(2) * np.where(refund, -1, 1),
            "campaign_id": random.integers(1, 51, size) * (random.random(size) < 0.02),
            "refund_flag": refund.astype(int),
        }
    )


def _stamps(random: np.random.Generator, size: int) -> pl.Series:
    moments = np.datetime64(START, "s") + random.integers(0, SECONDS, size).astype("timedelta64[s]")
    return pl.Series(moments.astype("datetime64[us]")).dt.strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    main()
