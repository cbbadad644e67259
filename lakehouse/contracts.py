"""The raw contract: the five tables a retailer gives, their columns, and the rule that each value must keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "integer", "flag", "number", "fraction", "money", "date", "timestamp", "text"]


@dataclass(frozen=True)
class Column:
    """One column of a raw table: what it holds, and whether it may be empty.

    Kinds: id and integer are whole numbers (`1630.0` is read as 1630), flag is 0 or 1, fraction lies in 0..1, money
    becomes `Decimal(18, 2)`, date is `YYYY-MM-DD`, timestamp `YYYY-MM-DD HH:MM:SS` with no zone.
    `null` is the text that stands for an empty value beside the empty field itself.
    """

    kind: Kind
    required: bool = False
    null: str | None = None
    minimum: float | None = None
    lower: bool = False


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
        "device_type": Column("text", lower=True),
        "traffic_source": Column("text", lower=True),
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
}
"""The first column of each table is its key; where a key comes twice, the row loaded last wins."""

MEANINGS = {
    "id": "not_a_whole_number",
    "integer": "not_a_whole_number",
    "flag": "not_0_or_1",
    "number": "not_a_number",
    "fraction": "not_in_0_to_1",
    "money": "not_an_amount",
    "date": "not_a_date",
    "timestamp": "not_a_timestamp",
}
"""The end of the rule's name that a value of a kind breaks, after the column's name."""
