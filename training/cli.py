"""The commands of training: train, promote, rollback, models."""

import time
from collections.abc import Callable
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (train, promote, rollback, models):
        app.command()(command)


def train(
    use_cases: Annotated[
        list[str] | None, typer.Argument(help="clv, propensity, recommender, segmentation, pricing; all where empty.")
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Put each trained model before its gate.")] = False,
) -> None:
    """Train models on the lake as it is and register them beside their baselines."""
    from training.pipeline import train_use_cases
    from training.settings import TrainingSettings

    names = [name for name in use_cases or [] if name != "all"]
    report = train_use_cases(TrainingSettings(), names, promote=promote, progress=_progress())
    for trained in report.trained.values():
        typer.echo("\n".join(trained.lines()))
    for verdict in report.promotions.values():
        typer.echo(verdict.line())
    report.raise_failures()


def promote(
    use_case: Annotated[str, typer.Argument(help="The use case.")],
    version: Annotated[int | None, typer.Option(help="The candidate; the newest trained one where not given.")] = None,
) -> None:
    """Put a trained model before its gate; if it passes, fit it on all labels and let it answer."""
    from training.promote import promote as run
    from training.settings import TrainingSettings

    verdict = run(use_case, version, settings=TrainingSettings(), progress=_progress())
    typer.echo(verdict.line())
    if verdict.decision == "refused":
        raise typer.Exit(1)


def rollback(use_case: Annotated[str, typer.Argument(help="The use case.")]) -> None:
    """Let the champion before the present one answer again."""
    from training.promote import rollback as run
    from training.settings import TrainingSettings

    typer.echo(run(use_case, settings=TrainingSettings()).line())


def models() -> None:
    """List the registered models: which one answers, and its main metric beside its baseline's."""
    from rich.console import Console
    from rich.table import Table

    from training.model_list import HEADER, model_rows
    from training.settings import TrainingSettings

    rows = model_rows(TrainingSettings())
    if not rows:
        typer.echo("no model is registered yet: run `shopsphere train --promote`")
        return
    table = Table(*HEADER)
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 160).print(table)


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
