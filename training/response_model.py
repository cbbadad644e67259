"""The propensity candidate: log-odds of a logistic regression and of boosted trees, in NumPy and ONNX.

Adding log-odds rather than probabilities ranks as well, and makes the contributions of both parts exact in sum.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, logistic, scalars, tabular, trees
from training.scalars import Numbers
from training.trees import Trees
from training.use_case import Columns

Array = np.ndarray[Any, Any]


class ResponseModel:
    """The chance of a response: the sigmoid of (1 - `tree_share`) x line + `tree_share` x trees, both log-odds.

    `params["maybe_unknown"]` are inputs of which both also see whether they are known. `line` is what
    `training.logistic.fit_line` gives.
    """

    kind = "line_and_trees"

    def __init__(
        self, fitted: Trees, line: Mapping[str, Array], *, defaults: Mapping[str, float], params: Mapping[str, Any]
    ) -> None:
        self.defaults = defaults
        self.params = params
        self._trees = fitted
        self._line = line

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """`prob_response` per row, 0 to 1."""
        matrix = design(inputs, self.defaults, self.params["maybe_unknown"])
        if not len(matrix):
            return {"prob_response": np.zeros(0)}
        line = logistic.log_odds(self._line, matrix)
        return {"prob_response": sigmoid(blend(line, self._trees.scores(matrix)[:, 0], self.params["tree_share"]))}

    def predict_one(self, inputs: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, float]:
        """As `predict`, for the numbers of one row."""
        unknown = [float(math.isnan(inputs.get(name, math.nan))) for name in self.params["maybe_unknown"]]
        row = [*tabular.filled(inputs, self.defaults).values(), *unknown]
        log_odds = logistic.log_odds_of(self._numbers, row)
        both = blend(log_odds, self._trees.scores_of(row)[0], self.params["tree_share"])
        return {"prob_response": sigmoid(both, scalars)}

    def contributions(self, inputs: Columns) -> tuple[float, dict[str, float]]:
        """The log-odds before anything is known of one row, and what each input adds to them: exact in sum.

        The line's part is its weight times the distance from the training mean, the trees' their SHAP value.
        """
        maybe_unknown = self.params["maybe_unknown"]
        row = design({name: column[:1] for name, column in inputs.items()}, self.defaults, maybe_unknown)[0]
        usual, shap = self._trees.contributions(row)
        share = self.params["tree_share"]
        added = blend(logistic.standardised(self._line, row) * self._line["weights"], shap, share)
        base = blend(self._line["intercept"], np.array([usual]), share)
        total: dict[str, float] = {}
        for name, value in zip([*self.defaults, *maybe_unknown], added.tolist(), strict=True):
            total[name] = total.get(name, 0.0) + value
        return float(base[0]), total

    def used(self, inputs: Columns) -> dict[str, float]:
        """The values of one row that `contributions` names."""
        row = tabular.matrix({name: column[:1] for name, column in inputs.items()}, self.defaults)[0]
        return dict(zip(self.defaults, row.tolist(), strict=True))

    @cached_property
    def _numbers(self) -> dict[str, list[float]]:
        """The line as lists."""
        return {name: array.ravel().tolist() for name, array in self._line.items()}

    def save(self, folder: Path) -> None:
        """Write the trees as ONNX and boxes, and the line's arrays."""
        artifact.write(
            folder,
            use_case="propensity",
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
            arrays={**self._trees.arrays(), **{f"line_{name}": array for name, array in self._line.items()}},
            files={trees.FILE: self._trees.function.content},
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "ResponseModel":
        """The inverse of `save`."""
        fitted = Trees.load(stored.files[trees.FILE], stored.arrays)
        line = {name.removeprefix("line_"): a for name, a in stored.arrays.items() if name.startswith("line_")}
        return cls(fitted, line, defaults=stored.defaults, params=stored.params)


def design(inputs: Columns, defaults: Mapping[str, float], maybe_unknown: list[str]) -> Array:
    """The inputs, defaults where unknown, and beside them 1 where an input that may be unknown is, else 0."""
    count = len(next(iter(inputs.values()), ()))
    nothing = np.full(count, np.nan)
    unknown = [np.isnan(np.asarray(inputs.get(name, nothing), dtype=np.float64)) for name in maybe_unknown]
    return np.column_stack([tabular.matrix(inputs, defaults), *(column.astype(np.float64) for column in unknown)])


def blend(line: Numbers, trees: Numbers, share: float) -> Numbers:
    """The log-odds of both parts together."""
    return (1.0 - share) * line + share * trees


def sigmoid(log_odds: Numbers, xp: Any = np) -> Numbers:
    """The probability of log-odds."""
    return 1.0 / (1.0 + xp.exp(-xp.clip(log_odds, -50.0, 50.0)))
