"""Engine: where the tasks of a build run, in this process or on the Dask cluster that ENGINE names.

A task stages files and returns their names; the process that builds commits them. A task that ran twice left files
that belong to no version, and its result counts once.
"""

import io
import pickle
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from lakehouse.errors import ConfigurationError, EngineError, MissingTableError, StorageError
from lakehouse.parallel import Run, side_by_side
from lakehouse.settings import Settings
from lakehouse.storage import Lake


@contextmanager
def engine(settings: Settings) -> Iterator[Run]:
    """What `build` and `label_features` take as `run`; a cluster is connected to when the first task comes.

    Raises:
        ConfigurationError: ENGINE names a cluster, and the packages for it are not installed.
    """
    if not settings.engine:
        yield side_by_side
        return
    try:
        from lakehouse.dask_flows import dask_run
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"ENGINE={settings.engine} needs the module {error.name}: install it with `pip install 'shopsphere[dask]'`"
        ) from error
    with dask_run(settings.engine) as run:
        yield run


def packed(function: Callable[[Any], Any], item: Any) -> bytes:
    """A task for another machine, without any credentials: a worker has those of its own environment."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump((function, item))
    return buffer.getvalue()


def work(task: bytes) -> Any:
    """Do a packed task, on a worker.

    Raises:
        EngineError: the worker cannot read or write the lake.
    """
    function, item = pickle.loads(task)  # noqa: S301 (bytes of `packed`; who can send others can run code anyway)
    try:
        return function(item)
    except (MissingTableError, StorageError, OSError) as error:
        raise EngineError(
            f"the worker on {platform.node()} cannot read or write the lake: {error}; all workers must reach it by the "
            "same address, a shared folder or s3://, with credentials of its own"
        ) from error


class _Pickler(pickle.Pickler):
    """Takes a lake along as its address."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Lake):
            return NotImplemented
        fields = {name: getattr(value.settings, name) for name in Settings.model_fields}
        public = {name: field for name, field in fields.items() if not isinstance(field, SecretStr)}
        return _lake, (public | {"lake_root": value.root, "engine": ""},)


def _lake(fields: dict[str, Any]) -> Lake:
    return Lake(Settings(**{name: field for name, field in fields.items() if field is not None}))
