"""Explanations: parts that add up to an answer."""

from collections.abc import Mapping
from typing import Any


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
