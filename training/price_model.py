"""Demand by price: constant elasticities per product, and the price that they suggest within guardrails."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, scalars
from training.columns import object_array
from training.scalars import Numbers
from training.truncated_poisson import expected
from training.use_case import Columns

Array = np.ndarray[Any, Any]
TRUST = 0.15
"""A suggestion moves a price by at most this share."""
CONFIDENCE = 1.645
"""One-sided 95 %: a move must gain by more than the elasticity's uncertainty; also the ends of its 90 % interval."""
CURVE_POINTS = 11
MAX_PRICE = 1e12
"""What a price or cost may be at most: beyond it cents are lost."""
PRICES = ("avg_price", "base_price", "min_price", "max_price")
ASKED = ("request_min_price", "request_max_price", "unit_cost")
"""The inputs and options that a suggestion is made of, beside the product."""


class PriceModel:
    """Per product of the panel: its elasticity with standard error, and the demand that goes with it.

    arrays: product_ids (sorted), elasticity and error (NaN: not identified) are what suggestions rest on. log_units
    needs more: log_price (mean), log_units (level), log_orders, order_slopes (of the price,
    then of `controls`), control_means and quantity_slope; see `training.elasticity`.
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

        What is earned is units times price less `unit_cost` (0 where none is given: revenue). Where it surely rises or
        falls with the price, the price moves that way, to where the most is earned but by 15 % at most; it stays
        within the range of prices observed so far, not below the cost, and then within the request's own bounds, which
        always hold.
        """
        count = len(next(iter(options.values()), next(iter(inputs.values()), ())))
        given = {name: self._column(inputs, name, count) for name in PRICES}
        asked = {name: self._column(options, name, count) for name in ASKED}
        elasticity, error = self._elasticity(options, count)
        found = self._suggest(given, asked, elasticity, error)
        guardrails = found.pop("guardrails")
        binding = [",".join(name for name, rows in guardrails.items() if rows[row]) for row in range(count)]
        found["price_reason"] = object_array(found["price_reason"].tolist())
        return {**found, "binding_guardrails": object_array(binding)}

    def predict_one(self, inputs: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, Any]:
        """As `predict`, for the numbers of one row."""
        given = {name: inputs.get(name, np.nan) for name in PRICES}
        asked = {name: options.get(name, np.nan) for name in ASKED}
        elasticity, error = self._known.get(options.get("product_id", -1), (np.nan, np.nan))
        found = self._suggest(given, asked, elasticity, error, scalars)
        binding = ",".join(name for name, binds in found.pop("guardrails").items() if binds)
        return {**found, "binding_guardrails": binding}

    def curve(self, inputs: Columns, options: Columns) -> list[dict[str, float]]:
        """What the first row's product would sell in 28 days at prices that trust and observation allow, lowest first.

        Each point has `price`, `units`, `revenue` and `margin` (the revenue where no cost is given). Empty where the
        elasticity is not identified or the recent units are unknown.
        """
        given = {name: float(self._column(inputs, name, 1)[0]) for name in (*PRICES, "units")}
        current, (elasticity, _) = self._current(given, scalars), self._elasticity(options, 1)
        sold = given["units"]
        if not np.isfinite(elasticity[0]) or not sold > 0:
            return []
        low, high = self._observed(given, current, scalars)
        floor, ceiling = (self._column(options, f"request_{name}", 1)[0] for name in ("min_price", "max_price"))
        low = np.fmin(np.fmax(max(low, current * (1 - TRUST)), floor), ceiling)
        high = np.fmin(np.fmax(min(high, current * (1 + TRUST)), floor), ceiling)
        prices = np.unique(np.round(np.linspace(low, high, CURVE_POINTS), 2))
        units = sold * (prices / current) ** elasticity[0]
        cost = np.nan_to_num(self._column(options, "unit_cost", 1))[0]
        table = np.column_stack([prices, units, prices * units, (prices - cost) * units])
        return [dict(zip(("price", "units", "revenue", "margin"), row, strict=True)) for row in table.tolist()]

    def log_units(self, rows: Columns) -> Array:
        """Expected log weekly units of product-weeks with a sale; NaN for products outside the panel.

        `rows` has product_id, log_price, traffic (log of the shop's sales, relative), and the controls fitted with, of
        which those that are absent or NaN count as the product's mean.
        """
        at, known = self._find(rows["product_id"])
        arrays = self._arrays
        moved = rows["log_price"] - arrays["log_price"][at]
        effects = arrays["order_slopes"][at]
        log_rate = arrays["log_orders"][at] + effects[:, 0] * moved + rows["traffic"]
        for number, name in enumerate(arrays["controls"].tolist()):
            shown = self._column(rows, name, len(at)) - arrays["control_means"][at, number]
            log_rate += effects[:, number + 1] * np.nan_to_num(shown)
        found = arrays["log_units"][at] + np.log(expected(log_rate)) + arrays["quantity_slope"][at] * moved
        return np.where(known, found, np.nan)

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

    @cached_property
    def _known(self) -> Mapping[int, tuple[float, float]]:
        """Elasticity and error by product."""
        columns = (self._arrays[name].tolist() for name in ("product_ids", "elasticity", "error"))
        return {product: pair for product, *pair in zip(*columns, strict=True)}  # type: ignore[misc]

    def _suggest(
        self,
        given: Mapping[str, Numbers],
        asked: Mapping[str, Numbers],
        elasticity: Numbers,
        error: Numbers,
        xp: Any = np,
    ) -> dict[str, Any]:
        """The outputs of columns or of one row, see `training.scalars`; `guardrails` says of each whether it binds."""
        current = self._current(given, xp)
        cost = xp.where(xp.isnan(asked["unit_cost"]), 0.0, asked["unit_cost"])
        margin = (current - cost) / current
        certain = abs(1 + elasticity * margin) > CONFIDENCE * error * abs(margin)
        free, best = _move(current, elasticity, cost=cost, certain=certain, xp=xp)
        observed = xp.clip(free, *self._observed(given, current, xp))
        rounded = xp.round(observed, 2)
        covered = xp.ceil(xp.round(xp.fmax(rounded, cost) * 100, 6)) / 100
        floor, ceiling = asked["request_min_price"], asked["request_max_price"]
        bounded = xp.fmin(xp.fmax(covered, floor), ceiling)
        suggested = xp.maximum(bounded, xp.fmax(xp.fmin(0.01, ceiling), floor))
        moved = certain & (abs(rounded - xp.round(current, 2)) > 0)
        reason = xp.where(moved, xp.where(cost > 0, "margin", "revenue"), "kept")
        reason = xp.where(xp.isnan(elasticity), "not_identified", reason)
        reason = xp.where(covered > rounded, "cost", reason)
        reason = xp.where(suggested != covered, "bounds", reason)
        return {
            "price_suggested": suggested,
            "price_reason": reason,
            "elasticity": elasticity,
            "elasticity_p5": elasticity - CONFIDENCE * error,
            "elasticity_p95": elasticity + CONFIDENCE * error,
            "unbounded_price": xp.where(xp.isfinite(best) & (best > 0), best, free),
            "current_price": current,
            "guardrails": {
                "trust_region": certain & (observed == free) & (free != best),
                "observed_range": observed != free,
                "unit_cost": covered > rounded,
                "request_min_price": suggested > covered,
                "request_max_price": suggested < covered,
            },
        }

    def _current(self, given: Mapping[str, Numbers], xp: Any = np) -> Numbers:
        """What is paid now: the recent average price, else the list price, else the training default."""
        price = given["avg_price"]
        price = xp.where(xp.isnan(price), given["base_price"], price)
        return xp.where(xp.isnan(price) | (price <= 0), self.defaults["avg_price"], price)

    def _observed(self, given: Mapping[str, Numbers], current: Numbers, xp: Any = np) -> tuple[Numbers, Numbers]:
        """The lowest and highest price observed; the price of today always is within."""
        return xp.fmin(given["min_price"], current), xp.fmax(given["max_price"], current)

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


def _move(
    current: Numbers, elasticity: Numbers, *, cost: Numbers, certain: Numbers, xp: Any
) -> tuple[Numbers, Numbers]:
    """The price within the trust region, and the one that earns most: cost * e / (1 + e), without end where e >= -1."""
    falls = elasticity < -1
    best = xp.where(falls, cost * elasticity / xp.where(falls, 1 + elasticity, 1.0), xp.inf)
    best = xp.where(certain, best, current)
    return xp.where(certain, xp.clip(best, current * (1 - TRUST), current * (1 + TRUST)), current), best
