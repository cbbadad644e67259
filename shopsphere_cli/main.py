"""The entry point of `shopsphere`: composes the layers' commands and turns a user's mistake into one line."""

import importlib
import sys

import typer

from lakehouse.allocators import keep_freed_memory
from lakehouse.errors import ShopSphereError

COMMANDS = (
    "shopsphere_cli.demo_cli",
    "lakehouse.cli",
    "lakehouse.sources.cli",
    "lakehouse.quarantine_cli",
    "training.cli",
    "grpc_server.models_cli",
    "grpc_server.cli",
    "grpc_server.client_cli",
    "monitoring.cli",
    "shopsphere_cli.maintain_cli",
    "shopsphere_cli.doctor_cli",
)
"""Modules with a `register(app)`; each imports its heavy libraries only when a command of it runs."""

HELP = (
    "From raw CSVs to served, logged and monitored predictions. Settings are environment variables: docs/settings.md."
)


def make_app() -> typer.Typer:
    """The command with all sub-commands."""
    app = typer.Typer(
        name="shopsphere",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in COMMANDS:
        importlib.import_module(module).register(app)
    return app


def main() -> None:
    """Run the command; exit code 1 for what the user can mend, 2 for wrong usage, 130 when interrupted."""
    keep_freed_memory()
    try:
        make_app()()
    except ShopSphereError as error:
        sys.exit(f"shopsphere: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from lakehouse.failures import is_storage_failure, storage_error

        if not is_storage_failure(error):
            raise
        sys.exit(f"shopsphere: {storage_error('the lake', error)}")
