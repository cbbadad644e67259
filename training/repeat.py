"""Trains a registered version again: the same recipe on the Delta versions that it pins, and how well both agree."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake
from lakehouse.table_files import data_files, readable_versions
from training import code_version, use_cases
from training.agreement import Agreement, agreement, relative
from training.bulk_inputs import bulk_inputs
from training.evidence import Evidence
from training.pins import ERASED
from training.recommend_request import DEFAULT_K
from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.train import CONTINUES, Progress, flat, register
from training.use_case import Columns, Dataset, Metrics, Model, UseCase

ADDRESS = re.compile(r"(?:models:/)?(?P<name>[a-z_]+)/(?P<version>[0-9]+)")


class RepeatError(ShopSphereError):
    """A version cannot be trained again as it was."""


@dataclass(frozen=True, kw_only=True)
class RepeatReport:
    """The new `version`, made like version `like`, and how their answers agree, by output.

    metrics: the largest relative difference of their holdout metrics; None where none were measured again.
    warnings: what of the code is not as it was.
    """

    use_case: str
    version: int
    like: int
    answers: Mapping[str, Agreement]
    metrics: float | None
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report for people."""
        told = [f"warning: {warning}" for warning in self.warnings]
        told.append(f"{self.use_case} version {self.version} repeats version {self.like}")
        told += [f"{output}: {found}" for output, found in self.answers.items()]
        if self.metrics is not None:
            told.append(f"holdout metrics agree to {self.metrics:.1e}")
        return told


def train_like(settings: TrainingSettings, address: str, *, progress: Progress | None = None) -> RepeatReport:
    """Train `models:/clv/7`, or `clv/7`, again on the table versions that it pins; registered with the tag `like`.

    Seeds are constants of the code. The answers of both are compared on the golden rows' inputs and on everybody in
    gold's pinned version.

    Raises:
        RepeatError: the address names no version, or the data of its training was erased or is not kept any more.
        ShopSphereError: unknown use case, or registry or lake cannot be reached.
    """
    name, number = _parse(address)
    use_case = use_cases.get(name)
    registry, lake = Registry(settings), Lake(settings)
    info = registry.version(name, number)
    versions = _pinned(lake, info)
    if progress:
        progress(f"{name}: train version {number} again on {', '.join(f'{t} {v}' for t, v in versions.items())}")
    data = use_case.dataset(lake, refit=info.tags.get("fit") == "refit", versions=versions)
    model = use_case.fit_baseline(data) if info.kind == "baseline" else use_case.fit(data)
    if use_case.continued and CONTINUES in info.tags:
        model = use_case.continued(model, registry.load(registry.version(name, int(info.tags[CONTINUES]))), data)
    measured = use_case.evaluate(model, data) if data.test.height else {}
    made = _register(registry, use_case, model, data=data, like=info, measured=measured)
    if progress:
        progress(f"{name}: compare the answers of versions {number} and {made.version}")
    return RepeatReport(
        use_case=name,
        version=made.version,
        like=number,
        answers=_compare(use_case, registry.load(info), model, data, lake),
        metrics=_metrics_differ(info.metrics, measured),
        warnings=(*code_version.differences(info.tags, code_version.tags()), *_split_differs(info, data)),
    )


def _parse(address: str) -> tuple[str, int]:
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise RepeatError(f"{address!r} names no model version: write it as models:/clv/7 or clv/7")
    return found["name"], int(found["version"])


def _pinned(lake: Lake, info: VersionInfo) -> dict[str, int]:
    """The table versions that a model was trained on, all of which can be read still."""
    which = f"version {info.version} of {info.name!r}"
    if ERASED in info.tags:
        raise RepeatError(
            f"{which} cannot be repeated: data of its training was erased on {info.tags[ERASED][:10]}, as somebody was "
            "forgotten; train a new one"
        )
    versions: dict[str, int] = json.loads(info.tags.get("data_versions", "{}"))
    if not versions:
        raise RepeatError(f"{which} does not say which data it was trained on: train a new one")
    for table, version in versions.items():
        if not _is_kept(lake, table, version):
            raise RepeatError(f"{which} cannot be repeated: version {version} of {table} is not kept any more")
    return versions


def _is_kept(lake: Lake, table: str, version: int) -> bool:
    if not lake.exists(table) or not readable_versions(lake, table, [version]):
        return False
    return {file.path for file in lake.files(table, version)} <= set(data_files(lake, table))


def _register(
    registry: Registry, use_case: UseCase, model: Model, *, data: Dataset, like: VersionInfo, measured: Metrics
) -> VersionInfo:
    told = registry.evidence(like)
    evidence = Evidence.from_json(told) if told else None
    if like.kind == "baseline" and measured:
        evidence = Evidence.of_baseline(measured)
    if evidence and measured:
        evidence = replace(evidence, metrics=measured)
    metrics = like.metrics if not measured else flat(evidence) if told and evidence else measured
    kept = {tag: like.tags[tag] for tag in ("fit", "refit_of", CONTINUES) if tag in like.tags}
    tags = {**kept, "like": str(like.version)}
    return register(registry, use_case, model, data=data, metrics=metrics, tags=tags, evidence=evidence)


def _compare(use_case: UseCase, old: Model, new: Model, data: Dataset, lake: Lake) -> dict[str, Agreement]:
    inputs: list[tuple[Columns, Columns]] = [use_case.example(data)]
    everybody = bulk_inputs(use_case, lake, version=data.data_versions[use_case.feature_table])
    inputs += [(block.inputs, block.options) for block in everybody.blocks(k=DEFAULT_K)]
    answers = [(old.predict(*rows), new.predict(*rows)) for rows in inputs]
    return {
        output: agreement(*(np.concatenate([pair[side][output] for pair in answers]) for side in (0, 1)))
        for output in use_case.outputs
    }


def _split_differs(info: VersionInfo, data: Dataset) -> list[str]:
    now = {"as_of": data.as_of.isoformat(), "labels_end": data.labels_end.isoformat()}
    return [
        f"{name} was {info.tags.get(name)}, is {value}" for name, value in now.items() if info.tags.get(name) != value
    ]


def _metrics_differ(old: Metrics, new: Metrics) -> float | None:
    both = [name for name in new if name in old]
    if not both:
        return None
    return float(relative(*(np.array([told[name] for name in both]) for told in (old, new))).max())
