"""The demo: the whole system once, on real input, in one process with one temporary Prefect server."""

import threading
from datetime import datetime
from importlib import import_module

from rich.console import Console
from rich.table import Table

from grpc_server.client import Client
from grpc_server.server import running_server
from grpc_server.settings import ServerSettings
from lakehouse.build import build, ingest
from lakehouse.query import sql
from lakehouse.storage import Lake
from shopsphere_cli.prefect_server import prefect_server
from shopsphere_cli.replay import choose_replay, replay
from shopsphere_cli.steps import Steps


def demo(settings: ServerSettings, source: str) -> None:
    """Ingest, build, train, promote, serve, ask, replay a past date, monitor, and say how to go on.

    Everything stays under the settings' `var_dir`; a second run ingests nothing twice.
    """
    console = Console()
    steps = Steps(console, count=7)
    lake = Lake(settings)
    with prefect_server(settings.var_dir / "prefect") as prefect:
        preload = threading.Thread(target=_preload)
        with steps.step(f"Ingest {source} into bronze"):
            ingest(lake, source, progress=steps.say)
        preload.start()
        with steps.step("Build silver and gold"):
            build(lake, progress=steps.say)
