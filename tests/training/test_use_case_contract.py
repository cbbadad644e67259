"""What every use case keeps, whoever wrote it: a new one is in this suite as soon as it is in USE_CASES."""

import importlib
import subprocess
import sys

import pytest

from training.use_cases import USE_CASES, UnknownUseCaseError, get

ALL = pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
FORBIDDEN = ("mlflow", "prefect", "pandas", "sklearn", "lightgbm", "implicit", "matplotlib", "evidently")


@ALL
def test_overrides_are_the_fields_of_the_request(use_case):
    """The features that a request may give are the proto message's fields, in order."""
    module = importlib.import_module(f"shopsphere.v1.{use_case.name}_pb2")
    message = getattr(module, f"{use_case.name.title()}Features", None)
    fields = [field.name for field in message.DESCRIPTOR.fields] if message else []

    assert [feature.name for feature in use_case.features if feature.override] == fields


@ALL
def test_names_are_unique(use_case):
    """Features, options and outputs are columns of one log table."""
    names = [feature.name for feature in use_case.features] + [*use_case.options, *use_case.outputs]

    assert len(names) == len(set(names))


def test_importing_the_use_cases_loads_nothing_heavy():
    """The server's workers import them: no training library, no registry, no pandas."""
    code = f"import sys, training.use_cases; print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_an_unknown_use_case_lists_those_there_are():
    """The message names every choice."""
    with pytest.raises(UnknownUseCaseError, match=USE_CASES[-1].name):
        get("weather")
