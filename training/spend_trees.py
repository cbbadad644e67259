"""Fits the CLV candidate's trees (LightGBM, Poisson loss, monotone in spend) and its blend; gives them as ONNX."""

from typing import Any

import numpy as np
import polars as pl

from training.onnx_runtime import OnnxFunction
from training.spend_model import HORIZON_DAYS, monotone_constraints

Array = np.ndarray[Any, Any]
FOLDS = 3


def fit_trees(
    matrix: Array, label: Array, repeated: Array, *, groups: pl.Series
) -> tuple[OnnxFunction, dict[str, float]]:
    """The trees on all rows, and the weights of trees and repeated spend.

    The weights minimise squared error on answers to customers left out of the trees (non-negative least squares) and
    are scaled so that the answers' sum is right; a customer's rows at all cutoffs are left out together.
    """
    daily = np.maximum(label, 0.0) / HORIZON_DAYS
    fold = (groups.hash(seed=0) % FOLDS).to_numpy()
    unseen = np.empty(len(label))
    for number in range(FOLDS):
        held = fold == number
        if held.all() or not held.any():
            unseen[held] = daily.mean()
        else:
            unseen[held] = _regressor().fit(matrix[~held], daily[~held]).predict(matrix[held])
    return _onnx(_regressor().fit(matrix, daily), matrix.shape[1]), _weights(unseen * HORIZON_DAYS, repeated, label)


def _weights(trees: Array, repeated: Array, label: Array) -> dict[str, float]:
    from scipy.optimize import nnls

    both = np.column_stack([trees, repeated])
    weights, _ = nnls(both, label)
    sum_of_answers = float((both @ weights).sum())
    weights *= label.sum() / sum_of_answers if sum_of_answers > 0 < label.sum() else 1.0
    return {"tree_weight": float(weights[0]), "repeat_weight": float(weights[1])}


def _regressor() -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(
        objective="poisson",
        n_estimators=120,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=40,
        monotone_constraints=monotone_constraints(),
        deterministic=True,
        force_row_wise=True,
        n_jobs=2,
        random_state=0,
        verbose=-1,
    )


def _onnx(fitted: Any, width: int) -> OnnxFunction:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnxmltools uses what onnx deprecates
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        converted = convert_lightgbm(fitted, initial_types=[("x", FloatTensorType([None, width]))])
    return OnnxFunction(converted.SerializeToString())
