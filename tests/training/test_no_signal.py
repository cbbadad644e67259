"""Data with nothing to learn: no model that claims skill is promoted, and each is told why in plain words."""

import re

import pytest

from lakehouse.build import build
from lakehouse.ingest import ingest
from lakehouse.sources import synthetic
from lakehouse.storage import Lake
from training.pipeline import train_use_cases
from training.use_cases import USE_CASES

CLAIMS = [use_case.name for use_case in USE_CASES]


@pytest.fixture(scope="module")
def report(tmp_path_factory, new_settings):
    """What training and the gate make of a small shop of the mode kaggle."""
    folder = tmp_path_factory.mktemp("no_signal")
    knobs = synthetic.knobs_of("kaggle", customers=1_000, products=60, days=800)
    synthetic.generate(folder / "raw", folder / "truth", knobs)
    settings = new_settings(folder)
    lake = Lake(settings)
    ingest(lake, str(folder / "raw"))
    build(lake)
    return train_use_cases(settings, CLAIMS, promote=True, windows=1)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_model_of_noise_is_refused(report, name):
    """The reasons name the figures, and the verdict the windows that it was judged on."""
    assert report.failures == {}
    verdict = report.promotions[name]

    assert verdict.decision == "refused"
    assert re.search("noise|is not above|worse than|of what customers spend next", verdict.line())
    assert verdict.windows[0].as_of == verdict.as_of.isoformat()
