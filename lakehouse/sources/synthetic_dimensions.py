"""The generated shop's customers, products and campaigns, and rows that break the contract; see `synthetic`."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]
START = datetime(2022, 1, 1)
DAY = 86_400
CHANNELS = ("Email", "Paid Search", "Social", "Display", "Affiliate")
BROKEN_LINES = {
    "customers": "not-a-number,2022-01-01,US,40,Male,Gold,Email\n",
    "products": "900001,Home,Brand_1,-5.00,2021-01-01,0\n",
    "campaigns": "901,Email,Retention,2022-05-01,2022-04-01,All,0.05\n",
    "events": (
        "90000001,2022-13-45 00:00:00,1,1,view,1,mobile,Organic,0,PDP,10.0,Control\n"
        "90000002,2022-02-01 00:00:00,,1,view,1,mobile,Organic,0,PDP,10.0,Control\n"
    ),
    "transactions": (
        "90000001,2022-02-01 00:00:00,1,1,0,0.00,10.00,0,0\n"
        "90000002,2022-02-01 00:00:00,1,1,1,1.70,10.00,0,0\n"
        "90000003,2022-02-01 00:00:00,1,1,1,0.00,,0,0\n"
    ),
}
"""Lines at the end of each file that break the contract, each in a way of its own; they end in quarantine."""


def dates(days: Array) -> pl.Series:
    """Dates from days since START."""
    return pl.Series(np.datetime64(START, "D") + days.astype("timedelta64[D]")).cast(pl.Date)


def customers(random: np.random.Generator, *, joined: Array, visits: Array) -> pl.DataFrame:
    """One row per customer, who signed up at `joined` (seconds); a tier follows the visits, with noise."""
    count = len(joined)
    noisy = np.log(visits + 1) + random.normal(0, 0.5, count)
    tier = np.array(["Bronze", "Silver", "Gold", "Platinum"])[np.digitize(noisy, np.quantile(noisy, [0.5, 0.8, 0.97]))]
    channels = ["Organic", "Paid Search", "Social", "Email", "Referral"]
    countries = ["US", "IN", "UK", "BR", "CA", "DE", "AU"]
    shares = np.array([35.1, 20.1, 10.1, 10.0, 9.8, 7.8, 7.1]) / 100
    return pl.DataFrame(
        {
            "customer_id": np.arange(1, count + 1),
            "signup_date": dates(np.floor(joined / DAY)),
            "country": random.choice(countries, count, p=shares),
            "age": random.normal(35, 11, count).round().clip(18, 70).astype(int),
            "gender": random.choice(["Male", "Female", "Other"], count, p=[0.5, 0.46, 0.04]),
            "loyalty_tier": tier,
            "acquisition_channel": random.choice(channels, count, p=[0.4, 0.25, 0.17, 0.11, 0.07]),
        }
    )


def products(random: np.random.Generator, *, base_price: Array, category: Array) -> pl.DataFrame:
    """One row per product; premium is what costs more than the median."""
    count = len(base_price)
    brands = [f"Brand_{number}" for number in random.integers(1, 101, count)]
    return pl.DataFrame(
        {
            "product_id": np.arange(1, count + 1),
            "category": category,
            "brand": brands,
            "base_price": base_price,
            "launch_date": dates(-random.integers(1, 400, count)),
            "is_premium": (base_price > np.median(base_price)).astype(int),
        }
    )


def campaigns(random: np.random.Generator, days: int) -> pl.DataFrame:
    """A campaign every 20 days, of 20 to 44 days."""
    start = np.arange(30, max(days - 10, 31), 20)
    count = len(start)
    segments = ["New Customers", "Churn Risk", "Deal Seekers", "High Value", "All"]
    return pl.DataFrame(
        {
            "campaign_id": np.arange(1, count + 1),
            "channel": random.choice(CHANNELS, count),
            "objective": random.choice(["Reactivation", "Retention", "Cross-sell", "Acquisition"], count),
            "start_date": dates(start),
            "end_date": dates(start + random.integers(20, 45, count)),
            "target_segment": random.choice(segments, count),
            "expected_uplift": random.uniform(0.022, 0.144, count).round(2),
        }
    )
