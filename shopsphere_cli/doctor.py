"""The doctor: looks at everything the system needs and says what to do about each fault."""

import ctypes
import sys
from collections.abc import Callable

from rich.console import Console

from grpc_server.client import Client
from grpc_server.settings import ServerSettings
from lakehouse.build import data_clock
from lakehouse.dictionary import tables
from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake


def doctor(settings: ServerSettings) -> bool:
    """Print one line per check; whether all is well. A server that is not running is no fault."""
    console = Console(highlight=False)
    checks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "libgomp": _libgomp,
        "lake": lambda: _lake(settings),
        "registry": lambda: _registry(settings),
    }
    well = True
    for name, check in checks.items():
        try:
            console.print(f"ok     {name}: {check()}", markup=False, soft_wrap=True)
        except (ShopSphereError, OSError) as error:
            well = False
            console.print(f"fault  {name}: {error}", markup=False, soft_wrap=True)
    try:
        with Client(f"{settings.host}:{settings.grpc_port}") as client:
            served = ", ".join(f"{model['version']['name']} {model['version']['version']}" for model in client.models())
        console.print(f"ok     server: serves {served or 'no model yet'}", markup=False, soft_wrap=True)
    except ShopSphereError:
        console.print(
            f"       server: none on port {settings.grpc_port} (`shopsphere serve` starts it)",
            markup=False,
            soft_wrap=True,
        )
    return well


def _python() -> str:
    return sys.version.split()[0]


def _libgomp() -> str:
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libgomp.so.1")
        except OSError:
            raise OSError("libgomp.so.1 is missing; on Debian: apt-get install libgomp1") from None
    return "there"


def _lake(settings: ServerSettings) -> str:
    lake = Lake(settings)
    clock = data_clock(lake)
    there = {table: lake.exists(table) for table in tables()}
    absent = [table for table, entry in tables().items() if not there[table] and not entry.optional]
    known = sum(there.values()) + len(absent)
    lacking = f" (not there yet: {', '.join(absent)})" if absent else ""
    return f"{known - len(absent)} of {known} tables{lacking} in {lake.root}, the data ends before {clock:%Y-%m-%d}"


def _registry(settings: ServerSettings) -> str:
    from training.registry import Registry
    from training.use_cases import USE_CASES

    registry = Registry(settings)
    champions = {use_case.name: registry.champion(use_case.name) for use_case in USE_CASES}
    missing = [name for name, champion in champions.items() if champion is None]
    if missing:
        raise OSError(f"no champion of {', '.join(missing)}: run `shopsphere train all --promote`")
    return ", ".join(f"{name} {champion.version}" for name, champion in champions.items() if champion)
