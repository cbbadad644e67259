"""A lake under test of its contract."""

from lakehouse.build import build
from lakehouse.ingest import ingest


def loaded(lake, folder, **options):
    """The lake after the folder was ingested and built."""
    ingest(lake, str(folder), **options)
    build(lake)
    return lake


def table(lake, name):
    """A table's rows as dicts."""
    return lake.scan(name).collect().to_dicts()
