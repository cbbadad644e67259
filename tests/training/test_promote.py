"""After training: what the gate accepts answers, what it refuses does not, and each verdict is a row."""

import pytest

from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake
from training.pipeline import train_use_cases
from training.promote import PromotionError, promote, rollback
from training.registry import Registry
from training.train import train


def verdicts(settings):
    """The rows of `promotions`, oldest first."""
    rows = Lake(settings).scan("promotions").sort("decided_at").collect()
    return rows.select("decision", "candidate", "version", "from_version").rows()


def test_a_model_goes_from_training_to_champion_and_back(shop_lake, settings):
    """Baseline first, the candidate replaces it fitted again, is not promoted twice, and can be rolled back."""
    trained = train(settings, "clv")
    registry = Registry(settings)
    assert (trained.baseline_version, trained.version, trained.first) == (1, 2, True)
    assert registry.champion("clv").version == 1

    promoted = promote("clv", settings=settings, decided_by="a test")
    champion = registry.champion("clv")
    assert (
        promoted.decision,
        promoted.candidate,
        promoted.version,
        promoted.from_version,
    ) == ("promoted", 2, 3, 1)
    assert (champion.tags["fit"], champion.tags["refit_of"]) == ("refit", "2")
    assert champion.metrics["holdout_rmse"] == trained.metrics["rmse"]
    assert champion.tags["labels_end"] > registry.version("clv", 2).tags["labels_end"]

    again = promote("clv", settings=settings)
    assert again.decision == "refused"
    assert "answers already" in again.reasons[0]

    twin = train(settings, "clv")
    refused = promote("clv", settings=settings)
    assert (refused.decision, twin.version, registry.champion("clv").version) == ("refused", 4, 3)
    assert "by more than noise" in refused.reasons[0]

    assert rollback("clv", settings=settings).version == 1
    assert registry.champion("clv").version == 1
    with pytest.raises(PromotionError, match="first champion"):
        rollback("clv", settings=settings)
    with pytest.raises(PromotionError, match="no version 99"):
        promote("clv", 99, settings=settings)
    assert verdicts(settings) == [
        ("promoted", 1, 1, None),
        ("promoted", 2, 3, 1),
        ("refused", 2, 2, 3),
        ("refused", 4, 4, 3),
        ("rolled_back", 1, 1, 3),
    ]


def test_what_was_rolled_back_returns_only_by_its_number(shop_lake, settings):
    """Whoever took it back knew more than the gate."""
    train(settings, "clv")
    promote("clv", settings=settings)
    rollback("clv", settings=settings)

    again = promote("clv", settings=settings)
    assert (again.decision, again.candidate, Registry(settings).champion("clv").version) == ("refused", 2, 1)
    assert "version 3 and was rolled back" in again.reasons[0] and "--version 2" in again.reasons[0]

    assert promote("clv", 2, settings=settings).decision == "promoted"


def test_a_use_case_that_fails_is_reported_after_the_others(settings):
    """Without a lake nothing trains: the failure says what to do, and raises only when asked."""
    report = train_use_cases(settings, ["clv"], promote=True)

    assert "shopsphere build" in report.failures["clv"]
    with pytest.raises(ShopSphereError, match="clv: table"):
        report.raise_failures()
