"""The commands `history`, `maintain` and `forget`: the lake through time, with what the models need of it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakehouse.pins import Pins
    from lakehouse.storage import Lake


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (history, maintain, forget):
        app.command()(command)


def history(
    table: Annotated[str, typer.Argument(help="A table as in SQL, such as gold.customer_features.")],
    limit: Annotated[int, typer.Option(min=1, help="Versions to show, the newest first.")] = 20,
) -> None:
    """Show the versions of a table: when, by which operation, what came and went, and what pins each."""
    from rich.console import Console
    from rich.table import Table

    from lakehouse.history import history as run
    from lakehouse.table_files import check_table

    lake = _lake()
    check_table(lake, table)
    shown = Table("version", "time (UTC)", "operation", "rows +", "rows -", "files +", "files -", "pinned by")
    for entry in run(lake, table, limit=limit, pins=_pins(lake, quick=True)):
        gone = "?" if entry.rows_removed is None else f"{entry.rows_removed:,}"
        files = (f"{entry.files_added:,}", f"{entry.files_removed:,}")
        row = (str(entry.version), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.operation, f"{entry.rows_added:,}", gone)
        shown.add_row(*row, *files, ", ".join(entry.pinned_by))
    Console(width=None if Console().is_terminal else 160).print(shown)


def maintain(
    tables: Annotated[list[str] | None, typer.Argument(help="The tables; all where not given.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Compact small files and delete old ones that neither a model, a prediction nor the retention needs."""
    from lakehouse.maintenance import maintain as run
    from lakehouse.wording import counted

    lake = _lake()
    reports = run(lake, tables or (), pins=_pins(lake), dry_run=dry_run, progress=typer.echo)
    freed = sum(report.bytes_freed for report in reports)
    typer.echo(f"{'would free' if dry_run else 'freed'} {freed:,} bytes in {counted(len(reports), 'table')}")


def forget(
    customer_id: Annotated[
        str, typer.Argument(help="The customer's id, also one that only the server was ever asked about.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before files are deleted.")] = False,
) -> None:
    """Remove a customer from every table, spool, snapshot and raw copy, and delete the files that held them."""
    from grpc_server.settings import ServerSettings
    from lakehouse import naming
    from lakehouse.wording import counted
    from shopsphere_cli import forget as steps

    settings, who = ServerSettings(), naming.customer_id(customer_id)
    if who == "":
        raise typer.BadParameter("is empty", param_hint="customer_id")
    found = steps.plan(settings, who)
    for line in found.lines():
        typer.echo(line)
    if not found.found:
        known = "was forgotten already" if found.again else "is in no table"
        typer.echo(f"customer {customer_id} {known}; an id so forgotten is left out of all later loads")
    if not yes and (found.found or not found.again):
        if found.found:
            typer.echo("Older versions of these tables cannot be read afterwards, whoever pins them.")
        typer.confirm("Remove the customer for good?" if found.found else "Forget this id for good?", abort=True)
    report = steps.run(settings, who, progress=_progress())
    if report.nothing:
        typer.echo("nothing of the customer was found")
        return
    typer.echo(
        f"removed {counted(report.rows, 'row')} from {counted(len(report.tables), 'table')}, "
        f"{counted(report.spooled, 'answer')} from the spool, {counted(report.snapshots, 'snapshot')} cleaned, "
        f"{counted(report.raw_rows, 'row')} from generated raw files"
    )
    typer.echo("next: `shopsphere build` takes the customer out of what is summed over customers")
    if report.models:
        typer.echo("then train again what was trained with the customer")
    typer.echo("your own raw files are yours to clean; ingest leaves the customer out of them from now on")


def _lake() -> "Lake":
    from lakehouse.settings import Settings
    from lakehouse.storage import Lake

    return Lake(Settings())


def _pins(lake: "Lake", *, quick: bool = False) -> "Pins":
    from lakehouse.pins import merged, prediction_pins
    from training.pins import model_pins, trained_models
    from training.settings import TrainingSettings

    return merged(model_pins(trained_models(TrainingSettings(), quick=quick)), prediction_pins(lake))


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda sentence: typer.echo(f"{time.monotonic() - started:6.1f} s  {sentence}", err=True)
