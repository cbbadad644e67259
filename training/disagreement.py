"""How far two models' answers about the same rows are apart: 0 for the same, 1 for nothing in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.agreement import relative


def disagreement(left: Sequence[Any], right: Sequence[Any]) -> list[float]:
    """Per row: of numbers the difference over the larger, of lists the share that the longer does not have in common.

    Of anything else 1 where it differs, as do answers of which one is missing.
    """
    return [_apart(one, other) for one, other in zip(left, right, strict=True)]


def _apart(one: Any, other: Any) -> float:
    if isinstance(one, float) and isinstance(other, float):
        return min(float(relative(np.array([one]), np.array([other]))[0]), 1.0)
    if isinstance(one, list) and isinstance(other, list):
        return 1.0 - len({*one} & {*other}) / max(len(one), len(other), 1) if one or other else 0.0
    return float(one != other)
