"""Campaigns as propensity knows them: what is told of one before it starts, and which one an answer is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lakehouse.errors import ShopSphereError

TABLE = "silver.campaigns"
COLUMNS = ("campaign_id", "start_date", "end_date", "expected_uplift")


class UnknownCampaignError(ShopSphereError):
    """The lake has no such campaign."""


@dataclass(frozen=True)
class Campaign:
    """What a model may know of a campaign before it starts; NaN where unknown."""

    campaign_id: str
    start: datetime
    end: datetime
    uplift_mean: float
    campaign_days: float


class CampaignTable:
    """The campaigns of the lake, from rows with `COLUMNS`; dates as such or in ISO form."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        campaigns = [_campaign(row) for row in rows]
        self._by_id = {campaign.campaign_id: campaign for campaign in campaigns}

    def get(self, campaign_id: str) -> Campaign | None:
        """The campaign with that id."""
        return self._by_id.get(campaign_id)

    def choose(self, as_of: datetime) -> tuple[Campaign, bool] | None:
        """The campaign live at as_of with the latest start, else the last ended one (then True); None without any."""
        started = [campaign for campaign in self._by_id.values() if campaign.start <= as_of]
        live = [campaign for campaign in started if campaign.end > as_of]
        if live:
            return max(live, key=lambda campaign: (campaign.start, campaign.campaign_id)), False
        if started:
            return max(started, key=lambda campaign: (campaign.end, campaign.campaign_id)), True
        return None

    def named_or_chosen(self, campaign_id: str | None, as_of: datetime) -> Campaign | None:
        """The campaign with that id, where none is given the one that `choose` gives; None where none has started.

        Raises:
            UnknownCampaignError: there is no campaign with that id.
        """
        if campaign_id is None:
            chosen = self.choose(as_of)
            return chosen[0] if chosen else None
        if campaign_id not in self._by_id:
            raise UnknownCampaignError(f"campaign {campaign_id!r} is not in the lake: leave it out, or name another")
        return self._by_id[campaign_id]


def _campaign(row: Mapping[str, Any]) -> Campaign:
    start = datetime.fromisoformat(str(row["start_date"]))
    end = datetime.fromisoformat(str(row["end_date"])) + timedelta(days=1)
    uplift = row["expected_uplift"]
    return Campaign(
        campaign_id=str(row["campaign_id"]),
        start=start,
        end=end,
        uplift_mean=float("nan") if uplift is None else float(uplift),
        campaign_days=(end - start).total_seconds() / 86_400,
    )
