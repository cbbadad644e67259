"""The source `synthetic`: a small generated shop with a clickstream, in which there is something to learn.

Customers differ in how often they come, how long they stay, what they like and whether campaigns move them; products in
popularity and in how demand answers to price. With `signal=False` everybody and everything is alike.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lakehouse.sources import synthetic_dimensions as dimensions
from lakehouse.sources.synthetic_dimensions import DAY, START

Array = np.ndarray[Any, Any]
STYLES = 8
FAVOURITES = 5
CATEGORIES = {  # share of products, mean and spread of ln price, mean elasticity
    "Electronics": (0.2275, 4.79, 0.40, -2.7),
    "Fashion": (0.209, 3.89, 0.42, -2.3),
    "Home": (0.198, 4.38, 0.42, -2.0),
    "Grocery": (0.156, 2.71, 0.40, -1.4),
    "Sports": (0.109, 4.27, 0.37, -2.2),
    "Beauty": (0.1005, 3.40, 0.42, -1.8),
}


@dataclass(frozen=True)
class Shop:
    """Who and what there is, with the truth behind it; prices are `base_price * (1 - discount[product, week])`."""

    days: int
    base_price: Array
    category: Array
    elasticity: Array
    discount: Array
    taste: Array  # cumulative chance of each product, by style
    joined: Array  # seconds since START
    gone: Array
    visits: Array  # expected number of sessions
    style: Array
    favourites: Array
    habit: float
    responsive: Array


def write(
    folder: Path, *, customers: int = 4000, products: int = 300, days: int = 500, seed: int = 0, signal: bool = True
) -> None:
    """Write the five contract files, and `truth/products.csv` with the true elasticities; same seed, same bytes.

    About one in ten transactions is unpriced, one in thirty a refund, and a few rows break the contract.
    """
    random = np.random.default_rng(seed)
    shop = _shop(random, customers=customers, products=products, days=days, signal=signal)
    campaigns = dimensions.campaigns(random, days)
    touched = pl.concat([_sessions(random, shop), _campaign_sessions(random, shop, campaigns)])
    events = touched.sort("second", "customer_id", "rank", maintain_order=True).with_row_index("event_id", offset=1)
    events = _with_circumstances(random, events)
    transactions = _transactions(random, shop, events.filter(pl.col("event_type") == "purchase"))
    unpriced = transactions.filter(pl.col("product_id").is_null())["event_id"]
    product = pl.when(~pl.col("event_id").is_in(unpriced.implode())).then("product_id").alias("product_id")
    frames = {
        "customers": dimensions.customers(random, joined=shop.joined, visits=shop.visits),
        "products": dimensions.products(random, base_price=shop.base_price, category=shop.category),
        "campaigns": campaigns,
        "events": events.with_columns(product).drop("second", "rank"),
        "transactions": transactions.drop("event_id").with_row_index("transaction_id", offset=1),
    }
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    truth = pl.DataFrame({"product_id": np.arange(1, products + 1), "elasticity": shop.elasticity})
    truth.write_csv(folder / "truth" / "products.csv")
    for table, frame in frames.items():
        unfinished = folder / f"{table}.csv.part"
        text = frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S", float_precision=2)
        unfinished.write_text(text + dimensions.BROKEN_LINES.get(table, ""), encoding="utf-8")
        unfinished.rename(folder / f"{table}.csv")


def _shop(random: np.random.Generator, *, customers: int, products: int, days: int, signal: bool) -> Shop:
    names, facts = np.array(list(CATEGORIES)), np.array(list(CATEGORIES.values()))
    kind = random.choice(len(names), products, p=facts[:, 0] / facts[:, 0].sum())
    strength = float(signal)
    popularity = np.exp(strength * random.normal(0, 1, products))
    taste = popularity * np.exp(strength * random.normal(0, 1.2, (STYLES, products)))
    cumulative = np.cumsum(taste, axis=1)
    cumulative /= cumulative[:, -1:]
    style = random.integers(0, STYLES, customers)
    joined = strength * (random.beta(1, 1.6, customers) * days * 0.8 - days * 0.2).clip(0) * DAY
    lifetime = random.exponential(2.0 * days, customers) if signal else np.full(customers, float(days))
    gone = np.minimum(joined + lifetime * DAY, days * DAY)
    per_day = 0.06 * (random.gamma(1.2, 1 / 1.2, customers) if signal else np.ones(customers))
    weeks = days // 7 + 1
    level = random.choice([0.1, 0.2, 0.3], (products, weeks))
    elasticity = (facts[kind, 3] + random.normal(0, 0.35, products)).clip(-5, -0.3)
    return Shop(
        days=days,
        base_price=np.exp(facts[kind, 1] + facts[kind, 2] * random.normal(0, 1, products)).clip(2, 900).round(2),
        category=names[kind],
        elasticity=strength * elasticity,
        discount=np.where(random.random((products, weeks)) < 0.35, level, 0.0),
        taste=cumulative,
        joined=joined,
        gone=gone,
        visits=per_day * (gone - joined) / DAY,
        style=style,
        favourites=_pick(random, cumulative, np.repeat(style, FAVOURITES)).reshape(customers, FAVOURITES),
        habit=0.45 * strength,
        responsive=random.beta(0.6, 2.4, customers) if signal else np.full(customers, 0.2),
    )


def _pick(random: np.random.Generator, cumulative: Array, style: Array) -> Array:
    """One product index per entry of `style`, drawn from that style's taste."""
    draw = random.random(len(style))
    picked = np.empty(len(style), np.int64)
    for number in range(STYLES):
        own = style == number
        picked[own] = np.searchsorted(cumulative[number], draw[own])
    return picked


def _sessions(random: np.random.Generator, shop: Shop) -> pl.DataFrame:
    """Visits of their own accord: views of liked products, clicks, carts that depend on the price, purchases."""
    visits = random.poisson(shop.visits)
    customer = np.repeat(np.arange(len(visits)), visits)
    begin = shop.joined[customer] + random.random(len(customer)) * (shop.gone - shop.joined)[customer]
    bounced = random.random(len(customer)) < 0.19
    views = np.where(bounced, 1, 1 + random.poisson(2, len(customer)))
    session = np.repeat(np.arange(len(customer)), views)
    who = customer[session]
    second = begin[session] + 40 * (np.arange(len(session)) - np.repeat(np.cumsum(views) - views, views))
    usual = shop.favourites[who, random.integers(0, FAVOURITES, len(who))]
    product = np.where(random.random(len(who)) < shop.habit, usual, _pick(random, shop.taste, shop.style[who]))
    return _events(random, shop, who=who, session=session, second=second, product=product, bounced=bounced[session])


def _events(
    random: np.random.Generator,
    shop: Shop,
    *,
    who: Array,
    session: Array,
    second: Array,
    product: Array,
    bounced: Array,
) -> pl.DataFrame:
    discount = _discount(shop, product, second)
    chance = 0.2 * (1 - discount) ** shop.elasticity[product]
    carted = ~bounced & (random.random(len(who)) < chance)
    steps = {
        "view": ~bounced,
        "bounce": bounced,
        "click": ~bounced & (random.random(len(who)) < 0.35),
        "add_to_cart": carted,
        "purchase": carted & (random.random(len(who)) < 0.5),
    }
    parts = [
        _frame(who[rows], session[rows], second[rows], product[rows], kind=kind, rank=rank, campaign=0)
        for rank, (kind, rows) in enumerate(steps.items())
    ]
    return pl.concat(parts).filter(pl.col("second") < shop.days * DAY)


def _campaign_sessions(random: np.random.Generator, shop: Shop, campaigns: pl.DataFrame) -> pl.DataFrame:
    """Each campaign reaches a third of its target with a click; who is responsive buys within two weeks."""
    first = 10**7
    parts = []
    spans = campaigns.select("campaign_id", "start_date", "end_date", "expected_uplift").iter_rows()
    for number, start, end, uplift in spans:
        opening, closing = ((day - START.date()).days * DAY for day in (start, end))
        alive = np.flatnonzero((shop.joined < opening) & (shop.gone > opening))
        who = np.sort(random.choice(alive, len(alive) // 3, replace=False)) if len(alive) else alive
        second = opening + random.random(len(who)) * 3 * DAY
        product = _pick(random, shop.taste, shop.style[who])
        session = first + np.arange(len(who))
        first += len(who)
        parts.append(_frame(who, session, second, product, kind="click", rank=2, campaign=number))
        moved = random.random(len(who)) < (shop.responsive[who] * (0.6 + 4 * uplift)).clip(0, 1)
        late = second + 60 + random.random(len(who)) * np.minimum(14 * DAY, closing - second - 60)
        for rank, kind in ((0, "view"), (3, "add_to_cart"), (4, "purchase")):
            parts.append(
                _frame(who[moved], session[moved], late[moved], product[moved], kind=kind, rank=rank, campaign=number)
            )
    return pl.concat(parts).filter(pl.col("second") < shop.days * DAY)


def _frame(
    who: Array, session: Array, second: Array, product: Array, *, kind: str, rank: int, campaign: int
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": who + 1,
            "session_id": session + 1,
            "second": second.astype(np.int64) + 5 * rank,
            "event_type": pl.repeat(kind, len(who), eager=True),
            "product_id": pl.Series(product + 1)
            if kind != "bounce"
            else pl.repeat(None, len(who), dtype=pl.Int64, eager=True),
            "campaign_id": pl.repeat(campaign, len(who), dtype=pl.Int64, eager=True),
            "rank": pl.repeat(rank, len(who), dtype=pl.Int64, eager=True),
        }
    )


def _with_circumstances(random: np.random.Generator, events: pl.DataFrame) -> pl.DataFrame:
    """The columns of the contract that say how and where an event happened."""
    count = events.height
    paid = random.choice(["Email", "Paid Search", "Social"], count)
    own = random.choice(["Organic", "ORGANIC", "Direct"], count, p=[0.7, 0.1, 0.2])
    device = pl.Series(random.choice(["mobile", "desktop", "tablet", ""], count, p=[0.6, 0.28, 0.1, 0.02]))
    linked = pl.col("campaign_id") > 0
    return events.with_columns(_stamp(), paid=pl.Series(paid), own=pl.Series(own), device_type=device).select(
        "event_id",
        "timestamp",
        "customer_id",
        "session_id",
        "event_type",
        "product_id",
        pl.when(pl.col("device_type") != "").then("device_type").alias("device_type"),
        pl.when(linked).then("paid").otherwise("own").alias("traffic_source"),
        "campaign_id",
        pl.Series("page_category", random.choice(["PLP", "PDP", "Home", "Checkout", "Cart"], count)),
        pl.Series("session_duration_sec", random.exponential(132, count).round(1) + 0.1),
        pl.Series("experiment_group", random.choice(["Control", "Variant_A", "Variant_B"], count, p=[0.6, 0.2, 0.2])),
        "second",
        "rank",
    )


def _transactions(random: np.random.Generator, shop: Shop, purchases: pl.DataFrame) -> pl.DataFrame:
    product, second = purchases["product_id"].to_numpy() - 1, purchases["second"].to_numpy()
    quantity = (1 + random.poisson(0.4, len(product))).clip(1, 4)
    discount = _discount(shop, product, second)
    refund = random.random(len(product)) < 0.03
    revenue = (shop.base_price[product] * quantity * (1 - discount)).round(2) * np.where(refund, -1, 1)
    priced = pl.Series(random.random(len(product)) >= 0.1)
    return purchases.select(
        "event_id",
        "timestamp",
        "customer_id",
        pl.when(priced).then("product_id").alias("product_id"),
        pl.Series("quantity", quantity),
        pl.Series("discount_applied", discount),
        pl.when(priced).then(pl.Series(revenue)).alias("gross_revenue"),
        "campaign_id",
        pl.Series("refund_flag", refund.astype(np.int64)),
    )


def _discount(shop: Shop, product: Array, second: Array) -> Array:
    week = (second // (7 * DAY)).astype(np.int64).clip(0, shop.discount.shape[1] - 1)
    found: Array = shop.discount[product, week]
    return found


def _stamp(second: str = "second") -> pl.Expr:
    return (pl.lit(START) + pl.duration(seconds=pl.col(second))).dt.cast_time_unit("us").alias("timestamp")
