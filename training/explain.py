"""Explanations: parts that add up to an answer, or what the answer changes by with one input at its default."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.use_case import Columns, Model


def contributions(model: Model, inputs: Columns, options: Columns, *, output: str) -> list[dict[str, Any]]:
    """What each input adds to one row's answer: the answer less the answer with this input at its default.

    `inputs` and `options` hold one row. Each entry has `feature`, `value` (as used) and `contribution` in the unit of
    the output; largest in size first.
    """
    names = list(model.defaults)
    used = {name: _used(inputs, name, model.defaults[name]) for name in names}
    rows = {name: np.full(len(names) + 1, used[name]) for name in names}
    for index, name in enumerate(names):
        rows[name][index] = model.defaults[name]
    repeated = {name: np.repeat(column, len(names) + 1) for name, column in options.items()}
    answers = model.predict(rows, repeated)[output]
    found = [
        {"feature": name, "value": used[name], "contribution": float(answers[-1] - answers[index])}
        for index, name in enumerate(names)
    ]
    return sorted(found, key=lambda entry: -abs(entry["contribution"]))


def additive(base: float, added: Mapping[str, float], *, values: Mapping[str, float]) -> dict[str, Any]:
    """`contributions` that add up, with `base_value`, to the answer; `values` are the inputs as used.

    Those that add nothing are left out; largest in size first.
    """
    found = [
        {"feature": name, "value": values[name], "contribution": amount} for name, amount in added.items() if amount
    ]
    return {"base_value": base, "contributions": sorted(found, key=lambda entry: -abs(entry["contribution"]))}


def nothing_but(base: float) -> dict[str, Any]:
    """The explanation of a constant."""
    return {"base_value": base, "contributions": []}


def _used(inputs: Columns, name: str, default: float) -> float:
    value = float(inputs[name][0]) if name in inputs else np.nan
    return default if np.isnan(value) else value
