"""What a request may hold: ids, features within their bounds, options; all violations of an item at once."""

import numpy as np

from grpc_server.call import Call
from grpc_server.errors import CallError, Violation, invalid
from grpc_server.recommend_options import NOTHING_ASKED
from training.price_model import MAX_PRICE
from training.use_case import Feature, UseCase

MAX_ID_LENGTH = 64
MAX_ITEMS = 1000
MAX_K = 1000
MAX_LISTED = 100_000
"""Recommended products that one answer may hold: clients take messages of 4 MiB."""


def violations(use_case: UseCase, call: Call) -> list[CallError | None]:
    """One error per item that breaks a rule, with all of its violations; None for a good one.

    Raises:
        CallError: the answer would be too large.
    """
    found: list[list[Violation]] = [[] for _ in call.entity_ids]
    key = f"{use_case.entity}_id"
    for item, entity in enumerate(call.entity_ids):
        if not 0 < len(entity) <= MAX_ID_LENGTH:
            what = "is required" if not entity else f"is longer than {MAX_ID_LENGTH} characters"
            found[item].append(Violation(key, what))
    for item, campaign_id in enumerate(call.campaign_ids):
        if len(campaign_id) > MAX_ID_LENGTH:
            found[item].append(Violation("campaign_id", f"is longer than {MAX_ID_LENGTH} characters"))
    for feature in use_case.features:
        if feature.name in call.overrides:
            _check_feature(feature, call.overrides[feature.name], found)
    for item, k in enumerate(call.k):
        if k is not None and not 1 <= k <= MAX_K:
            found[item].append(Violation("k", f"must be 1 to {MAX_K}, not {k}"))
    if (listed := sum(k for k in call.k if k is not None)) > MAX_LISTED:
        what = f"asks for {listed:,} products in all: at most {MAX_LISTED:,} go into an answer"
        raise invalid([Violation("k", what)])
    for item, asked in enumerate(call.recommend):
        if asked is not NOTHING_ASKED:
            found[item] += asked.violations()
    _check_prices(call, found)
    return [invalid(listed) if listed else None for listed in found]


def _check_feature(
    feature: Feature, values: "np.ndarray[tuple[int], np.dtype[np.float64]]", found: list[list[Violation]]
) -> None:
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    for item in np.flatnonzero(~np.isnan(values) & ((values < low) | (values > high) | np.isinf(values))):
        finite = np.isfinite(values[item])
        what = f"must be {_range(feature)}, not {values[item]:g}" if finite else "must be a finite number"
        found[item].append(Violation(f"features.{feature.name}", what))


def _check_prices(call: Call, found: list[list[Violation]]) -> None:
    prices = {"min_price": call.min_price, "max_price": call.max_price, "unit_cost": call.unit_cost}
    for name, values in prices.items():
        if values is not None:
            for item in np.flatnonzero(~np.isnan(values) & ~((values > 0) & (values <= MAX_PRICE))):
                finite = np.isfinite(values[item])
                allowed = f"must be above 0 and at most {MAX_PRICE:g}"
                what = f"{allowed}, not {values[item]:g}" if finite else "must be a finite number"
                found[item].append(Violation(name, what))
    if call.max_price is None:
        return
    for name in ("min_price", "unit_cost"):
        values = prices[name]
        if values is not None:
            for item in np.flatnonzero((values > call.max_price) & np.isfinite(values) & np.isfinite(call.max_price)):
                low, high = values[item], call.max_price[item]
                found[item].append(Violation(name, f"must not be above max_price, but {low:g} > {high:g}"))
                found[item].append(Violation("max_price", f"must not be below {name}, but {high:g} < {low:g}"))


def _range(feature: Feature) -> str:
    if feature.minimum is not None and feature.maximum is not None:
        return f"{feature.minimum:g} to {feature.maximum:g}"
    return f"at least {feature.minimum:g}" if feature.minimum is not None else f"at most {feature.maximum:g}"
