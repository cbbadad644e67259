"""Where the demo keeps a shop: a folder for each source, so that no two shops share a lake or a model's champion."""

import re
from collections.abc import Iterator
from pathlib import Path

from grpc_server.settings import ServerSettings
from lakehouse.errors import ConfigurationError
from lakehouse.ingest import kept_name, offered
from lakehouse.storage import Lake


def with_place(settings: ServerSettings, source: str) -> ServerSettings:
    """The settings with the folder for a source: `var`, or `var-<source>` where `var` holds other sources.

    Raises:
        ConfigurationError: the place was given by SHOPSPHERE_VAR, LAKE_ROOT or MLFLOW_TRACKING_URI and the lake there
            holds other sources.
    """
    wanted = kept_name(source)
    places = (settings.model_copy(update={"var_dir": folder}) for folder in _folders(settings.var_dir, source))
    for place in places:
        there = offered(Lake(place))
        if not there or wanted in there:
            return place
        if given := _given(settings):
            raise ConfigurationError(
                f"the lake in {place.lake_uri} holds {', '.join(there)}: unset {' and '.join(given)}, or name another "
                f"place, for {source}; or add its rows to that shop with `shopsphere ingest`"
            )
    raise AssertionError("there is always another folder")


def _given(settings: ServerSettings) -> list[str]:
    """The settings by which a person has chosen the place."""
    told = {
        "SHOPSPHERE_VAR": "var_dir" in settings.model_fields_set,
        "LAKE_ROOT": bool(settings.lake_root),
        "MLFLOW_TRACKING_URI": bool(settings.mlflow_tracking_uri),
    }
    return [name for name, given in told.items() if given]


def _folders(first: Path, source: str) -> Iterator[Path]:
    """The folders to try; folders of CSVs that have the same name get numbers."""
    yield first
    name = re.sub(r"[^\w.-]+", "-", kept_name(source).rstrip("/").rpartition("/")[2]).strip("-.") or "shop"
    number = 1
    while True:
        yield first.with_name(f"{first.name}-{name}" if number == 1 else f"{first.name}-{name}-{number}")
        number += 1
