"""The command `shopsphere doctor`."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def doctor() -> None:
        """Check the environment, the lake, the registry and a running server, and say what to do about each fault."""
        from grpc_server.settings import ServerSettings
        from shopsphere_cli.doctor import doctor as run

        if not run(ServerSettings()):
            raise typer.Exit(1)
