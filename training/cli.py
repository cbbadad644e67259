"""The commands of training: train, score."""

import time
from collections.abc import Callable
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (train, score):
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


def score(
    use_case: Annotated[str, typer.Argument(help="clv, propensity, recommender, segmentation or pricing.")],
    everybody: Annotated[
        bool, typer.Option("--all", help="Everybody in gold: scores are written for all of them or for none.")
    ] = False,
    output: Annotated[str | None, typer.Option(help="File for a campaign tool too, .csv or .parquet.")] = None,
    campaign: Annotated[str | None, typer.Option(help="What propensity is about; the live campaign if absent.")] = None,
    k: Annotated[int | None, typer.Option(min=1, help="How many products a recommendation has; 10 if absent.")] = None,
) -> None:
    """Let the champion answer about everybody, and write that to the table gold.USE_CASE_scores."""
    from training.recommend_request import DEFAULT_K
    from training.score import score as run
    from training.settings import TrainingSettings

    if not everybody:
        raise typer.BadParameter("scores are of everybody: say --all (`shopsphere predict` asks about one)")
    for option, value, taker in (("--campaign", campaign, "propensity"), ("--k", k, "recommender")):
        if value is not None and use_case != taker:
            raise typer.BadParameter(f"{use_case} does not take it", param_hint=option)
    report = run(
        TrainingSettings(), use_case, k=k or DEFAULT_K, campaign_id=campaign, output=output, progress=_progress()
    )
    typer.echo(report.line())


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
