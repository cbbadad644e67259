"""Rules over a whole table, which no row can break alone: SQL that counts the rows concerned, run when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TableRule:
    """A warning: `rows` is SQL over the lake that counts the rows that break the rule."""

    name: str
    meaning: str
    rows: str


TABLE_RULES: Mapping[str, tuple[TableRule, ...]] = {
    "events": (
        TableRule(
            "session_of_several_customers",
            "the session_id is shared by customers: build no session features on it",
            """select coalesce(sum(n), 0)::bigint from (
                select count(*) as n from silver.events where session_id is not null
                group by session_id having min(customer_id) <> max(customer_id))""",
        ),
        TableRule(
            "experiment_group_switches",
            "the customer is in several groups of one campaign: an A/B reading is not valid",
            """select coalesce(sum(n), 0)::bigint from (
                select count(*) as n from silver.events where campaign_id is not null
                group by customer_id, campaign_id having min(experiment_group) <> max(experiment_group))""",
        ),
        TableRule(
            "purchase_without_transaction",
            "no transaction has the purchase's moment, customer, product and campaign",
            """select count(*) from silver.events p where event_type = 'purchase' and not exists (
                select 1 from silver.transactions t
                where t.timestamp = p.timestamp and t.customer_id = p.customer_id
                and t.product_id is not distinct from p.product_id
                and t.campaign_id is not distinct from p.campaign_id)""",
        ),
    ),
    "transactions": (
        TableRule(
            "transaction_without_purchase",
            "no purchase event has the transaction's moment, customer, product and campaign",
            """select count(*) from silver.transactions t where not exists (
                select 1 from silver.events p
                where p.event_type = 'purchase' and p.timestamp = t.timestamp and p.customer_id = t.customer_id
                and p.product_id is not distinct from t.product_id
                and p.campaign_id is not distinct from t.campaign_id)""",
        ),
    ),
    "promotions": (
        TableRule(
            "promotion_of_the_same_week",
            "another row has the same product and week under another key: the larger shares count",
            """select coalesce(sum(n), 0)::bigint from (
                select count(*) as n from silver.promotions
                group by product_id, week_start having count(*) > 1)""",
        ),
    ),
}
"""By the table whose rows are counted."""
