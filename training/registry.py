"""The one door to MLflow: registers models with what they were trained on, and finds them again by version or alias."""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from lakehouse.addresses import shown
from lakehouse.errors import ShopSphereError
from training import artifact, code_version, verified
from training.registry_address import RegistryError, check_reachable, set_environment
from training.settings import TrainingSettings
from training.use_case import Columns, Metrics, Model

CHAMPION, CHALLENGER = "champion", "challenger"
CARD, EVIDENCE = "card.md", "evidence.json"
DESCRIPTION_CHARACTERS = 5_000
"""What MLflow's SQL store has room for."""


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """One registered version: metrics are of the time holdout, tags say what it was trained on, `created_at` is UTC."""

    name: str
    version: int
    aliases: tuple[str, ...]
    kind: str
    metrics: Metrics
    tags: Mapping[str, str]
    created_at: datetime
    run_id: str


class Registry:
    """Registered models in MLflow, one per use case, their artifacts in the experiment `shopsphere/<use case>`."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._uri = settings.tracking_uri
        self._opened: Any = None

    def log(
        self,
        name: str,
        model: Model,
        *,
        example: tuple[Columns, Columns],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        figures: Mapping[str, Any] | None = None,
        card: str = "",
        evidence: Mapping[str, Any] | None = None,
    ) -> VersionInfo:
        """Register a model as the next version of `name`; `example` (inputs, options) gives the golden rows too.

        The `card` is kept as card.md and as the version's description, `evidence` as evidence.json.

        Raises:
            RegistryError: the registry or its artifact store cannot be reached.
        """
        tags = {**tags, "kind": model.kind, **code_version.tags()}
        with self._guard(f"register {name!r}") as mlflow, tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            model.save(folder)
            artifact.write_golden(folder, model, *example)
            tags["digest"] = artifact.digest(folder)
            with mlflow.start_run(experiment_id=self._experiment(name), run_name=f"{name} {model.kind}") as run:
                mlflow.set_tags(tags)
                mlflow.log_params(dict(model.params))
                mlflow.log_metrics(dict(metrics))
                for file_name, figure in (figures or {}).items():
                    mlflow.log_figure(figure, f"figures/{file_name}")
                if card:
                    mlflow.log_text(card, CARD)
                if evidence:
                    mlflow.log_dict(dict(evidence), EVIDENCE)
                source = _log_pyfunc(mlflow, name, folder, example=example, model=model)
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            created = self._client.create_model_version(
                name, source, run.info.run_id, tags=tags, description=_shortened(card)
            )
            return self._info(created)

    def names(self) -> list[str]:
        """The models that have a version, sorted."""
        with self._guard("list the models"):
            return sorted(str(found.name) for found in self._client.search_registered_models())

    def versions(self, name: str) -> list[VersionInfo]:
        """All versions of a model, oldest first; empty where there is none."""
        with self._guard(f"list the versions of {name!r}"):
            found = self._client.search_model_versions(f"name = '{name}'")
            return [self._info(self._get(name, number)) for number in sorted(int(entry.version) for entry in found)]

    def version(self, name: str, number: int) -> VersionInfo:
        """One version of a model.

        Raises:
            RegistryError: there is no such version.
        """
        with self._guard(f"find version {number} of {name!r}") as mlflow:
            try:
                return self._info(self._get(name, number))
            except mlflow.exceptions.MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise RegistryError(
                    f"{name!r} has no version {number}: `shopsphere models {name}` lists those that there are"
                ) from error

    def aliases(self, name: str) -> dict[str, int]:
        """The versions that have a name, by that name; none where nothing was registered."""
        with self._guard(f"find the aliases of {name!r}") as mlflow:
            try:
                found = self._client.get_registered_model(name).aliases
            except mlflow.exceptions.MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return {}
                raise
            return {alias: int(version) for alias, version in found.items()}

    def champion(self, name: str) -> VersionInfo | None:
        """The version that answers, None before the first."""
        number = self.aliases(name).get(CHAMPION)
        return None if number is None else self.version(name, number)

    def set_champion(self, name: str, version: int) -> None:
        """Let a version answer: running servers follow within seconds."""
        self.set_alias(name, CHAMPION, version)

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Let an alias name a version, or nothing."""
        with self._guard(f"make {f'version {version}' if version else 'no version'} the {alias} of {name!r}"):
            if version is None:
                self._client.delete_registered_model_alias(name, alias)
            else:
                self._client.set_registered_model_alias(name, alias, str(version))

    def tag(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        with self._guard(f"tag version {version} of {name!r}"):
            for key, value in tags.items():
                self._client.set_model_version_tag(name, str(version), key, value)

    def download(self, info: VersionInfo, folder: Path) -> Path:
        """Copy a version's artifact folder to `folder/model` and check that it is the one that was registered.

        Raises:
            RegistryError: it cannot be downloaded.
            ArtifactError: what was downloaded is not what was registered.
        """
        with self._guard(f"download version {info.version} of {info.name!r}") as mlflow:
            source = self._client.get_model_version_download_uri(info.name, str(info.version))
            path = Path(
                mlflow.artifacts.download_artifacts(
                    f"{source}/artifacts/model", dst_path=str(folder), tracking_uri=self._uri, registry_uri=self._uri
                )
            )
        if artifact.digest(path) != info.tags.get("digest"):
            raise artifact.ArtifactError(
                f"version {info.version} of {info.name!r} is not what was registered: train the model again"
            )
        return path

    def card(self, info: VersionInfo) -> str | None:
        """The model card of a version; None where it has none."""
        return self._text(info, CARD)

    def evidence(self, info: VersionInfo) -> dict[str, Any] | None:
        """What training found out about a version, as it was logged; None where nothing was."""
        text = self._text(info, EVIDENCE)
        return None if text is None else dict(json.loads(text))

    def _text(self, info: VersionInfo, file: str) -> str | None:
        with self._guard(f"read {file} of version {info.version} of {info.name!r}") as mlflow:
            if file not in {entry.path for entry in self._client.list_artifacts(info.run_id)}:
                return None
            return str(mlflow.artifacts.load_text(f"runs:/{info.run_id}/{file}"))

    def load(self, info: VersionInfo) -> Model:
        """The model of a version, ready to predict."""
        with tempfile.TemporaryDirectory() as scratch:
            return artifact.load(self.download(info, Path(scratch)))

    def check(self, info: VersionInfo) -> None:
        """Check a version as a server does before it lets it answer, so that no alias names one that cannot.

        Raises:
            ArtifactError: it is damaged, its inputs or outputs are others, or it answers otherwise than when trained.
        """
        with tempfile.TemporaryDirectory() as scratch:
            verified.load_verified(self.download(info, Path(scratch)), info.name, digest=info.tags.get("digest"))

    @property
    def _client(self) -> Any:
        if self._opened is None:
            import mlflow

            self._opened = mlflow.MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        return self._opened

    def _get(self, name: str, number: int) -> Any:
        return self._client.get_model_version(name, str(number))

    def _info(self, found: Any) -> VersionInfo:
        """MLflow's version with its run's metrics; search results lack the aliases, so `found` comes from a get."""
        return VersionInfo(
            name=found.name,
            version=int(found.version),
            aliases=tuple(found.aliases),
            kind=found.tags.get("kind", ""),
            metrics=dict(self._client.get_run(found.run_id).data.metrics),
            tags=dict(found.tags),
            created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            run_id=found.run_id,
        )

    def _experiment(self, name: str) -> str:
        title = f"shopsphere/{name}"
        found = self._client.get_experiment_by_name(title)
        if found:
            return str(found.experiment_id)
        root = self._settings.artifact_root
        return str(self._client.create_experiment(title, artifact_location=f"{root}/{name}" if root else None))

    @contextmanager
    def _guard(self, doing: str) -> Iterator[Any]:
        """MLflow pointed at our registry; whatever goes wrong in the block becomes one line that says what to do."""
        try:
            if self._opened is None:
                check_reachable(self._uri)
                set_environment(self._settings)
                for noisy in ("mlflow", "alembic"):
                    logging.getLogger(noisy).setLevel(logging.ERROR)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MLflow warns about its own dependencies and about its own defaults
                import mlflow

                mlflow.set_tracking_uri(self._uri)
                mlflow.set_registry_uri(self._uri)
                yield mlflow
        except ShopSphereError:
            raise
        except Exception as error:  # boto3, requests, SQLAlchemy and MLflow each have a family of their own
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise RegistryError(f"cannot {doing} in the model registry at {shown(self._uri)}: {reason}") from error


def _shortened(card: str) -> str | None:
    """The card without the sections that a description has no room for."""
    told, more = card, f"\nMore in {CARD} of the run.\n"
    while len(told) > DESCRIPTION_CHARACTERS:
        told = told.removesuffix(more)
        told = told[: max(told.rfind("\n## "), 0)] + more
    return told or None


def _log_pyfunc(mlflow: Any, name: str, folder: Path, *, example: tuple[Columns, Columns], model: Model) -> str:
    """Log the artifact as a pyfunc from code, with signature and example; gives the address to register."""
    import pandas as pd

    def frame(named: Columns) -> Any:
        return pd.DataFrame({key: list(column) for key, column in named.items()})

    inputs = frame({**example[0], **example[1]})
    signature = mlflow.models.infer_signature(inputs, frame(model.predict(*example)))
    optional = [mlflow.types.ColSpec(column.type, column.name, required=False) for column in signature.inputs]
    signature.inputs = mlflow.types.Schema(optional)
    logged = mlflow.pyfunc.log_model(
        name=name,
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts={"model": str(folder)},
        signature=signature,
        input_example=inputs,
        pip_requirements=[
            f"{package}=={package_version(package)}" for package in ("shopsphere", "numpy", "onnxruntime")
        ],
    )
    return str(logged.model_uri)
