"""The follower: the one process that knows registry and lake; it drops what workers load and ships their spools."""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from grpc_server.admin import admin_server
from grpc_server.champions import POINTER, read_pointer
from grpc_server.child import collect_seldom, orphaned
from grpc_server.counters import SUFFIX, Counters
from grpc_server.live import drop_dead
from grpc_server.model_drops import ModelDrops
from grpc_server.precompute import Precompute
from grpc_server.row_drops import RowDrops
from grpc_server.settings import ServerSettings
from grpc_server.shadow import Shadow
from grpc_server.shipping import Shipper
from lakehouse.errors import ShopSphereError
from lakehouse.stop_signal import StopSignal
from lakehouse.storage import Lake
from training.registry import Registry

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
GIVES_WAY = 5
"""How much nicer than a worker it is, whose calls should not wait for it where they share a core."""


class Follower:
    """Follows the registry's aliases and the newest gold, or those of a past date, for the server `name`."""

    def __init__(self, settings: ServerSettings, *, name: str, as_of: datetime | None = None) -> None:
        self._folder = settings.serving_dir(name)
        self._models = ModelDrops(self._folder, Registry(settings), as_of=as_of)
        self._rows = RowDrops(self._folder, Lake(settings), as_of=as_of)
        self._precompute = Precompute(self._folder)

    def step(self) -> bool:
        """Bring the folder up to date; whether anything changed.

        Models do not wait for the lake, nor its rows for the registry, once there was something to serve.

        Raises:
            ShopSphereError: the registry or the lake cannot be reached; what is there of it serves on.
        """
        drop_dead(self._folder)
        before = read_pointer(self._folder)
        if before is None:
            return self._point({}, {**self._models.look({}), **self._rows.look(), "precomputed": []})
        changed, failures = False, []
        looks: list[Callable[[], dict[str, Any]]] = [
            partial(self._models.look, before),
            self._rows.look,
            self._precompute.look,
        ]
        for look in looks:
            now = read_pointer(self._folder) or {}
            try:
                changed |= self._point(now, {**now, **look()})
            except ShopSphereError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return changed

    def _point(self, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        """Point the workers at what is wanted; whether that is something else than before."""
        if wanted == before:
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{POINTER}.part"
        unfinished.write_text(json.dumps(wanted))
        unfinished.rename(self._folder / POINTER)
        self._prune(before, wanted)
        return True

    def _prune(self, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Delete what no pointer names, but for the models of the one before: a rollback finds its version there.

        Workers hold what they loaded in memory or mapped.
        """
        keep = {entry["folder"] for pointer in (before, wanted) for entry in _models(pointer)}
        keep |= set(wanted["features"].values())
        for path in [*self._folder.glob("models/*/*"), *self._folder.glob("features/gold.*/*")]:
            if str(path.relative_to(self._folder)) not in keep:
                shutil.rmtree(path, ignore_errors=True)
        for path in self._folder.glob("features/gold.*/*/precomputed-*.npy"):
            if str(path.relative_to(self._folder)) not in wanted["precomputed"]:
                path.unlink(missing_ok=True)


def _models(pointer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [entry for part in ("models", "challengers") for entry in pointer.get(part, {}).values()]


def main() -> None:
    """Follow until SIGTERM or the death of the parent, which mean: ship what is left, then end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--as-of", type=datetime.fromisoformat)
    parser.add_argument("--parent", type=int, required=True, help="pid of who starts this process, which ends with it")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s follower %(message)s")
    os.nice(GIVES_WAY)
    stop = StopSignal(signal.SIGTERM)
    try:
        settings = ServerSettings()
        follower = Follower(settings, name=options.name, as_of=options.as_of)
        follower.step()
        admin = admin_server(settings, name=options.name) if settings.admin_port and not options.as_of else None
    except ShopSphereError as error:
        sys.exit(f"shopsphere: {error}")
    collect_seldom()
    counters = Counters(settings.metrics_dir(options.name) / f"follower{SUFFIX}")
    shadow = Shadow(settings.serving_dir(options.name), counters)
    with Shipper(settings.spool_dir, Lake(settings), counters, shadow.scored):
        while not stop.wait(POLL_SECONDS) and not orphaned(options.parent):
            try:
                follower.step()
            except ShopSphereError as error:
                logger.warning("%s; trying again", error)
    if admin:
        admin.stop(None).wait()


if __name__ == "__main__":
    main()
