"""A worker's side of going live: load what the follower dropped, verify it, and keep the old where the new is bad."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from grpc_server.call import Array
from grpc_server.online_features import FeatureSnapshot, mapped
from grpc_server.shadow_rows import Record
from grpc_server.state import Challenger, Refusal, ServedModel, State
from grpc_server.warm_up import warm_up
from training.campaigns import CampaignTable
from training.use_cases import get
from training.verified import load_verified

logger = logging.getLogger(__name__)
POINTER = "current.json"
"""The file that the follower replaces by rename when anything changed."""
SWITCH_SECONDS = 0.0005


def read_pointer(folder: Path) -> Mapping[str, Any] | None:
    """What the workers should serve now; None before the follower's first word."""
    try:
        document: Mapping[str, Any] = json.loads((folder / POINTER).read_text())
    except FileNotFoundError:
        return None
    return document


def load_state(
    folder: Path, pointer: Mapping[str, Any], before: State, recent: Callable[[], Sequence[Record]] = tuple
) -> State:
    """The state that the pointer describes; what did not change is taken over from the state before.

    A model that is damaged, wants other inputs, does not give its golden answers or fails on rows of the lake, or on
    what the `recent` records of the log were asked, is refused: the champion before it serves on, a challenger is left
    out. Rows that cannot be read stay as they were.

    Raises:
        FileNotFoundError: the follower has replaced meanwhile what the pointer named.
    """
    data = State({}, _features(folder, pointer, before), _campaigns(folder, pointer, before))
    loading = _Loading(folder, before, data, recent, [Refusal(**told) for told in pointer["refused"]])
    with _in_small_pieces():
        models = {name: loading.champion(name, entry) for name, entry in pointer["models"].items()}
        challengers = {name: loading.challenger(name, entry) for name, entry in pointer["challengers"].items()}
    state = replace(
        data,
        models={name: served for name, served in models.items() if served},
        challengers={name: challenger for name, challenger in challengers.items() if challenger},
        refused=tuple(loading.refused),
    )
    return replace(state, precomputed=_precomputed(folder, pointer, state))


def precomputed_path(pointer: Mapping[str, Any], name: str, version: int) -> str | None:
    """Where the precomputed answers of a version are, once they are there; None without rows to answer about.

    They are within the snapshot whose rows they answer about, and go with it; some answers are about a campaign, too.
    """
    use_case = get(name)
    features = pointer["features"].get(use_case.feature_table)
    campaigns = Path(pointer["campaigns"] or "none").stem if "campaign_id" in use_case.options else "any"
    return f"{features}/precomputed-{name}-{version}-{campaigns}.npy" if features else None


@contextmanager
def _in_small_pieces() -> Iterator[None]:
    """Meanwhile a call waits for the interpreter lock half a millisecond at a time, not five."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class _Loading:
    """One look at a new pointer: what can be taken over of the state before, what is loaded, what is refused."""

    def __init__(
        self,
        folder: Path,
        before: State,
        data: State,
        recent: Callable[[], Sequence[Record]],
        refused: list[Refusal],
    ) -> None:
        self._folder, self._before, self._data, self.refused = folder, before, data, refused
        self._recent = recent

    def champion(self, name: str, entry: Mapping[str, Any]) -> ServedModel | None:
        """The model to answer with: the one before where the new one is refused."""
        return self._model(name, entry) or self._before.models.get(name)

    def challenger(self, name: str, entry: Mapping[str, Any]) -> Challenger | None:
        """The model on trial, if it can be."""
        served = self._model(name, entry)
        return Challenger(served=served, percent=entry["percent"]) if served else None

    def _model(self, name: str, entry: Mapping[str, Any]) -> ServedModel | None:
        told = {key: entry[key] for key in ("version", "alias", "kind", "metrics", "tags", "created_at")}
        told["warnings"] = tuple(entry["warnings"])
        if known := self._known(name, entry["version"]):
            return known if all(getattr(known, key) == value for key, value in told.items()) else replace(known, **told)
        path = self._folder / entry["folder"]
        path.stat()  # what is gone was replaced, not refused
        reason = self._refused_before(name, entry["version"])
        if reason is None:
            try:
                model = load_verified(path, name, digest=entry["tags"].get("digest"))
                served = ServedModel(use_case=get(name), model=model, **told)
                warm_up(served, self._data, self._recent())
                return served
            except Exception as error:  # whatever a model's own code raises must not end the worker
                reason = str(error).replace(f"{self._folder}/", "")
                logger.error("refused version %s of %s: %s", entry["version"], name, reason, exc_info=error)
        self.refused.append(Refusal(use_case=name, alias=entry["alias"], version=entry["version"], reason=reason))
        return None

    def _known(self, name: str, version: int) -> ServedModel | None:
        """The loaded model of that version, whatever it was before."""
        challenger = self._before.challengers.get(name)
        loaded = [self._before.models.get(name), challenger.served if challenger else None]
        return next((served for served in loaded if served and served.version == version), None)

    def _refused_before(self, name: str, version: int) -> str | None:
        same = (old.reason for old in self._before.refused if (old.use_case, old.version) == (name, version))
        return next(same, None)


def _features(folder: Path, pointer: Mapping[str, Any], before: State) -> dict[str, FeatureSnapshot]:
    found = {}
    for table, path in pointer["features"].items():
        old = before.features.get(table)
        snapshot = old if old and old.folder == folder / path else _snapshot(folder / path) or old
        if snapshot:
            found[table] = snapshot
    return found


def _snapshot(folder: Path) -> FeatureSnapshot | None:
    try:
        return FeatureSnapshot(folder)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError) as error:
        logger.error("refused the snapshot %s: %s", folder, error)
        return None


def _precomputed(folder: Path, pointer: Mapping[str, Any], state: State) -> dict[tuple[str, int], Array]:
    """The precomputed answers of the state's models, one per row of their snapshot."""
    found = {}
    for served in [*state.models.values(), *(one.served for one in state.challengers.values())]:
        name, snapshot = served.use_case.name, state.features.get(served.use_case.feature_table)
        path = precomputed_path(pointer, name, served.version)
        if snapshot and path and path in pointer["precomputed"] and snapshot.folder == (folder / path).parent:
            with suppress(OSError, ValueError):  # a table is an addition
                table = mapped(folder / path)
                if len(table) == snapshot.size:
                    found[name, served.version] = table
    return found


def _campaigns(folder: Path, pointer: Mapping[str, Any], before: State) -> CampaignTable | None:
    if not pointer["campaigns"]:
        return None
    try:
        return CampaignTable(json.loads((folder / pointer["campaigns"]).read_text()))
    except (ValueError, KeyError) as error:
        logger.error("refused the campaigns %s: %s", pointer["campaigns"], error)
        return before.campaigns
