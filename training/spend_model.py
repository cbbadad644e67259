"""The CLV candidate: boosted trees on daily rates, blended with repeated recent spend, in ONNX and NumPy.

Everything is a rate per day of known history: what was fitted on short histories then holds for long ones.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, tabular
from training.onnx_runtime import OnnxFunction
from training.use_case import Columns

Array = np.ndarray[Any, Any]

SPANS = (30, 90, 180)
AS_IS = (
    "avg_discount",
    "avg_quantity",
    "premium_tx_share",
    "avg_session_duration_sec",
    "age",
    "is_male",
    "loyalty_level",
    "recency_days",
    "mean_gap_days",
)
COUNTS = ("events_view_count", "events_add_to_cart_count", "events_purchase_count", "category_count")
SHORTEST_HISTORY = 30.0
HORIZON_DAYS = 180


class SpendModel:
    """Expected spend of 180 days: `tree_weight` times the trees' answer and `repeat_weight` times repeated spend.

    More `monetary`, everything else equal, never lowers the answer: the trees are constrained so.
    Recent spend and orders that are not given are taken from `monetary` and `tx_count` by their training shares,
    so that an override of those two moves the answer of a customer that the lake does not know, too.
    """

    kind = "trees_and_repeat"

    def __init__(self, trees: OnnxFunction, *, defaults: Mapping[str, float], params: Mapping[str, Any]) -> None:
        self.defaults = defaults
        self.params = params
        self._trees = trees

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """`clv_180d` per row, in the shop's currency, never negative."""
        matrix, repeated = design(complete(inputs, self.params["shares"]), self.defaults)
        if not len(matrix):
            return {"clv_180d": np.zeros(0)}
        daily = np.ravel(self._trees(matrix)).astype(np.float64)
        answer = self.params["tree_weight"] * daily * HORIZON_DAYS + self.params["repeat_weight"] * repeated
        return {"clv_180d": np.maximum(answer, 0.0)}

    def save(self, folder: Path) -> None:
        """Write the trees as ONNX beside weights and shares."""
        artifact.write(
            folder,
            use_case="clv",
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
            files={"trees.onnx": self._trees.content},
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "SpendModel":
        """The inverse of `save`."""
        return cls(OnnxFunction(stored.files["trees.onnx"]), defaults=stored.defaults, params=stored.params)


def complete(inputs: Columns, shares: Mapping[str, float]) -> dict[str, Array]:
    """The inputs with recent spend and orders, where not given, as training's share of `monetary` and `tx_count`."""
    completed = {name: np.asarray(column, dtype=np.float64) for name, column in inputs.items()}
    for name, share in shares.items():
        whole = completed.get(_whole(name))
        if whole is not None:
            given = completed.get(name, np.full(len(whole), np.nan))
            completed[name] = np.where(np.isnan(given), share * whole, given)
    return completed


def shares(inputs: Columns) -> dict[str, float]:
    """How much of all `monetary` and `tx_count` fell into the last 30, 90 and 180 days."""
    names = [f"{kind}_{span}d" for kind in ("spend", "tx_count") for span in SPANS]
    return {name: _share(inputs[name], inputs[_whole(name)]) for name in names}


def design(inputs: Columns, defaults: Mapping[str, float]) -> tuple[Array, Array]:
    """The trees' matrix (one column per `design_names()`), and the last 90 and 180 days' spend repeated for 180."""
    values = dict(zip(defaults, tabular.matrix(inputs, defaults).T, strict=True))
    history = np.maximum(values["tenure_days"], SHORTEST_HISTORY)
    spend = {span: values[f"spend_{span}d"] / np.minimum(span, history) for span in SPANS}
    orders = {span: values[f"tx_count_{span}d"] / np.minimum(span, history) for span in SPANS}
    columns = [values["monetary"] / history, *spend.values(), values["tx_count"] / history, *orders.values()]
    columns += [values[name] / history for name in COUNTS]
    columns += [values[name] for name in AS_IS]
    columns += [values["recency_days"] / np.maximum(values["mean_gap_days"], 1.0)]
    return np.column_stack(columns), HORIZON_DAYS * (spend[90] + spend[180]) / 2


def design_names() -> list[str]:
    """The names of the trees' columns, in order."""
    rates = [f"{kind}_rate{span}" for kind in ("spend", "orders") for span in ("", *(f"_{span}d" for span in SPANS))]
    return [*rates, *(f"{name}_rate" for name in COUNTS), *AS_IS, "recency_over_gap"]


def monotone_constraints() -> list[int]:
    """1 for the columns that more spend raises, 0 for the others."""
    return [int(name.startswith("spend_rate")) for name in design_names()]


def _whole(name: str) -> str:
    return "monetary" if name.startswith("spend") else "tx_count"


def _share(part: Array, whole: Array) -> float:
    total = float(np.nansum(whole))
    return float(np.nansum(part)) / total if total > 0 else 0.0
