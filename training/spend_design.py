"""What the CLV candidate computes from its inputs: rates per day of known history, and what behaviour alone expects.

As rates, what was fitted on short histories holds for long ones. All derived values are made here, so that an override
of one input stays coherent with the others.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training import tabular
from training.purchase_process import expected_spend
from training.scalars import Numbers
from training.use_case import Columns

Array = np.ndarray[Any, Any]

SPANS = (30, 90, 180)
COUNTS = ("events_view_count", "events_add_to_cart_count", "events_purchase_count", "category_count")
AS_IS = (
    "avg_discount",
    "avg_quantity",
    "premium_tx_share",
    "avg_session_duration_sec",
    "age",
    "is_male",
    "loyalty_level",
    "recency_days",
    "signup_days",
)
MAYBE_UNKNOWN = ("age", "is_male", "loyalty_level", "avg_session_duration_sec")
"""Inputs of which it says something that a shop does not know them."""
SHORTEST_HISTORY = 30.0
HORIZON_DAYS = 180
PARTS = {f"{kind}_{span}d": span for kind in ("spend", "tx_count") for span in SPANS}
"""Inputs that are a part of `monetary` or `tx_count`, and the days that they cover."""


def complete(inputs: Columns, shares: Mapping[str, float]) -> dict[str, Array]:
    """The inputs with recent spend and orders, where not given, as training's share of `monetary` and `tx_count`.

    Nothing is recent for a customer whose last order is known to be older.
    """
    return completed({name: np.asarray(column, dtype=np.float64) for name, column in inputs.items()}, shares)


def completed(inputs: Mapping[str, Numbers], shares: Mapping[str, float], xp: Any = np) -> dict[str, Numbers]:
    """The same, for columns or for the numbers of one row, see `training.scalars`."""
    found = dict(inputs)
    recency = inputs.get("recency_days", np.nan)
    for name, share in shares.items():
        if (whole := inputs.get(_whole(name))) is not None:
            usual = xp.where(recency >= PARTS[name], 0.0, share * whole)
            given = inputs.get(name, np.nan)
            found[name] = xp.where(xp.isnan(given), usual, given)
    return found


def shares(inputs: Columns) -> dict[str, float]:
    """How much of all `monetary` and `tx_count` fell into the last 30, 90 and 180 days."""
    return {name: _share(inputs[name], inputs[_whole(name)]) for name in PARTS}


def filled(inputs: Columns, defaults: Mapping[str, float]) -> dict[str, Array]:
    """Every input with its default where unknown; who never bought has been idle since signing up.

    Added are `history_days`, how long the customer is known, and `<input>_known`, 0 or 1, of `MAYBE_UNKNOWN`.
    """
    values = dict(zip(defaults, tabular.matrix(inputs, defaults).T, strict=True))
    unknown = np.full(len(values["tx_count"]), np.nan)
    return settled(values, {name: inputs.get(name, unknown) for name in MAYBE_UNKNOWN})


def settled(values: dict[str, Numbers], given: Mapping[str, Numbers], xp: Any = np) -> dict[str, Numbers]:
    """What `filled` makes of values that have their defaults; `given` holds those of `MAYBE_UNKNOWN` without."""
    values |= {f"{name}_known": 1.0 - xp.isnan(given[name]) for name in MAYBE_UNKNOWN}
    values |= {name: xp.maximum(values[name], 0.0) for name in ("recency_days", "tenure_days", "signup_days")}
    buyer = values["tx_count"] > 0
    known = xp.where(buyer, xp.maximum(values["tenure_days"], values["recency_days"]), values["signup_days"])
    values["recency_days"] = xp.where(buyer, values["recency_days"], known)
    values["tenure_days"] = known
    values["history_days"] = xp.maximum(known, SHORTEST_HISTORY)
    return values


def repeated(values: Mapping[str, Numbers], xp: Any = np) -> tuple[Numbers, Numbers]:
    """The last 90 and the last 180 days' spend, each repeated for 180 days, half of each, to be added."""
    half = HORIZON_DAYS / 2
    history = values["history_days"]
    return half * (values["spend_90d"] / xp.minimum(90, history)), half * (
        values["spend_180d"] / xp.minimum(180, history)
    )


def design(values: Mapping[str, Array], process: Mapping[str, float]) -> Array:
    """The trees' matrix, one column per entry of `SOURCES`."""
    return np.column_stack(columns(values, process))


def columns(values: Mapping[str, Numbers], process: Mapping[str, float], xp: Any = np) -> list[Numbers]:
    """The columns of `design`, or the numbers of one row."""
    history, orders = values["history_days"], values["tx_count"]
    found = []
    for kind, whole in (("spend", "monetary"), ("tx_count", "tx_count")):
        found += [values[whole] / history]
        found += [values[f"{kind}_{span}d"] / xp.minimum(span, history) for span in SPANS]
    gap = xp.where(orders > 1, (values["tenure_days"] - values["recency_days"]) / xp.maximum(orders - 1, 1), history)
    found += [values["monetary"] / xp.maximum(orders, 1)]
    found += [expected_spend(process, values, days=HORIZON_DAYS, xp=xp) / HORIZON_DAYS]
    found += [values[name] / history for name in COUNTS]
    found += [values[name] for name in AS_IS]
    found += [values[f"{name}_known"] for name in MAYBE_UNKNOWN]
    return [*found, gap, values["recency_days"] / xp.maximum(gap, 1.0)]


SOURCES = (
    "monetary",
    *(f"spend_{span}d" for span in SPANS),
    "tx_count",
    *(f"tx_count_{span}d" for span in SPANS),
    "monetary",
    "expected_spend",
    *COUNTS,
    *AS_IS,
    *MAYBE_UNKNOWN,
    "tenure_days",
    "recency_days",
)
"""The input that each of the trees' columns is explained by; `expected_spend` is made of orders, recency and spend."""
RISING = [int(source in ("monetary", "expected_spend") or source.startswith("spend_")) for source in SOURCES]
"""1 for the columns that more spend raises: they never lower the answer."""


def _whole(name: str) -> str:
    return "monetary" if name.startswith("spend") else "tx_count"


def _share(part: Array, whole: Array) -> float:
    total = float(np.nansum(whole))
    return float(np.nansum(part)) / total if total > 0 else 0.0
