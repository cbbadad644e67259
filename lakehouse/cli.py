"""The commands of the lake: ingest, build, sql."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakehouse.storage import Lake


class Format(StrEnum):
    """How an answer of `sql` is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (ingest, build, sql):
        app.command()(command)


def ingest(
    source: Annotated[
        str | None,
        typer.Argument(
            help="complete_journey, synthetic, or a folder (or s3:// address) with your five CSVs; "
            "the last one where not given."
        ),
    ] = None,
) -> None:
    """Load a source's five raw files into bronze; content that is there already is left out."""
    from lakehouse.ingest import ingest as run

    report = run(_lake(), source, progress=_progress())
    typer.echo(f"{sum(report.rows.values()):,} new rows from {report.source}")


def build(
    as_of: Annotated[
        list[datetime] | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%d %H:%M:%S"], help="Features as of this moment too; may be given again."
        ),
    ] = None,
) -> None:
    """Build silver from bronze and gold from silver; what did not change is left alone.

    Where ENGINE names a Dask cluster its workers do it, as a flow run where PREFECT_API_URL names a server.
    """
    from lakehouse.build import build as run
    from lakehouse.engine import engine

    lake = _lake()
    if lake.settings.engine and os.environ.get("PREFECT_API_URL"):
        from lakehouse.flows import build_flow

        report = build_flow(as_of or ())
    else:
        with engine(lake.settings) as tasks:
            report = run(lake, as_of=as_of or (), run=tasks, progress=_progress())
    changed = ", ".join(report.gold) or "nothing"
    typer.echo(f"built {changed}; the data's clock is {report.clock}")


def sql(
    query: Annotated[
        str | None, typer.Argument(help="A query over bronze.*, silver.*, gold.*, predictions, metrics.")
    ] = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to write the answer.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option(help="File to write to instead of the terminal.")] = None,
) -> None:
    """Query the lake with DuckDB; without a query, a prompt."""
    from lakehouse.query import sql as run
    from lakehouse.query_output import prompt, show

    lake = _lake()
    if query is None:
        prompt(lake)
        return
    show(run(lake, query), output_format.value, output)


def _lake() -> "Lake":
    from lakehouse.settings import Settings
    from lakehouse.storage import Lake

    return Lake(Settings())


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
