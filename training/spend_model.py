"""The CLV candidate: boosted trees blended with repeated recent spend, and an interval, in ONNX and NumPy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, scalars, spend_design, tabular, trees
from training.purchase_process import expected_spend
from training.scalars import Numbers
from training.spend_design import HORIZON_DAYS, Array
from training.trees import Trees
from training.use_case import Columns

LEVELS = {"clv_180d_p10": 0.1, "clv_180d_p50": 0.5, "clv_180d_p90": 0.9}


class SpendModel:
    """Expected spend of 180 days, and the range that it will lie in for 8 of 10 customers.

    The expectation of a buyer is `tree_weight` x trees + `repeat_weight` x repeated spend, that of a prospect
    `prospect_weight` x trees; `constant` is what is left where neither was better than the mean.
    More `monetary`, everything else equal, never lowers it: the trees are constrained so. Recent spend and orders that
    are not given are taken from `monetary` and `tx_count` by their training shares, so that an override of those moves
    the answer of a customer unknown to the lake, too.
    """

    kind = "trees_and_repeat"

    def __init__(self, fitted: Trees, *, defaults: Mapping[str, float], params: Mapping[str, Any]) -> None:
        self.defaults = defaults
        self.params = params
        self._trees = fitted

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """`clv_180d` and its 10th, 50th and 90th percentile per row, in the shop's currency, never negative."""
        values = self._values(inputs)
        if not len(values["tx_count"]):
            return {name: np.zeros(0) for name in ("clv_180d", *LEVELS)}
        scores = self._trees.scores(spend_design.design(values, self.params["process"]))
        return {"clv_180d": self._mean(scores[:, 0], values), **self._interval(scores[:, 1:])}

    def predict_one(self, inputs: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, float]:
        """As `predict`, for the numbers of one row."""
        given = spend_design.completed(inputs, self.params["shares"], scalars)
        values = spend_design.settled(tabular.filled(given, self.defaults), given, scalars)
        mean_log, *scores = self._trees.scores_of(spend_design.columns(values, self.params["process"], scalars))
        return {"clv_180d": self._mean(mean_log, values, scalars), **self._interval_of(scores)}

    def contributions(self, inputs: Columns) -> tuple[float, dict[str, float]]:
        """What is answered before anything is known of one row's customer, and what each input adds: exact in sum.

        SHAP values of the trees are exact for the logarithm of their answer; each is turned into money by the
        logarithmic mean of the answers with and without all of them (Ang 2004), which keeps the sum exact. An answer
        cut off at 0 has its contributions scaled alike.
        """
        values = {name: column[:1] for name, column in self._values(inputs).items()}
        weights = self._weights({name: float(column[0]) for name, column in values.items()}, scalars)
        mean_log, shap = self._trees.contributions(spend_design.design(values, self.params["process"])[0])
        scale = weights["tree"] * HORIZON_DAYS * _logarithmic_mean(mean_log, mean_log + float(shap.sum()))
        base = self.params["constant"] + weights["tree"] * HORIZON_DAYS * float(np.exp(mean_log))
        added: dict[str, float] = {}
        for source, value in zip(spend_design.SOURCES, shap.tolist(), strict=True):
            added[source] = added.get(source, 0.0) + scale * value
        usual = self.params["repeat_means"]
        for place, source in enumerate(("spend_90d", "spend_180d")):
            base += weights["repeat"] * usual[place]
            more = float(spend_design.repeated(values)[place][0]) - usual[place]
            added[source] += weights["repeat"] * more
        return base, _from_zero_up(base, added)

    def used(self, inputs: Columns) -> dict[str, float]:
        """The values of one row that `contributions` names."""
        values = self._values(inputs)
        expected = expected_spend(self.params["process"], values, days=HORIZON_DAYS)
        return {name: float(column[0]) for name, column in {**values, "expected_spend": expected}.items()}

    def save(self, folder: Path) -> None:
        """Write the trees as ONNX and boxes beside weights, process and shares."""
        artifact.write(
            folder,
            use_case="clv",
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
            arrays=self._trees.arrays(),
            files={trees.FILE: self._trees.function.content},
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "SpendModel":
        """The inverse of `save`."""
        fitted = Trees.load(stored.files[trees.FILE], stored.arrays)
        return cls(fitted, defaults=stored.defaults, params=stored.params)

    def _values(self, inputs: Columns) -> dict[str, Array]:
        return spend_design.filled(spend_design.complete(inputs, self.params["shares"]), self.defaults)

    def _weights(self, values: Mapping[str, Numbers], xp: Any = np) -> dict[str, Numbers]:
        buyer, params = values["tx_count"] > 0, self.params
        return {
            "tree": xp.where(buyer, params["tree_weight"], params["prospect_weight"]),
            "repeat": xp.where(buyer, params["repeat_weight"], 0.0),
        }

    def _mean(self, mean_log: Numbers, values: Mapping[str, Numbers], xp: Any = np) -> Numbers:
        weights = self._weights(values, xp)
        mean = self.params["constant"] + weights["tree"] * HORIZON_DAYS * xp.exp(mean_log)
        return xp.maximum(mean + weights["repeat"] * sum(spend_design.repeated(values, xp)), 0.0)

    def _interval(self, scores: Array) -> dict[str, Array]:
        """Fitted percentiles moved by their conformal offsets, on the scale they were fitted on, then in order."""
        moved = scores + np.array([self.params["offsets"][name] for name in LEVELS])
        middle = moved[:, 1:2]
        moved = np.sort(middle + self.params["interval_width"] * (moved - middle), axis=1)
        amounts = from_scale(moved, self.params["unit"])
        return {name: amounts[:, place] for place, name in enumerate(LEVELS)}

    def _interval_of(self, scores: list[float]) -> dict[str, float]:
        """As `_interval`, of one row."""
        offsets, width, unit = self.params["offsets"], self.params["interval_width"], self.params["unit"]
        moved = [score + offsets[name] for score, name in zip(scores, LEVELS, strict=True)]
        ordered = sorted(moved[1] + width * (value - moved[1]) for value in moved)
        return {name: from_scale(value, unit, scalars) for name, value in zip(LEVELS, ordered, strict=True)}


def to_scale(amounts: Array, unit: float) -> Array:
    """Amounts on the logarithmic scale of the percentiles."""
    return np.log1p(np.maximum(amounts, 0.0) / unit)


def from_scale(scaled: Numbers, unit: float, xp: Any = np) -> Numbers:
    """The inverse of `to_scale`; never negative."""
    return unit * xp.expm1(xp.maximum(scaled, 0.0))


def _logarithmic_mean(low: float, high: float) -> float:
    """(e^high - e^low) / (high - low)."""
    apart = high - low
    return float(np.exp(low)) * (float(np.expm1(apart)) / apart if abs(apart) > 1e-12 else 1.0)


def _from_zero_up(base: float, added: dict[str, float]) -> dict[str, float]:
    total = sum(added.values())
    factor = max(total, -base) / total if total < 0 else 1.0
    return {name: factor * value for name, value in added.items()}
