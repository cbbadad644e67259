"""Feature snapshots: the rows of one as_of of a gold table as memory-mapped columns, sorted by key."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
HISTORIES = ("product_ids", "weights", "view_counts", "add_to_cart_counts")
"""Columns of a snapshot of `gold.interactions` that have one entry per customer and product."""


def write_snapshot(
    folder: Path, *, table: str, version: int, as_of: datetime, key: str, arrays: Mapping[str, Array]
) -> None:
    """Write a snapshot: `arrays[key]` holds the sorted ids, the others one value per id (or what `history` needs)."""
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    header = {"table": table, "version": version, "as_of": as_of.isoformat(), "key": key, "names": list(arrays)}
    (folder / "snapshot.json").write_text(json.dumps(header))


class FeatureSnapshot:
    """The features that a worker reads by id; opened in microseconds, shared between workers by the page cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        header = json.loads((folder / "snapshot.json").read_text())
        self.table: str = header["table"]
        self.version: int = header["version"]
        self.as_of = datetime.fromisoformat(header["as_of"])
        self.key: str = header["key"]
        self._arrays: dict[str, Array] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in header["names"]
        }
        self._ids = np.asarray(self._arrays[self.key])
        self.names = frozenset(self._arrays) - {self.key}

    def positions(self, ids: Array) -> Array:
        """Where each id's row is, -1 for an unknown id."""
        if not len(self._ids):
            return np.full(len(ids), -1, dtype=np.int64)
        found = np.searchsorted(self._ids, ids)
        found[found == len(self._ids)] = 0
        return np.where(self._ids[found] == ids, found, -1)

    def gather(self, name: str, positions: Array) -> Array:
        """A column at positions, as float64: NaN where the row or the value is unknown."""
        column = self._arrays.get(name)
        if column is None or not len(column):
            return np.full(len(positions), np.nan)
        return np.where(positions < 0, np.nan, column[positions])

    def text(self, name: str, position: int) -> str:
        """A text column at a position; empty where the row, the column or the value is unknown."""
        column = self._arrays.get(name)
        return "" if column is None or position < 0 else str(column[position])

    def history(self, position: int) -> tuple[Array, ...]:
        """A customer's products, their weights, views and carts, from a snapshot of `gold.interactions`.

        All are empty for position -1.
        """
        start, end = (0, 0) if position < 0 else (self._arrays["starts"][position], self._arrays["ends"][position])
        return tuple(np.asarray(self._arrays[name][start:end]) for name in HISTORIES)


@dataclass(frozen=True)
class Campaign:
    """What a model may know of a campaign before it starts; NaN where unknown."""

    campaign_id: str
    start: datetime
    end: datetime
    uplift_mean: float
    campaign_days: float


class CampaignTable:
    """The campaigns of the lake."""

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self._by_id = {campaign.campaign_id: campaign for campaign in campaigns}

    @classmethod
    def read(cls, path: Path) -> "CampaignTable":
        """The table in a JSON file of rows: campaign_id, start_date, end_date, expected_uplift."""
        return cls([_campaign(row) for row in json.loads(path.read_text())])

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


def _campaign(row: Mapping[str, Any]) -> Campaign:
    start = datetime.fromisoformat(row["start_date"])
    end = datetime.fromisoformat(row["end_date"]) + timedelta(days=1)
    uplift = row["expected_uplift"]
    return Campaign(
        campaign_id=str(row["campaign_id"]),
        start=start,
        end=end,
        uplift_mean=np.nan if uplift is None else float(uplift),
        campaign_days=(end - start).total_seconds() / 86_400,
    )
