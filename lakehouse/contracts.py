"""The raw contract: the tables a retailer gives, their columns, and every rule with what becomes of a breach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

Kind = Literal["id", "integer", "flag", "number", "fraction", "money", "date", "timestamp", "text"]
Severity = Literal["reject", "repair", "warn"]
LONGEST_TEXT = 10_000
"""Bytes that a field may have."""


@dataclass(frozen=True)
class Column:
    """One column of a raw table: what it holds, and whether it may be empty.

    Kinds: id and integer are whole numbers (`1630.0` is read as 1630), flag is 0 or 1, fraction lies in 0..1, money
    becomes `Decimal(18, 2)`, date is `YYYY-MM-DD`, timestamp `YYYY-MM-DD HH:MM:SS` with no zone.
    `null` is the text that stands for an empty value, as the empty field itself does; `default` what both become.
    `lower` folds to lower case; with `titled`, words that begin with capitals are a usual spelling of it.
    """

    kind: Kind
    required: bool = False
    null: str | None = None
    minimum: float | None = None
    lower: bool = False
    titled: bool = False
    default: str | None = None


@dataclass(frozen=True)
class Rule:
    """A check of one row: what happens to a row that breaks it, and when it does.

    reject: the row goes to quarantine; repair: the value is mended and counted; warn: the row is counted and kept.
    `broken` is over the typed columns, and over those of the table that it `joins`, as `customers.signup_date`; a row
    that names nothing there breaks no such rule.
    """

    name: str
    severity: Severity
    meaning: str
    broken: pl.Expr
    joins: str | None = None


TABLES: Mapping[str, Mapping[str, Column]] = {
    "customers": {
        "customer_id": Column("id", required=True),
        "signup_date": Column("date"),
        "country": Column("text"),
        "age": Column("integer", minimum=0),
        "gender": Column("text"),
        "loyalty_tier": Column("text"),
        "acquisition_channel": Column("text"),
    },
    "products": {
        "product_id": Column("id", required=True),
        "category": Column("text"),
        "brand": Column("text"),
        "base_price": Column("money", minimum=0),
        "launch_date": Column("date"),
        "is_premium": Column("flag"),
    },
    "campaigns": {
        "campaign_id": Column("id", required=True),
        "channel": Column("text"),
        "objective": Column("text"),
        "start_date": Column("date", required=True),
        "end_date": Column("date", required=True),
        "target_segment": Column("text"),
        "expected_uplift": Column("number"),
    },
    "events": {
        "event_id": Column("id", required=True),
        "timestamp": Column("timestamp", required=True),
        "customer_id": Column("id", required=True),
        "session_id": Column("id"),
        "event_type": Column("text", required=True, lower=True),
        "product_id": Column("id"),
        "device_type": Column("text", lower=True, default="unknown"),
        "traffic_source": Column("text", lower=True, titled=True),
        "campaign_id": Column("id", null="0"),
        "page_category": Column("text"),
        "session_duration_sec": Column("number", minimum=0),
        "experiment_group": Column("text"),
    },
    "transactions": {
        "transaction_id": Column("id", required=True),
        "timestamp": Column("timestamp", required=True),
        "customer_id": Column("id", required=True),
        "product_id": Column("id"),
        "quantity": Column("integer", required=True, minimum=1),
        "discount_applied": Column("fraction"),
        "gross_revenue": Column("money"),
        "campaign_id": Column("id", null="0"),
        "refund_flag": Column("flag"),
    },
    "promotions": {
        "promotion_id": Column("id", required=True),
        "product_id": Column("id", required=True),
        "week_start": Column("date", required=True),
        "display": Column("fraction"),
        "mailer": Column("fraction"),
    },
}
"""The first column of each table is its key; where a key comes twice, the row loaded last wins (see `supersede`)."""

OPTIONAL = ("promotions",)
"""The tables that a shop may lack. No feature rests on them, and nothing is made of one that never came."""

REQUIRED = tuple(table for table in TABLES if table not in OPTIONAL)
"""The tables that every shop has."""

FACTS = ("events", "transactions")
"""The tables that grow: rows of a customer at a moment, stored by hashed customer."""

MEANINGS = {
    "id": ("not_a_whole_number", "is no whole number"),
    "integer": ("not_a_whole_number", "is no whole number"),
    "flag": ("not_0_or_1", "is neither 0 nor 1"),
    "number": ("not_a_number", "is no number"),
    "fraction": ("not_in_0_to_1", "is no number from 0 to 1"),
    "money": ("not_an_amount", "is no amount of money"),
    "date": ("not_a_date", "is no date YYYY-MM-DD (or the declared dialect's)"),
    "timestamp": ("not_a_timestamp", "is no timestamp YYYY-MM-DD HH:MM:SS (or the declared dialect's)"),
}
"""The end of the rule's name that a value of a kind breaks, after the column's name, and what it means."""

UNREADABLE = {
    "too_few_fields": "the line has fewer fields than the header",
    "too_many_fields": "the line has more fields than the header",
    "not_utf8": "the line is not UTF-8",
    "nul_byte": "the line holds a NUL byte",
    "unclosed_quote": "a quote is opened and not closed",
    "not_csv": "text stands beside a quoted field, or a line ends within an unquoted one",
}
"""What can be wrong with a line before it has values; all of them reject it."""

SUPERSEDED = Rule("superseded", "reject", "a row with the same key was loaded later", pl.lit(False))

_sale = pl.col("refund_flag").fill_null(0) == 0
_paid = pl.col("traffic_source").is_in(["paid search", "social", "email"])
_day = pl.col("timestamp").dt.date()
_outside = (_day < pl.col("campaigns.start_date")) | (_day > pl.col("campaigns.end_date"))
_list_value = pl.col("products.base_price").cast(pl.Float64) * pl.col("quantity")
_expected = _list_value * (1 - pl.col("discount_applied")) * pl.when(_sale).then(1).otherwise(-1)


def _unknown(table: str, key: str) -> Rule:
    broken = pl.col(key).is_not_null() & pl.col(f"{table}.{key}").is_null()
    return Rule(
        f"{key}_unknown",
        "warn",
        f"{key} is not in {table}; the row counts, without what {table} knows",
        broken,
        table,
    )


_BEFORE_SIGNUP = Rule(
    "before_signup",
    "warn",
    "happened before the customer's signup_date",
    _day < pl.col("customers.signup_date"),
    "customers",
)
_OUTSIDE_CAMPAIGN = Rule(
    "outside_campaign_dates", "warn", "linked to a campaign that did not run on that day", _outside, "campaigns"
)

ROW_RULES: Mapping[str, tuple[Rule, ...]] = {
    "customers": (),
    "products": (),
    "campaigns": (
        Rule(
            "end_date_before_start_date",
            "reject",
            "the campaign ends before it starts",
            pl.col("end_date") < pl.col("start_date"),
        ),
    ),
    "events": (
        Rule(
            "product_id_missing_on_event",
            "warn",
            "only a bounce or a purchase may lack its product",
            pl.col("product_id").is_null() & ~pl.col("event_type").is_in(["bounce", "purchase"]),
        ),
        Rule(
            "campaign_without_paid_source",
            "warn",
            "a campaign is linked exactly where the source is paid search, social or email",
            pl.col("campaign_id").is_not_null() != _paid,
        ),
        Rule(
            "traffic_source_off_channel",
            "warn",
            "the source is not the channel of the campaign that it is linked to",
            pl.col("traffic_source") != pl.col("campaigns.channel").str.to_lowercase(),
            "campaigns",
        ),
        _unknown("customers", "customer_id"),
        _unknown("products", "product_id"),
        _unknown("campaigns", "campaign_id"),
        _BEFORE_SIGNUP,
        _OUTSIDE_CAMPAIGN,
    ),
    "transactions": (
        Rule(
            "gross_revenue_missing",
            "reject",
            "a product was sold for an unknown amount",
            pl.col("gross_revenue").is_null() & pl.col("product_id").is_not_null(),
        ),
        Rule(
            "product_id_missing",
            "reject",
            "money was taken for an unknown product",
            pl.col("product_id").is_null() & pl.col("gross_revenue").is_not_null(),
        ),
        Rule("refund_above_zero", "reject", "a refund must not bring money in", ~_sale & (pl.col("gross_revenue") > 0)),
        Rule("sale_below_zero", "reject", "only a refund may take money out", _sale & (pl.col("gross_revenue") < 0)),
        Rule(
            "unpriced",
            "warn",
            "neither product nor revenue: a purchase that money features ignore",
            pl.col("product_id").is_null() & pl.col("gross_revenue").is_null(),
        ),
        Rule(
            "gross_revenue_off_list_price",
            "warn",
            "gross_revenue is not base_price * quantity * (1 - discount_applied) within 0.01",
            (pl.col("gross_revenue").cast(pl.Float64) - _expected).abs() > 0.0101,
            "products",
        ),
        _unknown("customers", "customer_id"),
        _unknown("products", "product_id"),
        _unknown("campaigns", "campaign_id"),
        _BEFORE_SIGNUP,
        Rule(
            "before_launch",
            "warn",
            "sold before the product's launch_date",
            _day < pl.col("products.launch_date"),
            "products",
        ),
        _OUTSIDE_CAMPAIGN,
    ),
    "promotions": (_unknown("products", "product_id"),),
}
"""The rules over a whole row, in the order in which a broken one is named."""


def key_of(table: str) -> str:
    """The name of a table's key column."""
    return next(iter(TABLES[table]))


def rules(table: str) -> dict[str, tuple[Severity, str]]:
    """Every rule of a table by name: its severity and its meaning."""
    found: dict[str, tuple[Severity, str]] = {name: ("reject", meaning) for name, meaning in UNREADABLE.items()}
    for name, column in TABLES[table].items():
        if column.required:
            found[f"{name}_missing"] = ("reject", f"{name} is empty")
        if column.kind == "text":
            found[f"{name}_too_long"] = ("reject", f"{name} has over {LONGEST_TEXT:,} bytes")
        else:
            found[f"{name}_{MEANINGS[column.kind][0]}"] = ("reject", f"{name} {MEANINGS[column.kind][1]}")
        if column.minimum is not None:
            found[f"{name}_below_{column.minimum:g}"] = ("reject", f"{name} is below {column.minimum:g}")
        if column.kind in ("id", "integer", "flag"):
            found[f"{name}_written_as_float"] = ("repair", f"{name} like 1630.0 is read as 1630")
        if column.lower:
            found[f"{name}_case"] = ("repair", f"{name} is folded to lower case")
        if column.default is not None:
            found[f"{name}_empty"] = ("repair", f"an empty {name} becomes {column.default!r}")
    found |= {rule.name: (rule.severity, rule.meaning) for rule in (*ROW_RULES[table], SUPERSEDED)}
    return found
