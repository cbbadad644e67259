"""Everybody's inputs from gold, a block of rows at a time: what bulk scores and comparisons of models run on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import MissingTableError
from lakehouse.gold.as_of import newest_as_of, rows_as_of
from lakehouse.storage import Lake
from training import campaigns, tabular
from training.campaigns import Campaign, CampaignTable
from training.columns import object_array
from training.interactions import history_columns
from training.recommend_request import HISTORY, as_of_day
from training.use_case import Columns, UseCase

Array = np.ndarray[Any, Any]
BLOCK_ROWS = 20_000
BUCKET = "bucket"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some entities: their ids, and inputs and options as `Model.predict` takes them."""

    ids: Array
    inputs: Columns
    options: Columns


@dataclass(frozen=True, kw_only=True)
class BulkInputs:
    """The entities of a gold table's version as of a moment, its newest; `count` of them.

    `buckets` are the parts that are read one after the other, None for a table without.
    """

    use_case: UseCase
    lake: Lake
    version: int
    as_of: datetime
    count: int
    buckets: tuple[int | None, ...]
    campaign: Campaign | None

    @property
    def key(self) -> str:
        """The column that names an entity."""
        return f"{self.use_case.entity}_id"

    def blocks(self, *, k: int) -> Iterator[Block]:
        """All entities, one bucket in memory at a time; `k` is how many products a recommendation has."""
        for bucket in self.buckets:
            table = self.use_case.feature_table
            rows = rows_as_of(self.lake, table, self.as_of, version=self.version, bucket=bucket)
            frame = self._histories(rows) if self._recommends else rows.sort(self.key).collect(engine="streaming")
            for part in frame.iter_slices(BLOCK_ROWS):
                yield Block(ids=part[self.key].to_numpy(), inputs=self._inputs(part), options=self._options(part, k))

    @property
    def _recommends(self) -> bool:
        return not self.use_case.features

    def _histories(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """One row per customer, with the products of the history in the order in which the server gives them."""
        lists = rows.sort(self.key, "product_id").group_by(self.key, maintain_order=True).agg(**HISTORY)
        return lists.collect(engine="streaming")

    def _inputs(self, part: pl.DataFrame) -> Columns:
        if self._recommends:
            return history_columns(part)
        names = [feature.name for feature in self.use_case.features]
        told = self.campaign
        known = {} if told is None else {"uplift_mean": told.uplift_mean, "campaign_days": told.campaign_days}
        of_campaign = {name: np.full(part.height, known[name]) for name in names if name in known}
        return tabular.to_columns(part, [name for name in names if name in part.columns]) | of_campaign

    def _options(self, part: pl.DataFrame, k: int) -> Columns:
        every: Mapping[str, Array] = {
            "k": np.full(part.height, k),
            "campaign_id": object_array([self.campaign.campaign_id if self.campaign else ""] * part.height),
            self.key: part[self.key].to_numpy(),
            "as_of_day": np.full(part.height, as_of_day(self.as_of)),
        }
        return {name: every[name] for name in self.use_case.options if name in every}


def bulk_inputs(
    use_case: UseCase, lake: Lake, *, version: int | None = None, campaign_id: str | None = None
) -> BulkInputs:
    """Everybody in the newest as_of of the use case's gold table, at a version of it, the newest where none is given.

    Raises:
        MissingTableError: the table does not exist or is empty.
        UnknownCampaignError: there is no such campaign.
    """
    table = use_case.feature_table
    version = lake.version(table) if version is None else version
    as_of = newest_as_of(lake, table, version=version)
    everybody = rows_as_of(lake, table, as_of, version=version)
    count = everybody.select(pl.col(f"{use_case.entity}_id").n_unique()).collect(engine="streaming").item()
    if not count:
        raise MissingTableError(f"{table} is empty: run `shopsphere build`")
    buckets = {int(file.partition[BUCKET]) for file in lake.files(table, version) if BUCKET in file.partition}
    of_campaign = "campaign_id" in use_case.options
    return BulkInputs(
        use_case=use_case,
        lake=lake,
        version=version,
        as_of=as_of,
        count=count,
        buckets=tuple(sorted(buckets)) or (None,),
        campaign=_campaign(lake, as_of, campaign_id) if of_campaign else None,
    )


def _campaign(lake: Lake, as_of: datetime, campaign_id: str | None) -> Campaign | None:
    rows = lake.scan(campaigns.TABLE).select(campaigns.COLUMNS).collect()
    return CampaignTable(rows.iter_rows(named=True)).named_or_chosen(campaign_id, as_of)
