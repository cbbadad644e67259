"""Logistic regression on standardised logarithms: fitted with scikit-learn, answered with NumPy alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, tabular
from training.use_case import Columns

Array = np.ndarray[Any, Any]


class LogisticModel:
    """A probability per row in the column `output`; each input x enters as sign(x) log(1 + |x|), standardised."""

    kind = "logistic"

    def __init__(
        self,
        use_case: str,
        *,
        output: str,
        defaults: Mapping[str, float],
        params: Mapping[str, Any],
        arrays: Mapping[str, Array],
    ) -> None:
        self.defaults = defaults
        self.params: Mapping[str, Any] = {**params, "output": output}
        self._use_case = use_case
        self._arrays = arrays

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """The probability per row."""
        rows = (logarithms(tabular.matrix(inputs, self.defaults)) - self._arrays["means"]) / self._arrays["scales"]
        margin = rows @ self._arrays["weights"] + self._arrays["intercept"]
        return {self.params["output"]: 1.0 / (1.0 + np.exp(-np.clip(margin, -50, 50)))}

    def save(self, folder: Path) -> None:
        """Write the weights as npz."""
        artifact.write(
            folder,
            use_case=self._use_case,
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
            arrays=dict(self._arrays),
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "LogisticModel":
        """The inverse of `save`."""
        return cls(
            stored.use_case,
            output=stored.params["output"],
            defaults=stored.defaults,
            params=stored.params,
            arrays=stored.arrays,
        )


def logarithms(matrix: Array) -> Array:
    """Skewed counts and amounts on a scale where a line fits."""
    taken: Array = np.sign(matrix) * np.log1p(np.abs(matrix))
    return taken


def fit_logistic(
    use_case: str, *, output: str, inputs: Columns, label: Array, defaults: Mapping[str, float], strength: float = 0.1
) -> LogisticModel:
    """Fit with an L2 penalty; `strength` is scikit-learn's C. Inputs that never vary get no weight."""
    from sklearn.linear_model import LogisticRegression

    rows = logarithms(tabular.matrix(inputs, defaults))
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    fitted = LogisticRegression(C=strength, max_iter=1000).fit((rows - means) / scales, label)
    arrays = {"means": means, "scales": scales, "weights": fitted.coef_[0], "intercept": fitted.intercept_}
    params = {"penalty_c": strength, "rows": len(label)}
    return LogisticModel(use_case, output=output, defaults=defaults, params=params, arrays=arrays)
