"""Explanations by substitution: how the answer changes when one input is put at its training default."""

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


def _used(inputs: Columns, name: str, default: float) -> float:
    value = float(inputs[name][0]) if name in inputs else np.nan
    return default if np.isnan(value) else value
