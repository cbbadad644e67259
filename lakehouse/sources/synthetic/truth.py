"""The truth that has no blocks: products with their elasticities, product weeks, campaigns."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from lakehouse.sources.synthetic.campaigns import Campaigns
from lakehouse.sources.synthetic.catalogue import Catalogue
from lakehouse.sources.synthetic.knobs import SECONDS, Knobs
from lakehouse.sources.synthetic.people import SENSITIVITY
from lakehouse.sources.synthetic.season import Season
from lakehouse.sources.synthetic.sessions import cart_chance
from lakehouse.sources.synthetic.streams import Array


def whole(knobs: Knobs, year: Season, goods: Catalogue, told: Campaigns) -> Mapping[str, pl.DataFrame]:
    """The truth tables that have no blocks: products, product_week, campaigns."""
    products, weeks = goods.discount.shape
    product, week = (grid.ravel() for grid in np.meshgrid(np.arange(products), np.arange(weeks), indexing="ij"))
    monday = np.datetime64(knobs.start, "us") + (7 * SECONDS * week).astype("timedelta64[s]")
    return {
        "products": pl.DataFrame(
            {
                "product_id": np.arange(1, products + 1),
                "elasticity": elasticity(knobs, year, goods),
                "elasticity_nominal": goods.elasticity,
                "brand_effect": goods.brand_effect,
                "popularity": goods.popularity,
                "style_affinity": pl.Series(np.ascontiguousarray(goods.affinity.T)),
            }
        ),
        "product_week": pl.DataFrame(
            {
                "product_id": product + 1,
                "week_start": pl.Series(monday),
                "demand_shock": goods.shock.ravel(),
                "discount": goods.discount.ravel() / 100,
                "is_randomised": goods.randomised.ravel(),
                "is_available": goods.available.ravel(),
            }
        ),
        "campaigns": pl.DataFrame(
            {
                "campaign_id": np.arange(1, len(told.start) + 1),
                "uplift": told.uplift,
                "expected_uplift": told.expected_uplift,
            }
        ),
    }


def elasticity(knobs: Knobs, year: Season, goods: Catalogue) -> Array:
    """By product: the change of ln units when all of its prices move by one percent up and down.

    Over the weeks and discounts that there were, for the mean over price sensitivities; 0 where demand knows no price.
    """
    if knobs.mode == "kaggle":
        return np.zeros(len(goods.cents))
    node, weight = np.polynomial.hermite_e.hermegauss(9)
    units = np.zeros((2, len(goods.cents)))
    for sensitivity, share in zip(np.exp(SENSITIVITY * node), weight / weight.sum(), strict=True):
        for side, change in enumerate((0.99, 1.01)):
            paid = 100 - change * (100 - goods.discount)
            chance = cart_chance(goods.shock, paid, goods.elasticity[:, None], sensitivity)
            units[side] += share * ((chance * goods.available) @ year.weeks())
    return np.where(units[0] > 0, np.log(units[1] / units[0].clip(1e-300)) / np.log(1.01 / 0.99), np.nan)
