"""The picture of a price model: how its products' elasticities are spread, and which way prices would move."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def elasticity_figure(elasticities: Array, *, promotions: bool) -> Any:
    """A matplotlib figure: a histogram, with the elasticity at which a price does not change revenue."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.hist(elasticities, bins=40, edgecolor="white", linewidth=0.5)
    axes.axvline(-1, color="tab:orange", linestyle="--", label="-1: left of it a lower price earns more revenue")
    if len(elasticities):
        median, positive = np.median(elasticities), np.mean(elasticities >= 0)
        axes.axvline(median, color="black", label=f"median {median:.2f}")
        axes.axvline(0, color="tab:red", linestyle=":", label=f"0: {positive:.1%} are not below it")
    told = "at equal promotion" if promotions else "promotions are not told of"
    axes.set(
        title=f"Elasticities of {len(elasticities):,} products ({told})",
        xlabel="own-price elasticity: % of units gained per % of price",
        ylabel="products",
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize="small", frameon=False)
    return figure
