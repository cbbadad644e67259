"""Before a version may answer: its folder is what was registered, fits the use case and answers as when trained."""

from collections.abc import Collection
from pathlib import Path

from lakehouse.errors import ShopSphereError
from training import artifact
from training.artifact import ArtifactError
from training.use_case import Model, UseCase
from training.use_cases import get


def load_verified(folder: Path, use_case: str, *, digest: str | None) -> Model:
    """The model in a folder, ready to answer for the use case; `digest` is what was noted when it was registered.

    Raises:
        ArtifactError: a file is missing or damaged, the model is another's, inputs or outputs are not those of the use
            case, or the golden rows get other answers; the message says which.
        UnknownUseCaseError: there is no such use case.
    """
    found = get(use_case)
    try:
        if artifact.digest(folder) != digest:
            raise ArtifactError(f"{str(folder)!r} is not what was registered: train the model again")
        check_inputs(found, folder)
        model = artifact.load(folder)
        check_outputs(found, model.kind, artifact.check_golden(folder, model))
    except ShopSphereError:
        raise
    except Exception as error:  # whatever a damaged file makes NumPy, onnxruntime or the model's own code raise
        raise ArtifactError(
            f"the model in {str(folder)!r} cannot be loaded ({type(error).__name__}: {error}): train the model again"
        ) from error
    return model


def check_inputs(use_case: UseCase, folder: Path) -> None:
    """Check that the server knows every input of the model; one from before an input was added lacks that.

    Raises:
        ArtifactError: it is another use case's model, or wants other inputs, which are named.
    """
    stored = artifact.header(folder)
    if stored["use_case"] != use_case.name:
        raise ArtifactError(f"it is a model of {stored['use_case']!r}, not of {use_case.name!r}")
    known = {feature.name for feature in use_case.features}
    if unknown := [name for name in stored["inputs"] if name not in known]:
        raise ArtifactError(f"{use_case.name} has no input {_named(unknown)}: train the model again")


def check_outputs(use_case: UseCase, kind: str, outputs: Collection[str]) -> None:
    """Check that the model gives what is answered and logged; a baseline may give the main output alone.

    Raises:
        ArtifactError: outputs are missing or unknown; they are named.
    """
    needed = use_case.outputs[:1] if kind == "baseline" else use_case.outputs
    if missing := [name for name in needed if name not in outputs]:
        raise ArtifactError(f"the model lacks output {_named(missing)} of {use_case.name}: train it again")
    if unknown := [name for name in outputs if name not in use_case.outputs]:
        raise ArtifactError(f"{use_case.name} has no output {_named(unknown)}: train the model again")


def _named(names: Collection[str]) -> str:
    return ", ".join(map(repr, names))
