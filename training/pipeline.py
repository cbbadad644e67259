"""Training several use cases in a row, and promoting each: one that fails does not stop the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakehouse.errors import ShopSphereError
from training.backtest import WINDOWS
from training.promote import promote as promote_version
from training.promotions import PromotionReport
from training.settings import TrainingSettings
from training.train import Progress, TrainReport, train
from training.use_cases import USE_CASES, get


class TrainingError(ShopSphereError):
    """A use case could not be trained or promoted; the others were."""


@dataclass(frozen=True, kw_only=True)
class TrainAllReport:
    """What was trained, what became of it at the gate, and what failed and why, by use case."""

    trained: Mapping[str, TrainReport]
    promotions: Mapping[str, PromotionReport]
    failures: Mapping[str, str]

    def raise_failures(self) -> None:
        """Return where nothing failed.

        Raises:
            TrainingError: something did; the message has each reason.
        """
        if self.failures:
            raise TrainingError("; ".join(f"{name}: {reason}" for name, reason in self.failures.items()))


def train_use_cases(
    settings: TrainingSettings,
    names: Sequence[str] = (),
    *,
    promote: bool = False,
    windows: int = WINDOWS,
    progress: Progress | None = None,
) -> TrainAllReport:
    """Train the named use cases, all where none is named, and with `promote` put each before its gate.

    `windows` is how far back each backtest goes, see `training.train`.

    Raises:
        UnknownUseCaseError: before anything is trained.
    """
    chosen = [get(name).name for name in names] or [use_case.name for use_case in USE_CASES]
    trained: dict[str, TrainReport] = {}
    promotions: dict[str, PromotionReport] = {}
    failures: dict[str, str] = {}
    for name in chosen:
        try:
            report = trained[name] = train(settings, name, windows=windows, progress=progress)
            if promote:
                promotions[name] = promote_version(
                    name, report.version, settings=settings, data=report.data, progress=progress
                )
        except ShopSphereError as error:
            failures[name] = str(error)
        except Exception as error:  # a fault of ours in one use case must not take the other four with it
            failures[name] = f"{type(error).__name__}: {error}"
    return TrainAllReport(trained=trained, promotions=promotions, failures=failures)
