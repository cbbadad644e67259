"""How far expected weekly units are from those that came, summed by product: a product's weeks are drawn together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.use_case import Metrics

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class PriceErrors:
    """Per product of the test weeks: its `weeks`, the sum of squared errors of log units, and the sums of absolute
    errors of units and of `units` themselves.
    """

    product_ids: Array
    weeks: Array
    squared: Array
    absolute: Array
    units: Array

    def rmse(self, drawn: Array) -> float:
        """Root mean squared error of log units over the weeks of drawn products."""
        return float(np.sqrt(self.squared[drawn].sum() / self.weeks[drawn].sum()))

    def metrics(self, drawn: Array | None = None) -> Metrics:
        """The rmse of log units and the wape of units, over all weeks or those of drawn products."""
        chosen = np.arange(len(self.weeks)) if drawn is None else drawn
        wape = float(self.absolute[chosen].sum() / self.units[chosen].sum())
        return {"rmse_log_units": self.rmse(chosen), "wape": wape}


def price_errors(log_units: Array, rows: pl.DataFrame) -> PriceErrors:
    """The errors of expected log units beside the rows that came."""
    product_ids, product = np.unique(rows["product_id"].to_numpy(), return_inverse=True)
    units = rows["units"].to_numpy()
    return PriceErrors(
        product_ids=product_ids,
        weeks=np.bincount(product),
        squared=np.bincount(product, np.square(log_units - rows["log_units"].to_numpy())),
        absolute=np.bincount(product, np.abs(np.exp(log_units) - units)),
        units=np.bincount(product, units),
    )
