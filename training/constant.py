"""The simplest honest model: the same number for everybody. The baseline of CLV (a mean) and propensity (a rate)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, columns
from training.use_case import Columns


class ConstantModel:
    """Answers `value` in the column `output` for every row; its inputs are accepted and not used.

    `beside` holds further outputs and their constants.
    """

    kind = "baseline"

    def __init__(
        self,
        use_case: str,
        *,
        output: str,
        value: float,
        defaults: Mapping[str, float],
        beside: Mapping[str, float] | None = None,
    ) -> None:
        self.defaults = defaults
        self.params: Mapping[str, Any] = {"output": output, "value": value, "beside": dict(beside or {})}
        self._use_case = use_case

    def predict(self, inputs: Columns, options: Columns) -> dict[str, np.ndarray[Any, Any]]:
        """The constants, once per row."""
        count = columns.row_count(inputs, options)
        constants = {self.params["output"]: self.params["value"], **self.params["beside"]}
        return {name: np.full(count, value) for name, value in constants.items()}

    def save(self, folder: Path) -> None:
        """Write the constant and the defaults."""
        artifact.write(
            folder,
            use_case=self._use_case,
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "ConstantModel":
        """The inverse of `save`."""
        params = stored.params
        return cls(
            stored.use_case,
            output=params["output"],
            value=params["value"],
            defaults=stored.defaults,
            beside=params.get("beside"),
        )
