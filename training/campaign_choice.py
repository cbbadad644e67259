"""The campaign that bulk scores of propensity are about: a named one, else the live one, else the last to end."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake

TABLE = "silver.campaigns"


class UnknownCampaignError(ShopSphereError):
    """The lake has no such campaign."""


@dataclass(frozen=True)
class CampaignChoice:
    """A campaign, and what a model may know of it before it starts; NaN where unknown."""

    campaign_id: str
    uplift_mean: float
    campaign_days: float


def choose_campaign(lake: Lake, as_of: datetime, campaign_id: str | None = None) -> CampaignChoice | None:
    """The campaign with that id; where none is given the live one with the latest start, else the last to end.

    As the server chooses; None where no campaign has started.

    Raises:
        UnknownCampaignError: there is no campaign with that id.
    """
    rows = lake.scan(TABLE).select(
        pl.col("campaign_id").cast(pl.String),
        start=pl.col("start_date").cast(pl.Datetime("us")),
        end=pl.col("end_date").cast(pl.Datetime("us")) + pl.duration(days=1),
        uplift=pl.col("expected_uplift").cast(pl.Float64),
    )
    every = rows.collect()
    if campaign_id is not None:
        chosen = every.filter(pl.col("campaign_id") == campaign_id)
        if chosen.is_empty():
            raise UnknownCampaignError(f"campaign {campaign_id!r} is not in the lake: leave it out, or name another")
    else:
        started = every.filter(pl.col("start") <= as_of)
        live = started.filter(pl.col("end") > as_of).sort("start", "campaign_id")
        chosen = live if live.height else started.sort("end", "campaign_id")
    if chosen.is_empty():
        return None
    row = chosen.row(-1, named=True)
    uplift = float("nan") if row["uplift"] is None else row["uplift"]
    return CampaignChoice(row["campaign_id"], uplift, (row["end"] - row["start"]).total_seconds() / 86_400)
