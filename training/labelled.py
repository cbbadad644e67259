"""Test rows as inputs of a model, and the label that they carry where the use case predicts one."""

from typing import Any

import numpy as np

from training import tabular
from training.use_case import Columns, Dataset, Model, UseCase

Array = np.ndarray[Any, Any]


def inputs(use_case: UseCase, data: Dataset) -> Columns:
    """The features that the test rows carry: all, none, or those that a row shares with what is answered about."""
    return tabular.to_columns(data.test, [f.name for f in use_case.features if f.name in data.test.columns])


def label(use_case: UseCase, data: Dataset) -> Array | None:
    """The label of each test row; None where the use case predicts none."""
    return data.test["label"].to_numpy().astype(np.float64) if use_case.predicts_label else None


def outcomes(use_case: UseCase, model: Model, data: Dataset) -> tuple[Array, Array] | None:
    """The label of each test row and the model's main output for it; None where the use case predicts no label."""
    actual = label(use_case, data)
    if actual is None:
        return None
    return actual, np.asarray(model.predict(inputs(use_case, data), {})[use_case.outputs[0]], dtype=np.float64)
