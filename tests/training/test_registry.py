"""Before training: the model registry on SQLite."""

import json

import numpy as np
import pytest

from training.artifact import ArtifactError
from training.constant import ConstantModel
from training.registry import Registry
from training.registry_address import RegistryError

EXAMPLE = ({"monetary": np.array([1.0, np.nan])}, {})


@pytest.fixture(scope="module")
def registry(tmp_path_factory, new_settings):
    """One registry for the module."""
    return Registry(new_settings(tmp_path_factory.mktemp("registry")))


def log(registry, name, value=3.5):
    """Register a constant."""
    model = ConstantModel("clv", output="clv_180d", value=value, defaults={"monetary": 7.0})
    return registry.log(name, model, example=EXAMPLE, metrics={"mae": 2.0}, tags={"fit": "holdout"})


def test_a_version_is_found_again_with_its_metrics_and_tags(registry):
    """What is registered can be asked for by number, kind, metrics and tags included."""
    logged = log(registry, "found")

    found = registry.version("found", logged.version)

    assert (found.version, found.kind, found.metrics, found.tags["fit"]) == (1, "baseline", {"mae": 2.0}, "holdout")


def test_versions_are_listed_oldest_first(registry):
    """Each registration is the next version."""
    log(registry, "listed")
    log(registry, "listed")

    assert [info.version for info in registry.versions("listed")] == [1, 2]


def test_there_is_no_champion_before_the_first(registry):
    """A model that does not exist, or has no champion, gives None."""
    log(registry, "aliased")

    assert registry.champion("aliased") is None
    assert registry.champion("never_registered") is None


def test_the_champion_is_the_version_that_was_set(registry):
    """The alias moves to the version named last."""
    log(registry, "crowned")
    log(registry, "crowned")

    registry.set_champion("crowned", 1)
    registry.set_champion("crowned", 2)

    assert registry.champion("crowned").version == 2
    assert [info.aliases for info in registry.versions("crowned")] == [(), ("champion",)]


def test_a_loaded_model_gives_the_same_answers(registry):
    """Artifact and registry lose nothing."""
    logged = log(registry, "loaded", value=12.25)

    assert registry.load(logged).predict(*EXAMPLE)["clv_180d"].tolist() == [12.25, 12.25]


def test_a_changed_artifact_is_refused(registry, tmp_path):
    """A download whose header is not the registered one raises."""
    logged = log(registry, "changed")
    stored = next((registry._settings.var_dir / "mlflow" / "artifacts" / "changed").rglob("model.json"))
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"params": {"output": "clv_180d", "value": 1e9}}))

    with pytest.raises(ArtifactError, match="not what was registered"):
        registry.download(logged, tmp_path)


def test_an_unknown_version_is_one_clear_line(registry):
    """The message names what was looked for."""
    with pytest.raises(RegistryError, match="'found' has no version 99"):
        registry.version("found", 99)


def test_an_unreachable_registry_fails_at_once(settings):
    """Nothing retries for minutes, and a password is not shown."""
    away = Registry(settings.model_copy(update={"mlflow_tracking_uri": "postgresql://me:secret@127.0.0.1:9/mlflow"}))

    with pytest.raises(RegistryError, match=r"cannot reach the model registry at postgresql://127.0.0.1:9/mlflow"):
        away.champion("clv")
