"""Rows of the contract's events and transactions, from arrays of codes."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.sources.synthetic.knobs import SECONDS, Knobs
from lakehouse.sources.synthetic.streams import Array, draw

KINDS = ("view", "bounce", "click", "add_to_cart", "purchase")
VIEW, BOUNCE, CLICK, CART, PURCHASE = range(5)
SOURCES = ("Organic", "Paid Search", "Social", "Email", "Direct")
SOURCE_SHARES = np.array([0.4013, 0.1992, 0.1497, 0.1492, 0.1001])
INTENT = np.array([0.142, 0.617, 0.525, 0.651, 0.143])
"""The chance that a cart becomes a purchase, by source."""
PAID = np.array([False, True, True, True, False])
DEVICES, DEVICE_SHARES = ("mobile", "desktop", "tablet"), np.array([0.60, 0.29, 0.11])
PAGES, PAGE_SHARES = ("PLP", "PDP", "Home", "Checkout", "Cart"), np.array([0.35, 0.35, 0.15, 0.09, 0.06])
GROUPS, GROUP_SHARES = ("Control", "Variant_A", "Variant_B"), np.array([0.6, 0.2, 0.2])
QUANTITY = np.array([0.6703, 0.2681, 0.0536, 0.0080])
"""Shares of 1 to 4 pieces: 1 + Poisson(0.4), at most 4."""
REFUNDED = 0.0294
LONGEST = 7533.8


@dataclass(frozen=True)
class Happened:
    """What happened in a block, by event and in order; products are indices, -1 for none; campaigns are ids."""

    second: Array
    customer_id: Array
    session_id: Array
    kind: Array
    product: Array
    campaign_id: Array
    source: Array
    device: Array
    page: Array
    duration: Array
    group: Array


def durations(random: np.random.Generator, count: int) -> Array:
    """Seconds: log-normal with a mean of 132."""
    found: Array = np.exp(random.normal(4.49, 0.887, count)).clip(0.1, LONGEST).round(1)
    return found


def events(knobs: Knobs, told: Happened, *, first_id: int, first_session: int = 0) -> pl.DataFrame:
    """The contract's events; ids count from `first_id` on."""
    product = pl.Series(told.product + 1).cast(pl.Int64)
    return pl.DataFrame(
        {
            "event_id": np.arange(first_id, first_id + len(told.second)),
            "timestamp": _timestamps(knobs, told.second),
            "customer_id": told.customer_id,
            "session_id": first_session + told.session_id,
            "event_type": _named(told.kind, KINDS),
            "product_id": product.set(product == 0, None),
            "device_type": _named(told.device, DEVICES),
            "traffic_source": _named(told.source, SOURCES),
            "campaign_id": told.campaign_id,
            "page_category": _named(told.page, PAGES),
            "session_duration_sec": told.duration,
            "experiment_group": _named(told.group, GROUPS),
        }
    )


def transactions(
    random: np.random.Generator, bought: pl.DataFrame, *, cents: Array, percent: Array, first_id: int
) -> pl.DataFrame:
    """One for each purchase event, whose list prices (in cents) and discounts are given; `event_id` says which.

    Revenue is exact: the price of the pieces less the discount, rounded to cents, half to even, as a float can be.
    """
    quantity = 1 + draw(random, QUANTITY, bought.height)
    refund = random.random(bought.height) < REFUNDED
    revenue = np.round(cents * quantity * (100 - percent) / 100).astype(np.int64) * np.where(refund, -1, 1)
    return pl.DataFrame(
        {
            "transaction_id": np.arange(first_id, first_id + bought.height),
            "timestamp": bought["timestamp"],
            "customer_id": bought["customer_id"],
            "product_id": bought["product_id"],
            "quantity": quantity,
            "discount_applied": percent / 100,
            "gross_revenue": revenue / 100,
            "campaign_id": bought["campaign_id"],
            "refund_flag": refund.astype(np.int64),
            "event_id": bought["event_id"],
        }
    )


def _timestamps(knobs: Knobs, second: Array) -> pl.Series:
    start = np.datetime64(knobs.start, "us")
    return pl.Series(start + second.astype(np.int64) * np.timedelta64(1_000_000, "us"))


def _named(codes: Array, names: tuple[str, ...]) -> pl.Series:
    return pl.Series(codes.astype(np.uint8)).cat.to(pl.Enum(names))


def end_of(knobs: Knobs) -> int:
    """The second at which the shop's time is over."""
    return knobs.days * SECONDS
