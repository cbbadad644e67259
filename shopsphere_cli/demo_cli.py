"""The command `shopsphere demo`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def demo(
        source: Annotated[
            str, typer.Argument(help="complete_journey, synthetic, or a folder (or s3:// address) with your CSVs.")
        ] = "complete_journey",
    ) -> None:
        """Run the whole system once: ingest, build, train, promote, serve, ask, replay a past date, monitor."""
        import os
        import sys

        from grpc_server.settings import ServerSettings
        from shopsphere_cli.demo import demo as run
        from shopsphere_cli.demo_place import with_place

        given = ServerSettings()
        settings = with_place(given, source)
        if settings.var_dir != given.var_dir:
            typer.echo(
                f"{given.var_dir} holds another shop, so this one goes to {settings.var_dir}; "
                f"to look at it: export SHOPSPHERE_VAR={settings.var_dir}"
            )
        run(settings, source)
        # Prefect's threads keep frames alive, about which DuckDB's binding complains at an orderly end; all is stopped.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
