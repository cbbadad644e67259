"""The safe artifact and its helpers: what is damaged or changed is refused, what is whole comes back as it was."""

import json

import numpy as np
import pytest

from training import artifact, bootstrap, columns, tabular
from training.constant import ConstantModel

EXAMPLE = ({"monetary": np.array([1.0, np.nan])}, {})


@pytest.fixture
def folder(tmp_path):
    """A saved constant with golden rows."""
    model = ConstantModel("clv", output="clv_180d", value=3.5, defaults={"monetary": 7.0})
    model.save(tmp_path / "model")
    artifact.write_golden(tmp_path / "model", model, *EXAMPLE)
    return tmp_path / "model"


def test_a_damaged_file_is_refused(folder):
    """One changed byte breaks the digest."""
    (folder / "golden.json").write_text((folder / "golden.json").read_text() + " ")

    with pytest.raises(artifact.ArtifactError, match=r"golden\.json.* is missing or damaged"):
        artifact.load(folder)


def test_a_missing_folder_is_refused(tmp_path):
    """The message says what to do."""
    with pytest.raises(artifact.ArtifactError, match="download or train the model again"):
        artifact.load(tmp_path)


def test_an_unknown_format_is_refused(folder):
    """A model of a later version is not guessed at."""
    header = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(header | {"format": 99}))

    with pytest.raises(artifact.ArtifactError, match="format 99"):
        artifact.read(folder)


def test_other_answers_than_the_golden_ones_are_refused(folder):
    """A runtime that computes something else is found before it serves."""
    other = ConstantModel("clv", output="clv_180d", value=3.6, defaults={"monetary": 7.0})

    with pytest.raises(artifact.ArtifactError, match="'clv_180d'"):
        artifact.check_golden(folder, other)


def test_arrays_come_back_exactly(tmp_path):
    """Through npz, without pickle."""
    artifact.write(tmp_path, use_case="clv", kind="test", arrays={"weights": np.arange(6.0).reshape(2, 3)})

    assert artifact.read(tmp_path).arrays["weights"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "column",
    [
        np.array([1.5, np.nan]),
        np.array([1, 2]),
        columns.object_array(["a", "b"]),
        columns.object_array([np.array([1, 2]), np.array([], dtype=np.int64)]),
        columns.object_array([np.array([0.5]), np.array([1.0])]),
    ],
    ids=["numbers", "integers", "text", "lists of integers", "lists of numbers"],
)
def test_columns_survive_json(column):
    """Numbers, text and lists, unknown values included."""
    back = columns.from_json(json.loads(json.dumps(columns.to_json({"column": column}))))["column"]

    assert columns.equal(column, back, tolerance=0)


def test_unknown_and_absent_inputs_take_their_defaults():
    """The matrix has its columns in the order of the defaults."""
    inputs = {"b": np.array([1.0, np.nan])}

    assert tabular.matrix(inputs, {"a": 5.0, "b": 7.0}).tolist() == [[5, 1], [5, 7]]


def test_a_constant_gain_is_more_than_noise():
    """The bootstrap of a gain that is the same on every row has no spread."""
    gains = bootstrap.paired_gains(lambda rows: float(np.full(9, 0.5)[rows].mean()), 9)

    assert set(bootstrap.summary(gains).values()) == {0.5}
