"""The follower: the one process that knows registry and lake; it drops what workers load and ships their spools."""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from grpc_server.champions import POINTER, read_pointer
from grpc_server.counters import SUFFIX, Counters
from grpc_server.online_features import FORMAT, with_digests, write_snapshot
from grpc_server.settings import ServerSettings
from grpc_server.shipping import Shipper
from lakehouse.errors import MissingTableError, ShopSphereError
from lakehouse.query import online_snapshot
from lakehouse.storage import Lake
from training import campaigns
from training.recommend_request import HISTORY
from training.registry import Registry, VersionInfo
from training.use_cases import USE_CASES

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
KEYS = {"gold.customer_features": "customer_id", "gold.product_features": "product_id"}
INTERACTIONS = "gold.interactions"


class Follower:
    """Follows the registry's champions and the newest gold, or those of a past date, for the server `name`."""

    def __init__(self, settings: ServerSettings, *, name: str, as_of: datetime | None = None) -> None:
        self._settings = settings
        self._folder = settings.serving_dir(name)
        self._as_of = as_of
        self._lake = Lake(settings)
        self._registry = Registry(settings)

    def step(self) -> bool:
        """Bring the folder up to date; whether anything changed.

        Raises:
            ShopSphereError: the registry or the lake cannot be reached; what is there serves on.
        """
        tables = {use_case.feature_table for use_case in USE_CASES}
        wanted = {
            "models": {use_case.name: entry for use_case in USE_CASES if (entry := self._model(use_case.name))},
            "features": {table: path for table in sorted(tables) if (path := self._features(table))},
            "campaigns": self._campaigns(),
        }
        if wanted == read_pointer(self._folder):
            return False
        unfinished = self._folder / f"{POINTER}.part"
        unfinished.write_text(json.dumps(wanted))
        unfinished.rename(self._folder / POINTER)
        self._prune(wanted)
        return True

    def _model(self, name: str) -> dict[str, Any] | None:
        chosen = self._choose(name)
        if chosen is None:
            return None
        info, alias, warnings = chosen
        path = f"models/{name}/{info.version}"
        if not (self._folder / path).exists():
            scratch = self._folder / f"models/{name}/{info.version}.part"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            self._registry.download(info, scratch).rename(self._folder / path)
            shutil.rmtree(scratch)
        return {
            "folder": path,
            "version": info.version,
            "alias": alias,
            "kind": info.kind,
            "metrics": info.metrics,
            "tags": info.tags,
            "created_at": info.created_at.isoformat(),
            "warnings": warnings,
        }

    def _choose(self, name: str) -> tuple[VersionInfo, str, list[str]] | None:
        """The champion; for a past date, the fit of it whose labels had elapsed by then, else the baseline."""
        champion = self._registry.champion(name)
        if champion is None:
            return None
        info, alias, warnings = champion, "champion", []
        if self._as_of is not None and not self._known_by(champion):
            candidates = [champion.tags["refit_of"]] if champion.tags.get("refit_of") else []
            holdout = [self._registry.version(name, int(number)) for number in candidates]
            baselines = [version for version in self._registry.versions(name) if version.kind == "baseline"]
            earlier = [version for version in [*holdout, *reversed(baselines)] if self._known_by(version)]
            info, alias = (earlier[0], "") if earlier else (champion, "champion")
            warnings = [] if earlier else ["trained_after_as_of"]
        return info, alias, (["baseline"] if info.kind == "baseline" else []) + warnings

    def _known_by(self, info: VersionInfo) -> bool:
        labels_end = info.tags.get("labels_end")
        if not labels_end or self._as_of is None:
            return False
        return datetime.fromisoformat(labels_end).replace(tzinfo=None) <= self._as_of

    def _features(self, table: str) -> str | None:
        """The folder of a table's snapshot; None where the table does not exist yet."""
        try:
            version = self._lake.version(table)
            known = self._known_snapshot(table, version)
            if known:
                return known
            rows, version, as_of = online_snapshot(self._lake, table, as_of=self._as_of, version=version)
        except MissingTableError as error:
            logger.warning("%s", error)
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

    def _prune(self, wanted: Mapping[str, Any]) -> None:
        """Delete what no pointer names; workers hold what they loaded in memory or mapped."""
        keep = {entry["folder"] for entry in wanted["models"].values()} | set(wanted["features"].values())
        for path in [*self._folder.glob("models/*/*"), *self._folder.glob("features/gold.*/*")]:
            if str(path.relative_to(self._folder)) not in keep:
                shutil.rmtree(path, ignore_errors=True)


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
    return {"customer_id": counts["customer_id"].to_numpy(), **with_digests(arrays, starts, ends)}


def main() -> None:
    """Follow until SIGTERM, which means: ship what is left, then end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--as-of", type=datetime.fromisoformat)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s follower %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    parent = os.getppid()
    try:
        settings = ServerSettings()
        follower = Follower(settings, name=options.name, as_of=options.as_of)
        follower._folder.mkdir(parents=True, exist_ok=True)
        follower.step()
    except ShopSphereError as error:
        sys.exit(f"shopsphere: {error}")
    counters = Counters(settings.metrics_dir(options.name) / f"follower{SUFFIX}")
    with Shipper(settings.spool_dir, Lake(settings), counters):
        while not stop.wait(POLL_SECONDS) and os.getppid() == parent:
            try:
                follower.step()
            except ShopSphereError as error:
                logger.warning("%s; trying again", error)


if __name__ == "__main__":
    main()
