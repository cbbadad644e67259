"""The simplest honest model: the same number for everybody. The baseline of CLV (a mean) and propensity (a rate)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, columns
from training.use_case import Columns


class ConstantModel:
    """Answers `value` in the column `output` for every row; its inputs are accepted and not used."""

    kind = "baseline"

    def __init__(self, use_case: str, *, output: str, value: float, defaults: Mapping[str, float]) -> None:
        self.defaults = defaults
        self.params: Mapping[str, Any] = {"output": output, "value": value}
        self._use_case = use_case

    def predict(self, inputs: Columns, options: Columns) -> dict[str, np.ndarray[Any, Any]]:
        """The constant, once per row."""
        return {self.params["output"]: np.full(columns.row_count(inputs, options), self.params["value"])}

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
        return cls(
            stored.use_case, output=stored.params["output"], value=stored.params["value"], defaults=stored.defaults
        )
