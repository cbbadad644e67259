"""The Prefect flows of the lake: thin wrappers over `ingest` and `build`, which run without Prefect as well."""

from collections.abc import Sequence
from datetime import datetime

from prefect import flow
from prefect.logging import get_run_logger

from lakehouse.build import BuildReport, build
from lakehouse.engine import engine
from lakehouse.ingest import IngestReport, ingest
from lakehouse.settings import Settings
from lakehouse.storage import Lake


@flow(name="ingest", validate_parameters=False)
def ingest_flow(source: str | None = None, settings: Settings | None = None) -> IngestReport:
    """Load a source's files into bronze; without a source the last one is offered again."""
    return ingest(Lake(settings or Settings()), source, progress=get_run_logger().info)


@flow(name="build", validate_parameters=False)
def build_flow(as_of: Sequence[datetime | str] = (), settings: Settings | None = None) -> BuildReport:
    """Build silver from bronze and gold from silver, for the usual `as_of`s and the given ones."""
    moments = [datetime.fromisoformat(str(moment)) for moment in as_of]  # a deployment's parameters are JSON
    lake = Lake(settings or Settings())
    with engine(lake.settings) as run:
        return build(lake, as_of=moments, run=run, progress=get_run_logger().info)
