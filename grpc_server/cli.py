"""The command `shopsphere serve`."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def serve(
        as_of: Annotated[
            datetime | None,
            typer.Option(formats=["%Y-%m-%d"], help="Serve features and models of a past date: a replay."),
        ] = None,
        host: Annotated[str | None, typer.Option(help="Address to listen on (SHOPSPHERE_HOST).")] = None,
        grpc_port: Annotated[int | None, typer.Option(help="gRPC port (GRPC_PORT).")] = None,
        rest_port: Annotated[int | None, typer.Option(help="REST port (REST_PORT).")] = None,
        workers: Annotated[int | None, typer.Option(help="Processes that answer (SHOPSPHERE_WORKERS).")] = None,
        insecure: Annotated[
            bool, typer.Option("--insecure", help="Allow to listen beyond this machine without TLS.")
        ] = False,
    ) -> None:
        """Serve the five models over gRPC and REST until Ctrl-C; promoted models go live without a restart."""
        from grpc_server.server import ServerAddress, server_name
        from grpc_server.server import serve as run
        from grpc_server.settings import ServerSettings

        given: dict[str, Any] = {
            "host": host,
            "grpc_port": grpc_port,
            "rest_port": rest_port,
            "workers": workers,
            "insecure": insecure or None,
        }
        settings = ServerSettings(**{name: value for name, value in given.items() if value is not None})

        def ready(address: ServerAddress) -> None:
            typer.echo(f"gRPC on {address.grpc}, REST on {address.rest}; Ctrl-C stops")
            for sentence in _lacking(settings.serving_dir(server_name(as_of))):
                typer.echo(sentence)

        typer.echo("starting: models and features are loaded, which takes some seconds", err=True)
        run(settings, as_of=as_of, ready=ready)


def _lacking(folder: Path) -> Iterator[str]:
    """What the server cannot answer yet, and what would change that without a restart."""
    from grpc_server.champions import read_pointer
    from training.use_cases import USE_CASES

    pointer = read_pointer(folder) or {"features": {}, "models": {}}
    if not pointer["features"]:
        yield "the lake has no features yet: `shopsphere ingest SOURCE && shopsphere build`"
    if untrained := [use_case.name for use_case in USE_CASES if use_case.name not in pointer["models"]]:
        yield f"without a champion: {', '.join(untrained)}; `shopsphere train NAME --promote` makes one"
