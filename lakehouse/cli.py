"""The commands of the lake: ingest, build, sql, catalog."""

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakehouse.storage import Lake


MOMENTS = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"]


class Format(StrEnum):
    """How an answer of `sql` is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class Dialect(StrEnum):
    """How a source's CSVs write dates and nothing."""

    STANDARD = "standard"
    EXCEL = "excel"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (ingest, build, sql, catalog):
        app.command()(command)


def ingest(
    source: Annotated[
        str | None,
        typer.Argument(
            help="complete_journey, synthetic, or a folder (or s3:// address) with your CSVs; "
            "the last one where not given."
        ),
    ] = None,
    dialect: Annotated[
        Dialect, typer.Option(help="excel: dates are DD-MM-YYYY HH:MM, and the text Null stands for nothing.")
    ] = Dialect.STANDARD,
) -> None:
    """Load a source's raw files into bronze; content that is there already is left out."""
    from lakehouse.ingest import ingest as run
    from lakehouse.wording import counted

    report = run(_lake(), source, dialect=dialect.value, progress=_progress())
    typer.echo(f"{counted(sum(report.rows.values()), 'new row')} from {report.source}")


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
        str | None, typer.Argument(help="A query over bronze.*, silver.*, gold.*, predictions, metrics, promotions.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="File with the query; - is the input.")] = None,
    example: Annotated[str | None, typer.Option(help="A query that comes with the shop.")] = None,
    list_examples: Annotated[bool, typer.Option("--examples", help="List those queries.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option(help="Value of a $name in the query, as name=EXPRESSION; may be given again.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show DuckDB's plan instead of the answer.")] = False,
    at_version: Annotated[
        list[str] | None,
        typer.Option(help="Read a table at a version, as gold.customer_features=12; may be given again."),
    ] = None,
    at_time: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Read all tables as they were at that moment, in UTC.")
    ] = None,
    output_format: Annotated[
        Format | None,
        typer.Option("--format", help="How to write the answer; by the suffix of --output, else a table."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write to instead of the terminal.")] = None,
) -> None:
    """Query the lake with DuckDB; without a query, a prompt, or what comes through a pipe."""
    from lakehouse.query_examples import listed
    from lakehouse.query_output import COUNTED_ROWS, format_of, show, write
    from lakehouse.query_script import plans, read, run_script
    from lakehouse.query_session import Session
    from lakehouse.query_versions import parse_versions

    written = format_of(output_format and output_format.value, output)
    if list_examples:
        show(listed(), written, output)
        return
    lake = _lake()
    with Session(lake, versions=parse_versions(at_version or ()), at=at_time) as session:
        if not (query or file or example) and sys.stdin.isatty():
            from lakehouse.query_prompt import prompt

            prompt(session, lake)
            return
        text = read(query, file=file, example_name=example)
        if explain:
            write("\n".join(plans(session, text, parameter or ())).encode(), output)
            return
        limit = COUNTED_ROWS + 1 if written == "table" else None
        answers = list(run_script(session, text, parameter or (), limit=limit))
        for answer in answers if output is None else answers[-1:]:
            show(answer, written, output)


def catalog(
    delta: Annotated[
        bool,
        typer.Option(
            "--delta",
            help="Views over delta_scan, which follow the lake and need DuckDB's extension from the internet.",
        ),
    ] = False,
    output: Annotated[Path | None, typer.Option(help="File to write to instead of the terminal.")] = None,
) -> None:
    """Write SQL that makes the tables views in any DuckDB; write it again after forget and maintain."""
    from lakehouse.catalog import catalog as run
    from lakehouse.query_output import write

    write(run(_lake(), delta=delta, file=str(output or "lake.sql")).encode(), output)


def _lake() -> "Lake":
    from lakehouse.settings import Settings
    from lakehouse.storage import Lake

    return Lake(Settings())


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
