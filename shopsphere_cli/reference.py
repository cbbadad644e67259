"""Writes docs/settings.md and docs/commands.md from the code; `--check` says whether they are stale."""

import sys
from pathlib import Path
from typing import Any

import typer

from grpc_server.settings import ServerSettings
from lakehouse.settings import Settings
from monitoring.settings import MonitoringSettings
from shopsphere_cli.main import make_app
from training.settings import TrainingSettings

DOCS = Path(__file__).parent.parent / "docs"
GROUPS = (
    ("The lake", Settings),
    ("Training", TrainingSettings),
    ("The server", ServerSettings),
    ("Monitoring", MonitoringSettings),
)


def settings_page() -> str:
    """All environment variables, by the layer that brings them."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or a line of a `.env` file in the folder you start from,",
        "or a file of its name in the folder `SHOPSPHERE_SECRETS_DIR` (`/run/secrets` where that exists); "
        "the first of these three wins.",
        "None is needed: the defaults keep everything in `var/`.",
        "",
        "S3 keys that none of them names come from AWS's own files (`~/.aws`, or where `AWS_SHARED_CREDENTIALS_FILE`",
        "and `AWS_CONFIG_FILE` point), else from the role of the machine. No command prints a secret.",
        "",
    ]
    seen: set[str] = set()
    for title, settings in GROUPS:
        own = {name: field for name, field in settings.model_fields.items() if name not in seen}
        seen |= own.keys()
        if not own:
            continue
        lines += [f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        for name, field in own.items():
            alias = field.validation_alias
            variable = " or ".join(f"`{choice}`" for choice in getattr(alias, "choices", [alias or name.upper()]))
            default = "" if field.default in (None, "") else f"`{field.default}`"
            lines.append(f"| {variable} | {default} | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def commands_page() -> str:
    """The help of every sub-command, as it is printed."""
    group: Any = typer.main.get_command(make_app())  # typer brings its own copy of click
    lines = ["# Commands", "", "`shopsphere COMMAND --help` prints the same.", ""]
    for name in sorted(group.commands):
        command = group.commands[name]
        usage = " ".join(command.collect_usage_pieces(command.make_context(name, [], resilient_parsing=True)))
        lines += [f"## shopsphere {name}", "", f"`shopsphere {name} {usage}`", "", (command.help or "").strip(), ""]
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        shown = [option for option in options if option.name != "help"]
        if shown:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| `{', '.join(option.opts)}` | {option.help or ''} |" for option in shown]
            lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Write the pages, or with --check exit 1 when they differ."""
    pages = {DOCS / "settings.md": settings_page(), DOCS / "commands.md": commands_page()}
    if sys.argv[1:] == ["--check"]:
        stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
        if stale:
            sys.exit(f"docs are stale ({', '.join(stale)}): run `make docs`")
        return
    DOCS.mkdir(exist_ok=True)
    for path, text in pages.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
