"""The commands that say which version answers: promote, rollback, canary, shadow, models; and how servers took it."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grpc_server.live import Followed
    from training.promotions import PromotionReport

UseCase = Annotated[str, typer.Argument(help="The use case.")]
Stop = Annotated[bool, typer.Option("--stop", help="End the trial: the champion answers everybody.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (promote, rollback, canary, shadow, models):
        app.command()(command)


def promote(
    use_case: UseCase,
    version: Annotated[int | None, typer.Option(help="The candidate; the newest trained one where not given.")] = None,
) -> None:
    """Put a trained model before its gate; if it passes, fit it on all labels and let it answer."""
    from training.promote import promote as run
    from training.settings import TrainingSettings

    verdict = run(use_case, version, settings=TrainingSettings(), progress=_progress())
    typer.echo(verdict.line())
    if verdict.decision == "refused":
        raise typer.Exit(1)
    settle_promotion(verdict)


def settle_promotion(verdict: "PromotionReport") -> None:
    """Wait for the workers; what none of them takes is not left as the champion, as the next server would have none.

    Raises:
        typer.Exit: a worker did not take it.
    """
    followed = _followed(verdict, verdict.version)
    if followed and not followed.serving and followed.reasons and verdict.from_version is not None:
        from training.promote import rollback as run
        from training.settings import TrainingSettings

        typer.echo(run(verdict.use_case, settings=TrainingSettings()).line())
    _all_must_have_taken(followed)


def rollback(use_case: UseCase) -> None:
    """Let the champion before the present one answer again."""
    from training.promote import rollback as run
    from training.settings import TrainingSettings

    report = run(use_case, settings=TrainingSettings())
    typer.echo(report.line())
    _all_must_have_taken(_followed(report, report.version))


def canary(
    use_case: UseCase,
    version: Annotated[int | None, typer.Option(help="The version that answers a share of the customers.")] = None,
    percent: Annotated[int, typer.Option(min=1, max=99, help="How many of 100 customers.")] = 10,
    stop: Stop = False,
) -> None:
    """Let a version answer a share of the customers, always the same ones, and the champion the others."""
    _try(use_case, version, percent=percent, stop=stop)


def shadow(
    use_case: UseCase,
    version: Annotated[int | None, typer.Option(help="The version that is scored beside the champion.")] = None,
    stop: Stop = False,
) -> None:
    """Score a version beside the champion, into the same rows of the prediction log; it answers nobody."""
    _try(use_case, version, percent=0, stop=stop)


def _try(use_case: str, version: int | None, *, percent: int, stop: bool) -> None:
    from training import trial
    from training.settings import TrainingSettings

    if stop == (version is not None):
        raise typer.BadParameter("give --version, or --stop alone")
    if version is None:
        report = trial.stop(use_case, settings=TrainingSettings())
    else:
        report = trial.start(use_case, version, percent=percent, settings=TrainingSettings())
    typer.echo(report.line())
    _all_must_have_taken(_followed(report, version, alias="challenger", percent=None if stop else percent))


def _followed(
    report: "PromotionReport", version: int | None, *, alias: str = "champion", percent: int | None = None
) -> "Followed | None":
    """Wait for the workers of a server that runs here, and say how they took it; elsewhere they follow as quickly."""
    from grpc_server.live import follow
    from grpc_server.settings import ServerSettings

    serving = ServerSettings().serving_dir("live")
    followed = follow(serving, report.use_case, version, alias=alias, percent=percent)
    if followed is not None:
        typer.echo(followed.line())
    return followed


def _all_must_have_taken(followed: "Followed | None") -> None:
    if followed is not None and not followed.live:
        raise typer.Exit(1)


def models(
    use_case: Annotated[str | None, typer.Argument(help="One use case alone, with all decisions about it.")] = None,
    version: Annotated[int | None, typer.Option(help="The model card of this version of the use case.")] = None,
) -> None:
    """List the registered models, the decisions about one of them, or print a version's model card."""
    from grpc_server.live import reports, served_lines
    from grpc_server.settings import ServerSettings
    from training.model_list import DECISION_HEADER, HEADER, decision_rows, model_rows
    from training.registry import Registry
    from training.use_cases import get

    settings = ServerSettings()
    if version is not None:
        if use_case is None:
            raise typer.BadParameter("a version is one of a use case: name that first")
        registry = Registry(settings)
        card = registry.card(registry.version(get(use_case).name, version))
        typer.echo(card or f"version {version} of {use_case} has no card: train it again")
        return
    rows = model_rows(settings, use_case)
    if not rows:
        typer.echo("no model is registered yet: run `shopsphere train --promote`")
        return
    _print_table(HEADER, rows)
    for line in served_lines(reports(settings.serving_dir("live")), [use_case] if use_case else None):
        typer.echo(line)
    if use_case is not None:
        typer.echo()
        _print_table(DECISION_HEADER, decision_rows(settings, use_case))


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 160).print(table)


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
