"""The safe artifact: a model as a folder of JSON, npz without pickle and ONNX, checked by digest before it is used.

`model.json` holds format, use case, kind, inputs, defaults, params, and the sha256 digest of every other file.
`arrays.npz` holds the arrays of a model that has any; other files (`trees.onnx`) are the model's own.
`golden.json` holds a few rows with the answers that the model gave when it was trained.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.errors import ShopSphereError
from training import columns
from training.use_case import Columns, Model

FORMAT = 1
TOLERANCE = 1e-5
"""Relative difference allowed in golden rows: ONNX computes in 32-bit floats, whose last bits depend on the CPU."""


class ArtifactError(ShopSphereError):
    """An artifact is missing, damaged, of an unknown format, or gives other answers than when it was trained."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What a model folder holds, its digests verified. `arrays` by name; `files` are raw bytes by file name."""

    use_case: str
    kind: str
    inputs: Sequence[str]
    defaults: Mapping[str, float]
    params: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray[Any, Any]]
    files: Mapping[str, bytes]


def write(
    folder: Path,
    *,
    use_case: str,
    kind: str,
    inputs: Sequence[str] = (),
    defaults: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray[Any, Any]] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write a model into `folder`, which is made where it does not exist.

    `params` must be JSON, numbers finite; arrays must not hold objects.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content)
    if arrays:
        np.savez_compressed(folder / "arrays.npz", allow_pickle=False, **dict(arrays))
    names = [*(files or {}), *(["arrays.npz"] if arrays else [])]
    stored = {
        "format": FORMAT,
        "use_case": use_case,
        "kind": kind,
        "inputs": list(inputs),
        "defaults": dict(defaults or {}),
        "params": dict(params or {}),
        "digests": {name: _sha256(folder / name) for name in names},
    }
    _write_json(folder / "model.json", stored)


def read(folder: Path) -> Artifact:
    """Read a model folder and verify every file's digest.

    Raises:
        ArtifactError: a file is missing or does not match, or the format is unknown.
    """
    stored = header(folder)
    for name, expected in stored["digests"].items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise ArtifactError(f"{name!r} in {str(folder)!r} is missing or damaged: download or train the model again")
    others = [name for name in stored["digests"] if name not in ("arrays.npz", "golden.json")]
    return Artifact(
        use_case=stored["use_case"],
        kind=stored["kind"],
        inputs=tuple(stored["inputs"]),
        defaults=stored["defaults"],
        params=stored["params"],
        arrays=_arrays(folder / "arrays.npz") if "arrays.npz" in stored["digests"] else {},
        files={name: (folder / name).read_bytes() for name in others},
    )


def load(folder: Path) -> Model:
    """The model in a folder, whatever its use case.

    Raises:
        ArtifactError: as `read`.
    """
    from training.use_cases import get  # use cases import this module

    return get(header(folder)["use_case"]).load(folder)


def header(folder: Path) -> dict[str, Any]:
    """What model.json says, no other file looked at.

    Raises:
        ArtifactError: it is missing or no JSON, or the format is unknown.
    """
    try:
        found: dict[str, Any] = json.loads((folder / "model.json").read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"no readable model.json in {str(folder)!r}: download or train the model again") from error
    if found.get("format") != FORMAT:
        raise ArtifactError(
            f"{str(folder)!r} has artifact format {found.get('format')!r}, this version reads {FORMAT}: "
            "train the model again"
        )
    return found


def digest(folder: Path) -> str:
    """The sha256 of model.json, which holds the digests of the rest: one value that stands for the whole folder."""
    return _sha256(folder / "model.json")


def write_golden(folder: Path, model: Model, inputs: Columns, options: Columns) -> None:
    """Add golden rows to a written folder: these inputs and options, and what the model answers to them."""
    document = {
        "inputs": columns.to_json(inputs),
        "options": columns.to_json(options),
        "outputs": columns.to_json(model.predict(inputs, options)),
    }
    _write_json(folder / "golden.json", document)
    stored = header(folder)
    stored["digests"]["golden.json"] = _sha256(folder / "golden.json")
    _write_json(folder / "model.json", stored)


def check_golden(folder: Path, model: Model) -> list[str]:
    """Check that a loaded model answers the golden rows as it did when it was trained; gives its outputs' names.

    Raises:
        ArtifactError: there are no golden rows, or an answer differs; the message names the output.
    """
    path = folder / "golden.json"
    if not path.is_file():
        raise ArtifactError(f"no golden rows in {str(folder)!r}: train the model again")
    document = json.loads(path.read_text())
    expected = columns.from_json(document["outputs"])
    answered = model.predict(columns.from_json(document["inputs"]), columns.from_json(document["options"]))
    for name, column in expected.items():
        if name not in answered or not columns.equal(column, answered[name], tolerance=TOLERANCE):
            raise ArtifactError(
                f"output {name!r} of the model in {str(folder)!r} differs from its golden rows: train the model again"
            )
    return list(answered)


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
