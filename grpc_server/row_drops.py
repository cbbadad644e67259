"""The follower's drops of rows: snapshots of the newest gold, or of that of a past date, and the campaigns."""

import json
import logging
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from grpc_server.champions import read_pointer
from grpc_server.online_features import FORMAT, write_snapshot
from lakehouse.errors import MissingTableError
from lakehouse.gold.as_of import online_snapshot
from lakehouse.gold.interactions import TABLE as INTERACTIONS
from lakehouse.storage import Lake
from training import campaigns
from training.recommend_request import HISTORY
from training.use_cases import USE_CASES

logger = logging.getLogger(__name__)
KEYS = {"gold.customer_features": "customer_id", "gold.product_features": "product_id"}


class RowDrops:
    """What workers look up, put into the folder of a server."""

    def __init__(self, folder: Path, lake: Lake, *, as_of: datetime | None) -> None:
        self._folder, self._lake, self._as_of = folder, lake, as_of
        self._told: dict[str, str] = {}
        """What was said of tables without rows, so that it is said once."""

    def look(self) -> dict[str, Any]:
        """The pointer's `features` and `campaigns` as they should be, everything that they name dropped.

        Raises:
            ShopSphereError: the lake cannot be reached, or a table has nothing as of the past date.
        """
        tables = sorted({use_case.feature_table for use_case in USE_CASES})
        return {
            "features": {table: path for table in tables if (path := self._features(table))},
            "campaigns": self._campaigns(),
        }

    def _features(self, table: str) -> str | None:
        """The folder of a table's snapshot; None where the table does not exist yet."""
        try:
            version = self._lake.version(table)
            known = self._known_snapshot(table, version)
            if known:
                return known
            rows, version, as_of = online_snapshot(self._lake, table, as_of=self._as_of, version=version)
        except MissingTableError as error:
            if self._as_of:
                raise
            if self._told.get(table) != str(error):
                logger.warning("%s", error)
                self._told[table] = str(error)
            return None
        path = f"features/{table}/{version}-{as_of:%Y%m%dT%H%M%S}-{FORMAT}"
        if not (self._folder / path).exists():
            key = KEYS.get(table, "customer_id")
            arrays = _histories(rows) if table == INTERACTIONS else _columns(rows, key)
            scratch = self._folder / f"{path}.part"
            shutil.rmtree(scratch, ignore_errors=True)
            write_snapshot(scratch, table=table, version=version, as_of=as_of, key=key, arrays=arrays)
            scratch.rename(self._folder / path)
        return path

    def _known_snapshot(self, table: str, version: int) -> str | None:
        pointer = read_pointer(self._folder)
        path: str | None = pointer["features"].get(table) if pointer else None
        if path is None or not (path.startswith(f"features/{table}/{version}-") and path.endswith(f"-{FORMAT}")):
            return None
        return path if (self._folder / path).exists() else None

    def _campaigns(self) -> str | None:
        try:
            version = self._lake.version(campaigns.TABLE)
        except MissingTableError:
            return None
        path = self._folder / f"features/{campaigns.TABLE}/{version}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = self._lake.scan(campaigns.TABLE, version).collect()
            text = json.dumps(rows.select(campaigns.COLUMNS).to_dicts(), default=str)
            unfinished = path.with_suffix(".part")
            unfinished.write_text(text)
            unfinished.rename(path)
        return str(path.relative_to(self._folder))


def _columns(rows: pl.DataFrame, key: str) -> dict[str, np.ndarray[Any, Any]]:
    """The numeric columns as float64, NaN for null, and the country, sorted by key.

    Money becomes a float here, at the model's edge.
    """
    rows = rows.sort(key)
    numeric = [name for name, dtype in rows.schema.items() if dtype.is_numeric() and name != key]
    floats = rows.select(pl.col(numeric).cast(pl.Float64).fill_null(float("nan")))
    texts = [name for name in ("country",) if name in rows.columns]
    return {
        key: rows[key].to_numpy(),
        **{name: floats[name].to_numpy() for name in numeric},
        **{name: np.array(rows[name].fill_null("").to_list(), dtype=np.str_) for name in texts},
    }


def _histories(rows: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Each customer's products and weights one after the other, with where they start and end."""
    rows = rows.sort("customer_id", "product_id")
    counts = rows.group_by("customer_id", maintain_order=True).len()
    ends = counts["len"].cast(pl.Int64).cum_sum().to_numpy()
    starts = ends - counts["len"].cast(pl.Int64).to_numpy()
    arrays = {name: rows[column].to_numpy() for name, column in HISTORY.items()}
    return {"customer_id": counts["customer_id"].to_numpy(), **arrays, "starts": starts, "ends": ends}
