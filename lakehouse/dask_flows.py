"""The door to Prefect's Dask task runner: a build's tasks on a running cluster, as Prefect tasks within a flow run."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from distributed import CancelledError, KilledWorker
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect_dask.task_runners import DaskTaskRunner

from lakehouse.engine import packed, work
from lakehouse.errors import EngineError
from lakehouse.parallel import Run

CONNECT_SECONDS = 5
WORKER_SECONDS = 60
PER_THREAD = 2
"""Tasks sent ahead for each thread of the cluster: one at work, one waiting."""
PACKAGES = ("shopsphere", "polars", "deltalake")
"""What workers must have in the same version for equal tables."""


@task(cache_policy=NO_CACHE, persist_result=False)
def stage(packed_task: bytes) -> Any:
    """Do a packed task."""
    return work(packed_task)


@contextmanager
def dask_run(address: str) -> Iterator[Run]:
    """A `run` over the workers of the cluster at `dask://host:port`.

    In a flow run each item is a Prefect task run; elsewhere it is a plain Dask task, which needs no Prefect server.
    """
    scheduler = address.replace("dask://", "tcp://", 1)
    with DaskTaskRunner(address=scheduler, client_kwargs={"timeout": CONNECT_SECONDS}) as runner:
        yield _Cluster(runner, scheduler).map


class _Cluster:
    """A running cluster, connected to when it is first needed."""

    def __init__(self, runner: DaskTaskRunner, address: str) -> None:
        self._runner, self._address = runner, address

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of items, with few tasks in flight; those that are when it ends early are cancelled."""
        flight: deque[Any] = deque()
        room = 0
        try:
            for item in items:
                room = room or PER_THREAD * self._threads()
                flight.append(self._submit(function, item))
                if len(flight) == room:
                    yield self._result(flight.popleft())
            while flight:
                yield self._result(flight.popleft())
        finally:
            for future in flight:
                getattr(future, "wrapped_future", future).cancel()

    def _submit(self, function: Callable[[Any], Any], item: Any) -> Any:
        """A future; the bytes of a task show nothing in the logs of Dask and Prefect."""
        name = getattr(function, "func", function).__name__
        context = FlowRunContext.get()
        if context is None:
            client: Any = self._runner.client
            return client.submit(work, packed(function, item), key=f"{name}-{uuid4()}")
        with context.model_copy(update={"parameters": {}}):  # a flow's settings, with its secrets, stay here
            return self._runner.submit(stage.with_options(name=name), {"packed_task": packed(function, item)})

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except KilledWorker as error:
            raise EngineError(
                f"a task ended each worker that took it, the last one {error.last_worker.address}: give workers more "
                "memory, or lower LAKE_ROWS_PER_BUCKET"
            ) from error
        except ModuleNotFoundError as error:
            raise EngineError(
                f"a machine of the cluster at {self._address} has no module {error.name}: "
                "install shopsphere on scheduler and workers as it is here"
            ) from error
        except (CancelledError, OSError) as error:
            raise EngineError(f"lost the Dask scheduler at {self._address}: build again when it is back") from error

    def _threads(self) -> int:
        """How many tasks the cluster does at once.

        Raises:
            EngineError: there is no scheduler, no worker, or one that would not give the same tables.
        """
        try:
            client: Any = self._runner.client
        except OSError as error:
            raise EngineError(
                f"no Dask scheduler answers at {self._address}: start one with `dask scheduler`, or mend ENGINE"
            ) from error
        try:
            client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError as error:
            raise EngineError(
                f"the Dask scheduler at {self._address} has no workers: start some with "
                f"`dask worker {self._address} --nthreads 1`"
            ) from error
        _check(client.get_versions(packages=PACKAGES))
        return sum(client.nthreads().values())


def _check(versions: dict[str, Any]) -> None:
    """Raise EngineError where a worker has other packages than this process."""
    here = {name: versions["client"]["packages"][name] for name in PACKAGES}
    for worker, told in versions["workers"].items():
        there = {name: told["packages"].get(name) for name in PACKAGES}
        wrong = [
            f"{name} is {there[name] or 'missing'}, not {here[name]}" for name in PACKAGES if there[name] != here[name]
        ]
        if wrong:
            raise EngineError(f"on the Dask worker {worker} {', '.join(wrong)}: install there what is installed here")
