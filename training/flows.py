"""Prefect flows of training and scoring: thin wrappers over functions that run without Prefect as well."""

from prefect import flow
from prefect.logging import get_run_logger

from training.pipeline import TrainAllReport, train_use_cases
from training.score import ScoreReport, score, with_champion
from training.settings import TrainingSettings


@flow(name="train-clv", validate_parameters=False)
def train_clv(promote: bool = False, settings: TrainingSettings | None = None) -> TrainAllReport:
    """Train the CLV model, and with `promote` put it before the gate."""
    return _run(["clv"], promote, settings)


@flow(name="train-propensity", validate_parameters=False)
def train_propensity(promote: bool = False, settings: TrainingSettings | None = None) -> TrainAllReport:
    """Train the propensity model, and with `promote` put it before the gate."""
    return _run(["propensity"], promote, settings)


@flow(name="train-recommender", validate_parameters=False)
def train_recommender(promote: bool = False, settings: TrainingSettings | None = None) -> TrainAllReport:
    """Train the recommender, and with `promote` put it before the gate."""
    return _run(["recommender"], promote, settings)


@flow(name="train-segmentation", validate_parameters=False)
def train_segmentation(promote: bool = False, settings: TrainingSettings | None = None) -> TrainAllReport:
    """Train the segmentation, and with `promote` put it before the gate."""
    return _run(["segmentation"], promote, settings)


@flow(name="train-pricing", validate_parameters=False)
def train_pricing(promote: bool = False, settings: TrainingSettings | None = None) -> TrainAllReport:
    """Train the pricing model, and with `promote` put it before the gate."""
    return _run(["pricing"], promote, settings)


@flow(name="train-all", validate_parameters=False)
def train_all(promote: bool = False, settings: TrainingSettings | None = None) -> TrainAllReport:
    """Train every use case, and with `promote` put each before its gate; one that fails does not stop the others."""
    return _run([], promote, settings)


@flow(name="score", validate_parameters=False)
def score_all(use_cases: tuple[str, ...] = (), settings: TrainingSettings | None = None) -> list[ScoreReport]:
    """Let the champions answer about everybody; without `use_cases` those of all that have one."""
    logger, given = get_run_logger(), settings or TrainingSettings()
    reports = [score(given, name, progress=logger.info) for name in use_cases or with_champion(given)]
    for report in reports:
        logger.info(report.line())
    return reports


def _run(names: list[str], promote: bool, settings: TrainingSettings | None) -> TrainAllReport:
    """Run and log; the flow fails after the last use case where one failed."""
    report = train_use_cases(settings or TrainingSettings(), names, promote=promote, progress=get_run_logger().info)
    report.raise_failures()
    return report
