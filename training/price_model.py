"""Demand by price: constant elasticities per product, and the price that they suggest within guardrails."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact
from training.columns import object_array
from training.use_case import Columns

Array = np.ndarray[Any, Any]
TRUST = 0.15
"""A suggestion moves a price by at most this share."""
CONFIDENCE = 1.645
"""One-sided 95 %: a move must raise revenue by more than the elasticity's uncertainty."""


class PriceModel:
    """Per product of the panel: mean log weekly units and log price, elasticity and its standard error.

    arrays: product_ids (sorted), log_units, log_price, elasticity, error; an elasticity of NaN is not identified.
    """

    def __init__(
        self, kind: str, *, defaults: Mapping[str, float], params: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> None:
        self.kind = kind
        self.defaults = defaults
        self.params = params
        self._arrays = arrays

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """Suggest a price per row.

        Without a unit cost only revenue can be judged, which moves with price ^ (1 + elasticity): the price moves by
        15 % towards more revenue where the sign of 1 + elasticity is certain, stays within the range of prices observed
        so far, and then within the request's own bounds, which always hold.
        """
        count = len(next(iter(options.values()), next(iter(inputs.values()), ())))
        current = self._current(inputs, count)
        elasticity, error = self._elasticity(options, count)
        certain = np.abs(1 + elasticity) > CONFIDENCE * error
        free = np.where(certain, current * np.where(elasticity > -1, 1 + TRUST, 1 - TRUST), current)
        low, high = (self._column(inputs, name, count) for name in ("min_price", "max_price"))
        # the price of today is always within what has been observed
        observed = np.clip(free, np.fmin(low, current), np.fmax(high, current))
        floor, ceiling = (self._column(options, f"request_{name}", count) for name in ("min_price", "max_price"))
        bounded = np.fmin(np.fmax(np.round(observed, 2), floor), ceiling)
        suggested = np.maximum(bounded, np.fmax(np.fmin(0.01, ceiling), floor))
        moved = np.abs(np.round(observed, 2) - np.round(current, 2)) > 0
        reason = np.where(np.isnan(elasticity), "not_identified", np.where(certain & moved, "revenue", "kept"))
        reason = np.where(suggested != np.round(observed, 2), "bounds", reason)
        guardrails = {
            "trust_region": certain & (observed == free),
            "observed_range": observed != free,
            "request_min_price": suggested > np.round(observed, 2),
            "request_max_price": suggested < np.round(observed, 2),
        }
        binding = [",".join(name for name, rows in guardrails.items() if rows[row]) for row in range(count)]
        return {
            "price_suggested": suggested,
            "price_reason": object_array(reason.tolist()),
            "elasticity": elasticity,
            "unbounded_price": free,
            "current_price": current,
            "binding_guardrails": object_array(binding),
        }

    def log_units(self, product_ids: Array, log_price: Array) -> Array:
        """Expected log weekly units at a price; NaN for products outside the panel."""
        at, known = self._find(product_ids)
        slope = np.nan_to_num(self._arrays["elasticity"][at])
        expected = self._arrays["log_units"][at] + slope * (log_price - self._arrays["log_price"][at])
        return np.where(known, expected, np.nan)

    def save(self, folder: Path) -> None:
        """Write the panel as npz."""
        artifact.write(
            folder,
            use_case="pricing",
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
            arrays=dict(self._arrays),
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "PriceModel":
        """The inverse of `save`."""
        return cls(stored.kind, defaults=stored.defaults, params=stored.params, arrays=stored.arrays)

    def _current(self, inputs: Columns, count: int) -> Array:
        """What is paid now: the recent average price, else the list price, else the training default."""
        price = self._column(inputs, "avg_price", count)
        price = np.where(np.isnan(price), self._column(inputs, "base_price", count), price)
        return np.where(np.isnan(price) | (price <= 0), self.defaults["avg_price"], price)

    def _elasticity(self, options: Columns, count: int) -> tuple[Array, Array]:
        product_ids = np.asarray(options.get("product_id", np.full(count, -1)))
        at, known = self._find(product_ids)
        found = (np.where(known, self._arrays[name][at], np.nan) for name in ("elasticity", "error"))
        return next(found), next(found)

    def _find(self, product_ids: Array) -> tuple[Array, Array]:
        panel = self._arrays["product_ids"]
        at = np.minimum(np.searchsorted(panel, product_ids), len(panel) - 1)
        return at, panel[at] == product_ids

    @staticmethod
    def _column(columns: Columns, name: str, count: int) -> Array:
        return np.asarray(columns.get(name, np.full(count, np.nan)), dtype=np.float64)
