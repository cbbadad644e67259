"""The commands of training: train, promote, rollback, models, score."""

import time
from collections.abc import Callable, Sequence
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (train, promote, rollback, models, score):
        app.command()(command)


def train(
    use_cases: Annotated[
        list[str] | None, typer.Argument(help="clv, propensity, recommender, segmentation, pricing; all where empty.")
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Put each trained model before its gate.")] = False,
    windows: Annotated[int, typer.Option(min=0, help="Earlier test windows that the backtest looks at.")] = 2,
    like: Annotated[
        str | None, typer.Option(help="Repeat a version on the data that it pins, for example models:/clv/7.")
    ] = None,
) -> None:
    """Train models on the lake as it is and register them beside their baselines; or repeat a registered version."""
    from training.pipeline import train_use_cases
    from training.repeat import train_like
    from training.settings import TrainingSettings

    if like is not None:
        if use_cases or promote:
            raise typer.BadParameter("--like names the model already, and judges nothing: give it alone")
        typer.echo("\n".join(train_like(TrainingSettings(), like, progress=_progress()).lines()))
        return
    names = [name for name in use_cases or [] if name != "all"]
    report = train_use_cases(TrainingSettings(), names, promote=promote, windows=windows, progress=_progress())
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


def models(
    use_case: Annotated[str | None, typer.Argument(help="One use case alone, with all decisions about it.")] = None,
    version: Annotated[int | None, typer.Option(help="The model card of this version of the use case.")] = None,
) -> None:
    """List the registered models, the decisions about one of them, or print a version's model card."""
    from training.model_list import DECISION_HEADER, HEADER, decision_rows, model_rows
    from training.registry import Registry
    from training.settings import TrainingSettings

    settings = TrainingSettings()
    if version is not None:
        if use_case is None:
            raise typer.BadParameter("a version is one of a use case: name that first")
        registry = Registry(settings)
        card = registry.card(registry.version(use_case, version))
        typer.echo(card or f"version {version} of {use_case} has no card: train it again")
        return
    rows = model_rows(settings, use_case)
    if not rows:
        typer.echo("no model is registered yet: run `shopsphere train --promote`")
        return
    _print_table(HEADER, rows)
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


def score(
    use_case: Annotated[str, typer.Argument(help="clv, propensity, recommender, segmentation or pricing.")],
    everybody: Annotated[
        bool, typer.Option("--all", help="Everybody in gold: scores are written for all of them or for none.")
    ] = False,
    output: Annotated[str | None, typer.Option(help="File for a campaign tool too, .csv or .parquet.")] = None,
    campaign: Annotated[str | None, typer.Option(help="What propensity is about; the live campaign if absent.")] = None,
    k: Annotated[int, typer.Option(min=1, help="How many products a recommendation has.")] = 10,
) -> None:
    """Let the champion answer about everybody, and write that to the table gold.USE_CASE_scores."""
    from training.score import score as run
    from training.settings import TrainingSettings

    if not everybody:
        raise typer.BadParameter("scores are of everybody: say --all (`shopsphere predict` asks about one)")
    report = run(TrainingSettings(), use_case, k=k, campaign_id=campaign, output=output, progress=_progress())
    typer.echo(report.line())


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
