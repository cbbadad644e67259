"""After training: a challenger beside the champion, set and ended in the registry, each decision a row."""

import numpy as np
import pytest

from lakehouse.storage import Lake
from training import promotions, trial
from training.constant import ConstantModel
from training.model_list import decision_rows, model_rows
from training.promote import rollback
from training.promotions import PromotionReport
from training.registry import Registry
from training.trial import TrialError, percent_of
from training.use_cases import UnknownUseCaseError


@pytest.fixture(scope="module")
def settings(tmp_path_factory, new_settings):
    """Three versions of CLV: the second was promoted in the place of the first."""
    settings = new_settings(tmp_path_factory.mktemp("trial"))
    registry = Registry(settings)
    for value in (1.0, 2.0, 3.0):
        model = ConstantModel("clv", output="clv_180d", value=value, defaults={"monetary": 7.0})
        registry.log("clv", model, example=({"monetary": np.array([1.0])}, {}), metrics={"rmse": value}, tags={})
    registry.set_champion("clv", 2)
    told = {"use_case": "clv", "decision": "promoted", "candidate": 2, "version": 2, "from_version": 1}
    promotions.record(Lake(settings), PromotionReport(**told, reasons=["better"], metrics={}))
    return settings


def on_trial(settings):
    """The version on trial and its share, or nothing."""
    registry = Registry(settings)
    version = registry.aliases("clv").get("challenger")
    return version and (version, percent_of(registry.version("clv", version)))


def test_a_trial_is_set_changed_and_stopped(settings):
    """One at a time; each step is a row that says who answers, and the list of models shows it."""
    trial.start("clv", 3, percent=0, settings=settings, decided_by="ann")
    assert on_trial(settings) == (3, 0)
    assert [row[2] for row in model_rows(settings, "clv")] == ["", "champion", "challenger (shadow)"]
    trial.start("clv", 1, percent=10, settings=settings, decided_by="ann")
    assert on_trial(settings) == (1, 10)
    assert model_rows(settings, "clv")[0][2] == "challenger (10 %)"
    trial.stop("clv", settings=settings, decided_by="bob")
    assert on_trial(settings) is None
    shown = [(row[1], row[2], row[3], row[7], row[8]) for row in decision_rows(settings, "clv")[-3:]]
    assert shown == [
        ("shadow", "3", "2", "ann", "scored beside the champion, answers nobody"),
        ("canary", "1", "2", "ann", "10 % of the customers get its answers"),
        ("trial ended", "1", "2", "bob", "stopped"),
    ]


def test_a_version_on_trial_again_keeps_no_share_of_before(settings):
    """An alias that somebody sets by hand is a shadow."""
    trial.start("clv", 3, percent=50, settings=settings)
    trial.stop("clv", settings=settings)
    Registry(settings).set_alias("clv", "challenger", 3)
    assert on_trial(settings) == (3, 0)
    trial.stop("clv", settings=settings)


def test_what_begins_to_answer_is_on_trial_no_more(settings):
    """Here by a rollback to it."""
    trial.start("clv", 1, percent=10, settings=settings)
    rollback("clv", settings=settings)
    assert on_trial(settings) is None
    assert [row[1] for row in decision_rows(settings, "clv")[-2:]] == ["rolled back", "trial ended"]
    Registry(settings).set_champion("clv", 2)


@pytest.mark.parametrize(
    ("asked", "error", "reason"),
    [
        (("clv", 2, 10), TrialError, "answers already"),
        (("clv", 3, 100), TrialError, "1 to 99"),
        (("pricing", 1, 10), TrialError, "no champion"),
        (("clv", 99, 10), TrialError, "no version 99"),
        (("weather", 1, 10), UnknownUseCaseError, "weather"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(settings, asked, error, reason):
    """Nothing is changed."""
    use_case, version, percent = asked
    with pytest.raises(error, match=reason):
        trial.start(use_case, version, percent=percent, settings=settings)
    assert on_trial(settings) is None


def test_there_may_be_nothing_to_stop(settings):
    """The message says so."""
    with pytest.raises(TrialError, match="nothing to stop"):
        trial.stop("clv", settings=settings)
