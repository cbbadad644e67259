"""Forgets a customer everywhere: lake, spool, snapshots, raw copies; and names the models trained with their data."""

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from grpc_server.forget import forget_served, forget_spooled
from grpc_server.settings import ServerSettings
from lakehouse import erasures, forget
from lakehouse.forget import ForgetError, Trace
from lakehouse.naming import CustomerId
from lakehouse.raw_copies import forget_copy, raw_copies
from lakehouse.storage import Lake
from lakehouse.wording import counted
from training.pins import TrainedModel, model_pins, tag_erased, trained_models

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where a customer is, the models trained with them, and those whose training data goes in part or whole.

    again: the customer was forgotten before, to the end.
    """

    traces: Sequence[Trace]
    trained: Sequence[TrainedModel]
    erased: Sequence[TrainedModel]
    again: bool

    @property
    def found(self) -> bool:
        """Whether a file of the lake holds the customer."""
        return any(trace.paths for trace in self.traces)

    def lines(self) -> list[str]:
        """The plan for people: one line per table with the customer, and one for the models."""
        said = []
        for trace in self.traces:
            if trace.paths:
                old = f" and {counted(len(trace.old), 'file')} of older versions" if trace.old else ""
                rows, files = counted(trace.rows, "row"), counted(len(trace.holding), "file")
                said.append(f"{trace.table}: {rows} in {files}{old}")
        if self.trained:
            said.append(f"models that were trained with them: {_by_name(self.trained)}")
        return said


@dataclass(frozen=True, kw_only=True)
class ForgetReport:
    """What was removed: rows of the lake's newest versions, answers in spools, snapshots, and rows of raw copies."""

    tables: Sequence[str]
    rows: int
    spooled: int
    snapshots: int
    raw_rows: int
    models: Sequence[str]

    @property
    def nothing(self) -> bool:
        """Whether nothing of the customer was anywhere."""
        return not (self.tables or self.spooled or self.snapshots or self.raw_rows)


def plan(settings: ServerSettings, customer_id: CustomerId) -> Plan:
    """Look for the customer in the lake, and for models that are pinned to versions with them."""
    lake = Lake(settings)
    traces, models = forget.find(lake, customer_id), trained_models(settings)
    held = forget.held(lake, traces, model_pins(models))
    trained = [m for m in models if any(v in held.get(table, ()) for table, v in m.data_versions.items())]
    purged = {trace.table for trace in traces if trace.paths}
    erased = [model for model in models if purged & set(model.data_versions)]
    return Plan(traces=traces, trained=trained, erased=erased, again=erasures.finished(lake, customer_id))


def run(settings: ServerSettings, customer_id: CustomerId, *, progress: Progress) -> ForgetReport:
    """Remove the customer; whatever stops it, running it again ends it.

    It is recorded once: again only where something of a customer who was forgotten before was found.

    Raises:
        ForgetError: something has brought the customer back meanwhile, or an ingest may be running.
    """
    lake, by = Lake(settings), _user()
    erasure = None if erasures.finished(lake, customer_id) else erasures.begin(lake, customer_id, by=by)
    spooled = forget_spooled(settings.spool_dir, customer_id)
    found = plan(settings, customer_id)
    if found.found and erasure is None:
        erasure = erasures.begin(lake, customer_id, by=by)
    progress("remove the rows from the tables")
    forget.remove(lake, found.traces)
    if found.erased:
        tag_erased(settings, found.erased, at=datetime.now(UTC).isoformat(timespec="seconds"))
    progress("delete the old files and the log that names them")
    forget.purge(lake, found.traces)
    snapshots = forget_served(settings.var_dir.absolute() / "serving", customer_id)
    raw_rows = sum(forget_copy(lake, path, customer_id) for path in raw_copies(lake))
    left = forget.find(lake, customer_id)
    if left:
        raise ForgetError(f"{left[0].table} got rows of the customer meanwhile: run the same again")
    tables, rows = [trace.table for trace in found.traces if trace.paths], sum(trace.rows for trace in found.traces)
    models = [str(model) for model in found.trained]
    report = ForgetReport(
        tables=tables, rows=rows, spooled=spooled, snapshots=snapshots, raw_rows=raw_rows, models=models
    )
    if erasure or not report.nothing:
        erasure = erasure or erasures.begin(lake, customer_id, by=by)
        erasures.finish(lake, erasure, by=by, tables=tables, rows=rows, models=models)
    return report


def _by_name(models: Sequence[TrainedModel]) -> str:
    """Each model's name with its versions."""
    names = dict.fromkeys(model.name for model in models)
    versions = {name: ", ".join(str(model.version) for model in models if model.name == name) for name in names}
    return "; ".join(f"{name} {numbers}" for name, numbers in versions.items())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"
