"""The commands `shopsphere monitor` and `shopsphere exporter`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lakehouse.metrics_table import MetricRow


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""

    @app.command()
    def monitor() -> None:
        """Compute drift, quality, coverage, novelty and guardrail violations of the logged predictions."""
        from monitoring.run import monitor as run
        from monitoring.settings import MonitoringSettings

        settings = MonitoringSettings()
        show(run(settings))
        for report in sorted(settings.reports_dir.glob("*.html")):
            typer.echo(f"Report: {report}")

    @app.command()
    def exporter(
        host: Annotated[str | None, typer.Option(help="Address to listen on; EXPORTER_HOST where absent.")] = None,
        port: Annotated[int | None, typer.Option(help="Port to listen on; EXPORTER_PORT where absent.")] = None,
    ) -> None:
        """Serve the newest metrics of the lake to Prometheus, until interrupted."""
        from monitoring.exporter import running_exporter
        from monitoring.settings import MonitoringSettings

        given: dict[str, Any] = {"exporter_host": host, "exporter_port": port}
        settings = MonitoringSettings(**{name: value for name, value in given.items() if value is not None})
        with running_exporter(settings) as address:
            typer.echo(f"Metrics on {address}")
            _wait_for_signal()


def show(rows: "list[MetricRow]") -> None:
    """Print metrics as a table: the value, or why there is none."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("metric", "value", "predictions", "version"):
        table.add_column(column, no_wrap=True)
    table.add_column("why absent")
    for row in rows:
        value = "absent" if row.value is None else f"{row.value:.4g}"
        count, version = ("" if number is None else f"{number:,}" for number in (row.count, row.model_version))
        table.add_row(row.name, value, count, version, row.reason or "")
    Console(width=None if Console().is_terminal else 160).print(table)


def _wait_for_signal() -> None:
    import signal

    from lakehouse.stop_signal import StopSignal

    StopSignal(signal.SIGTERM, signal.SIGINT).wait()
