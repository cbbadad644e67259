"""The commands train, promote, rollback and models, as a user meets them."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from shopsphere_cli.main import make_app
from training.promote import PromotionError
from training.registry_address import RegistryError
from training.use_cases import UnknownUseCaseError


@pytest.fixture
def run(settings, monkeypatch):
    """Run a command in the test's own folder; what the entry point prints as one line is raised."""
    monkeypatch.setenv("SHOPSPHERE_VAR", str(settings.var_dir))
    monkeypatch.setenv("LAKE_ROOT", settings.lake_root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    app = make_app()
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_trained_and_promoted_model_is_listed_beside_its_baseline(run, shop_lake):
    """`train clv --promote` says how both did, `models` which version answers."""
    trained = run("train", "clv", "--promote")
    listed = run("models")

    assert "clv version 2: rmse" in trained.stdout
    assert "simple baseline: rmse" in trained.stdout
    assert "clv: promoted version 2 (fitted on all labels as version 3)" in trained.stdout
    assert [
        cell.strip() for cell in next(line for line in listed.stdout.splitlines() if "champion" in line).split("│")[2:6]
    ] == ["3", "champion", "trees_and_repeat", "refit"]
    detail = run("models", "clv").stdout
    assert "refused" not in detail
    assert detail.count("promoted") == 2
    assert "# Customer lifetime value, 180 days" in run("models", "clv", "--version", "2").stdout
    assert "kind `baseline`" in run("models", "clv", "--version", "1").stdout
    assert "the recipe of version 2" in run("models", "clv", "--version", "3").stdout.lower()
    assert "gold.clv_scores version 1: 60 rows by clv 3" in run("score", "clv", "--all").stdout
    assert run("score", "clv").exit_code == 2
    assert run("train", "clv", "--like", "clv/1").exit_code == 2
    assert "clv version 4 repeats version 1" in run("train", "--like", "clv/1").stdout
    with pytest.raises(PromotionError, match="no version 9"):
        run("promote", "clv", "--version", "9")
    with pytest.raises(RegistryError, match="no version 9: `shopsphere models clv`"):
        run("models", "clv", "--version", "9")
    assert run("promote", "clv").exit_code == 1
    assert "rolled back to version 1" in run("rollback", "clv").stdout


@pytest.mark.parametrize("command", ["train", "promote", "rollback", "models --version 1"])
def test_an_unknown_use_case_is_named(run, command):
    """Before the registry or the lake is touched."""
    with pytest.raises(UnknownUseCaseError, match="'weather'"):
        run(*command.split(), "weather")


def test_an_unreachable_registry_is_one_line(run, monkeypatch):
    """It names the setting to check."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI"):
        run("models")


def test_the_commands_are_registered_without_heavy_imports():
    """Help must not pay for MLflow or Polars."""
    code = "import sys, training.cli, grpc_server.models_cli; "
    code += "print([n for n in ('mlflow', 'polars', 'prefect', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
