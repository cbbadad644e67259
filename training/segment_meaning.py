"""What segments mean: ids that stay over retrainings, names, and profiles that a marketer understands."""

from typing import Any

import numpy as np
import polars as pl

from training import tabular
from training.segments import CentreModel
from training.use_case import Dataset, Model

Array = np.ndarray[Any, Any]

WORDS = ("Minimal", "Low", "Modest", "Medium", "Good", "High", "Very high", "Top")
PICKED = {1: "3", 2: "15", 3: "135", 4: "1357", 5: "01357", 6: "012357", 7: "0123567", 8: "01234567"}
"""Which of the words say the spend of how many segments."""


def described(model: CentreModel, customers: pl.DataFrame, *, days: int) -> CentreModel:
    """The model with a name and a profile for each segment, from buyers with `label`, their spend of the next days.

    A profile has share (of the buyers), recency_days, tx_count and monetary (medians), avg_discount, next_spend (means)
    and next_days; nulls are left out.
    """
    ids = model.ids(tabular.to_columns(customers, list(model.defaults)))
    by_segment = customers.with_columns(cluster_id=pl.Series(ids)).group_by("cluster_id")
    middle = [pl.col(name).cast(pl.Float64).median() for name in ("recency_days", "tx_count", "monetary")]
    rows = by_segment.agg(
        *middle,
        share=pl.len() / customers.height,
        avg_discount=pl.col("avg_discount").cast(pl.Float64).mean(),
        next_spend=pl.col("label").mean(),
    )
    found = {row["cluster_id"]: row for row in rows.with_columns(next_days=pl.lit(days)).to_dicts()}
    profiles = [found.get(number, {"cluster_id": number, "share": 0.0}) for number in model.numbers]
    usual = float(customers["recency_days"].cast(pl.Float64).median() or 0)  # type: ignore[arg-type]  # typed as of anything
    names = _names([profile.get("monetary", 0.0) for profile in profiles], _recent(profiles, usual))
    told = [{name: round(value, 6) for name, value in profile.items() if value is not None} for profile in profiles]
    return model.replaced(params={"names": names, "profiles": told})


def continued(model: Model, champion: Model, data: Dataset) -> Model:
    """The model with the champion's ids for the segments that are the champion's still.

    Centres are paired so that they are nearest in sum (Kuhn 1955); segments without a partner get ids that were not
    in use. Beside a champion without centres, or with itself, nothing changes. `migration_rate`, among the params, is
    the share of the training customers whose id is not the one that the champion gives them.
    """
    from scipy.optimize import linear_sum_assignment

    if not (isinstance(model, CentreModel) and isinstance(champion, CentreModel)):
        return model
    ours = model.centres()
    theirs = champion.centres_in(model)
    apart = np.linalg.norm(ours[:, None, :] - theirs[None, :, :], axis=2)
    numbers = np.full(len(ours), -1)
    mine, partner = linear_sum_assignment(apart)
    numbers[mine] = np.array(champion.numbers)[partner]
    free = max(champion.numbers) + 1
    for place in np.flatnonzero(numbers < 0):
        numbers[place], free = free, free + 1
    profiles = [
        {**profile, "cluster_id": int(number)}
        for profile, number in zip(model.params["profiles"], numbers, strict=True)
    ]
    matched = model.replaced(params={"profiles": profiles}, arrays={"ids": numbers})
    inputs = tabular.to_columns(data.train, list(model.defaults))
    moved = float(np.mean(matched.ids(inputs) != champion.ids(inputs)))
    return matched.replaced(params={"migration_rate": round(moved, 6)})


def _recent(profiles: list[dict[str, Any]], usual: float) -> list[bool]:
    return [profile.get("recency_days", np.inf) <= usual for profile in profiles]


def _names(spend: list[float], recent: list[bool]) -> list[str]:
    words = [WORDS[int(pick)] for pick in PICKED[len(spend)]]
    ranks = np.argsort(np.argsort(spend, kind="stable"))
    return [
        f"{words[rank]} spend, {'recent' if is_recent else 'lapsing'}"
        for rank, is_recent in zip(ranks, recent, strict=True)
    ]
