"""The command `shopsphere generate`: a shop with known truth, written into a folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

LINES = 20
"""How often a run speaks, at most."""


class ShopMode(StrEnum):
    """What there is to learn in the shop."""

    RICH = "rich"
    KAGGLE = "kaggle"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(generate)


def generate(
    folder: Annotated[Path, typer.Argument(help="Where `raw/` (the five CSVs) and `truth/` (Parquet) are written.")],
    mode: Annotated[ShopMode, typer.Option(help="With signal, or the contract's data shape without.")] = ShopMode.RICH,
    customers: Annotated[int | None, typer.Option(help="How many; 4,000 where not given, for kaggle 100,000.")] = None,
    products: Annotated[int | None, typer.Option(help="How many; 300 where not given, for kaggle 2,000.")] = None,
    density: Annotated[
        float | None, typer.Option(help="Sessions expected of a customer; 8 where not given, for kaggle 6.335.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="How many; 500 where not given, for kaggle 1,095.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Discounts of 10 to 40 %, not 5 to 20 %.")] = False,
    dirty: Annotated[bool, typer.Option("--dirty", help="Spoil rows in a dozen ways, listed in truth/dirt.")] = False,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 0,
) -> None:
    """Write a generated shop block by block: raw CSVs to ingest, and apart from them the truth behind them."""
    from lakehouse.errors import ConfigurationError, StorageError
    from lakehouse.sources import synthetic

    if mode is ShopMode.KAGGLE and (dirty or deep):
        raise ConfigurationError("kaggle has the contract's own dirt and discounts: leave --dirty and --deep to rich")
    size = {"customers": customers, "products": products, "density": density, "days": days}
    knobs = synthetic.knobs_of(mode.value, dirty=dirty, deep=deep, seed=seed, **size)
    try:
        synthetic.check_ours(folder / "raw", folder / "truth")
        rows = synthetic.generate(folder / "raw", folder / "truth", knobs, progress=_progress)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
    written = ", ".join(f"{count:,} {table}" for table, count in sorted(rows.items()))
    typer.echo(f"{written} in {folder / 'raw'}; load them with `shopsphere ingest {folder / 'raw'}`")


def _progress(done: int, blocks: int, events: int) -> None:
    if done == blocks or done % max(blocks // LINES, 1) == 0:
        typer.echo(f"block {done:,} of {blocks:,}: {events:,} events", err=True)
