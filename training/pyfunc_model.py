"""What MLflow runs when a registered model is loaded as a pyfunc: a thin wrapper over the safe artifact, no pickle."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from training import artifact
from training.use_cases import get


class ArtifactModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """The model of an artifact folder; takes a frame with a column per input and option, gives one per output."""

    def load_context(self, context: Any) -> None:
        """Read and verify the artifact."""
        folder = Path(context.artifacts["model"])
        self._model = artifact.load(folder)
        self._options = get(artifact.read(folder).use_case).options

    # without a type hint MLflow warns; with any other than a frame it takes the hint for the schema
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Answer every row; an absent or null input takes the training default."""
        columns = {str(name): _column(model_input[name]) for name in model_input.columns}
        options = {name: column for name, column in columns.items() if name in self._options}
        inputs = {name: column for name, column in columns.items() if name not in self._options}
        return pd.DataFrame({name: list(column) for name, column in self._model.predict(inputs, options).items()})


def _column(series: Any) -> np.ndarray[Any, Any]:
    if series.dtype != object:
        return np.asarray(series, dtype=np.float64)
    if len(series) and isinstance(series.iloc[0], str):
        return np.asarray(series, dtype=object)
    rows = np.empty(len(series), dtype=object)
    rows[:] = [np.asarray(entry) for entry in series]
    return rows


mlflow.models.set_model(ArtifactModel())
