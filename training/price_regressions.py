"""Plain regressions of log units on log price and promotion by product: what the price model is compared with."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl

from training.elasticity import centred, controls_of, products_of
from training.tabular import to_columns

Array = np.ndarray[Any, Any]
RIDGE = 1.0
"""What holds the slopes of promotion: a product may have been on display in a single store."""


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """Per product (sorted ids): its `category` by number, `level` (mean log units less traffic), and per input (log
    price, then the controls) its mean and its slope, 0 where the price hardly moved.
    """

    product_ids: Array
    category: Array
    level: Array
    inputs: tuple[str, ...]
    means: Array
    slopes: Array

    def log_units(self, rows: pl.DataFrame) -> Array:
        """Expected log units of product-weeks of these products; an unknown promotion counts as the product's mean."""
        at = np.searchsorted(self.product_ids, rows["product_id"].to_numpy())
        moved = np.nan_to_num(_matrix(rows, self.inputs) - self.means[at])
        expected: Array = self.level[at] + rows["traffic"].to_numpy() + (self.slopes[at] * moved).sum(axis=1)
        return expected

    def with_category_slopes(self) -> Self:
        """With the mean slopes of each category, over the products whose price moved."""
        told = self._told
        counts = np.bincount(self.category[told], minlength=self.category.max() + 1)
        sums = [np.bincount(self.category[told], slope[told], len(counts)) for slope in self.slopes.T]
        overall = self.slopes[told].mean(axis=0) if told.any() else np.zeros(len(self.inputs))
        means = np.where(counts[:, None] > 0, np.column_stack(sums) / np.maximum(counts, 1)[:, None], overall)
        return replace(self, slopes=means[self.category])

    def with_one_slope(self) -> Self:
        """With the median slopes of all products whose price moved."""
        told = self._told
        slopes = np.median(self.slopes[told], axis=0) if told.any() else np.zeros(len(self.inputs))
        return replace(self, slopes=np.tile(slopes, (len(self.product_ids), 1)))

    @property
    def _told(self) -> Array:
        moved: Array = self.slopes[:, 0] != 0
        return moved


def fit(panel: pl.DataFrame) -> LeastSquares:
    """The regressions of a sorted panel."""
    inputs = ("log_price", *controls_of(panel))
    products = products_of(panel)
    number = np.searchsorted(products["product_id"].to_numpy(), panel["product_id"].to_numpy())
    moved, means = centred(_matrix(panel, inputs), number)
    units = (panel["log_units"] - panel["traffic"]).to_numpy()
    products_of_inputs = np.array([[np.bincount(number, one * other) for other in moved.T] for one in moved.T])
    with_units = np.column_stack([np.bincount(number, column * units) for column in moved.T])
    ridge = np.diag([1e-9] + [RIDGE] * (len(inputs) - 1))
    slopes = np.linalg.solve(products_of_inputs.transpose(2, 0, 1) + ridge, with_units[..., None])[..., 0]
    return LeastSquares(
        product_ids=products["product_id"].to_numpy(),
        category=np.unique(products["category"].to_numpy(), return_inverse=True)[1],
        level=np.bincount(number, units) / np.bincount(number),
        inputs=inputs,
        means=means,
        slopes=np.where(products["identified"].to_numpy()[:, None], slopes, 0.0),
    )


def _matrix(rows: pl.DataFrame, names: tuple[str, ...]) -> Array:
    return np.column_stack(list(to_columns(rows, names).values()))
