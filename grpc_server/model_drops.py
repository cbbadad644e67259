"""The follower's drops of models: the version that answers for each use case, and the one that is on trial."""

import logging
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from training import artifact
from training.artifact import ArtifactError
from training.registry import CHALLENGER, CHAMPION, Registry, VersionInfo
from training.trial import percent_of
from training.use_cases import USE_CASES

logger = logging.getLogger(__name__)


class ModelDrops:
    """What workers load, put into the folder of a server."""

    def __init__(self, folder: Path, registry: Registry, *, as_of: datetime | None) -> None:
        self._folder, self._registry, self._as_of = folder, registry, as_of
        self._versions: dict[tuple[str, int], VersionInfo] = {}
        self._dropped: set[tuple[str, int]] = set()
        self._damaged: dict[tuple[str, int], str] = {}

    def look(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """The pointer's `models`, `challengers` and `refused` as they should be, all folders that they name dropped.

        A version that is damaged is refused; the champion of `before` stays in its place.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        found: dict[str, Any] = {"models": {}, "challengers": {}, "refused": []}
        for name in (use_case.name for use_case in USE_CASES):
            aliases = self._registry.aliases(name)
            if champion := self._choose(name, aliases.get(CHAMPION)):
                entry = self._entry(*champion, refused=found["refused"]) or before.get("models", {}).get(name)
                found["models"] |= {name: entry} if entry else {}
            if challenger := self._challenger(name, aliases):
                entry = self._entry(challenger, CHALLENGER, _warnings(challenger), refused=found["refused"])
                percent = percent_of(challenger)
                found["challengers"] |= {name: {**entry, "percent": percent}} if entry else {}
        return found

    def _entry(
        self, info: VersionInfo, alias: str, warnings: list[str], *, refused: list[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """What the pointer says of a version once its folder is there; None where it had to be refused."""
        try:
            path = self._drop(info)
        except ArtifactError as error:
            refused.append({"use_case": info.name, "alias": alias, "version": info.version, "reason": str(error)})
            return None
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

    def _drop(self, info: VersionInfo) -> str:
        """The version's folder, downloaded where it is not there; a damaged version is not looked at again."""
        key, path = (info.name, info.version), f"models/{info.name}/{info.version}"
        if key in self._damaged:
            raise ArtifactError(self._damaged[key])
        if not (key in self._dropped and (self._folder / path).exists()) and not self._is_whole(info, path):
            scratch = self._folder / f"{path}.part"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            try:
                downloaded = self._registry.download(info, scratch)
            except ArtifactError as error:
                logger.error("refused version %s of %s: %s", info.version, info.name, error)
                self._damaged[key] = str(error)
                raise
            shutil.rmtree(self._folder / path, ignore_errors=True)
            downloaded.rename(self._folder / path)
            shutil.rmtree(scratch)
        self._dropped.add(key)
        return path

    def _is_whole(self, info: VersionInfo, path: str) -> bool:
        """Whether a folder that an earlier follower left is what was registered."""
        try:
            artifact.read(self._folder / path)
            return artifact.digest(self._folder / path) == info.tags.get("digest")
        except (ArtifactError, OSError):
            return False

    def _choose(self, name: str, number: int | None) -> tuple[VersionInfo, str, list[str]] | None:
        """The champion; for a past date, the fit of it whose labels had elapsed by then, else the baseline."""
        if number is None:
            return None
        champion = self._version(name, number)
        if self._as_of is None or self._known_by(champion):
            return champion, CHAMPION, _warnings(champion)
        candidates = [champion.tags["refit_of"]] if champion.tags.get("refit_of") else []
        holdout = [self._version(name, int(candidate)) for candidate in candidates]
        baselines = [version for version in self._registry.versions(name) if version.kind == "baseline"]
        earlier = [version for version in [*holdout, *reversed(baselines)] if self._known_by(version)]
        if earlier:
            return earlier[0], "", _warnings(earlier[0])
        return champion, CHAMPION, [*_warnings(champion), "trained_after_as_of"]

    def _challenger(self, name: str, aliases: Mapping[str, int]) -> VersionInfo | None:
        """The version on trial, looked at anew each time, as its share may change; none at a past date."""
        number = aliases.get(CHALLENGER)
        if self._as_of is not None or number in (None, aliases.get(CHAMPION)):
            return None
        return self._registry.version(name, number)

    def _version(self, name: str, number: int) -> VersionInfo:
        key = (name, number)
        if key not in self._versions:
            self._versions[key] = self._registry.version(name, number)
        return self._versions[key]

    def _known_by(self, info: VersionInfo) -> bool:
        labels_end = info.tags.get("labels_end")
        if not labels_end or self._as_of is None:
            return False
        return datetime.fromisoformat(labels_end).replace(tzinfo=None) <= self._as_of


def _warnings(info: VersionInfo) -> list[str]:
    return ["baseline"] if info.kind == "baseline" else []
