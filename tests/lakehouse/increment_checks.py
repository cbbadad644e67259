"""Lakes built in several steps, and all of their tables in a form in which two lakes can be compared."""

from polars.testing import assert_frame_equal

from bench.drill.tables import ROW_KEYS
from lakehouse.build import build
from lakehouse.contracts import REQUIRED
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.storage import Lake

KEYS = ROW_KEYS | {"silver.quarantine": ["table", "source_file", "source_line", "loaded_at"]}
RUN_BOOKKEEPING = ["bucket", "batch", "loaded_at", "source_file", "source_line", "valid_from"]


def lake_at(folder, rows_per_bucket=4_000):
    """A lake whose small tables are divided into several buckets."""
    return Lake(Settings(var_dir=folder, lake_root="", rows_per_bucket=rows_per_bucket))


def contents(lake, *, drop=("bucket", "batch")):
    """Every table, sorted by key, without what only says how it was stored."""
    found = {}
    for table, key in KEYS.items():
        if lake.exists(table):
            frame = lake.scan(table).collect()
            kept = [name for name in key if name not in drop]
            found[table] = frame.drop(*drop, strict=False).sort(*(kept or frame.columns))
    return found


def assert_same(left, right):
    """Exact, but for floats: 1e-9 relative."""
    assert left.keys() == right.keys()
    for table, frame in left.items():
        assert_frame_equal(frame, right[table], rel_tol=1e-9, abs_tol=0)


def rebuilt(lake, folder):
    """The same bronze, built from nothing."""
    fresh = lake_at(folder)
    for layer in ("bronze",):
        (folder / "lake").mkdir(parents=True)
        (folder / "lake" / layer).symlink_to(lake.settings.var_dir / "lake" / layer)
    build(fresh)
    return fresh


def split_into(csvs, folder, parts, order, table):
    """The rows of a table's file dealt out to folders at random; the other tables go with the first."""
    lines = (csvs / f"{table}.csv").read_text().splitlines()
    header, rows = lines[0], lines[1:]
    folders = []
    for part in range(parts):
        target = folder / f"part{part}"
        target.mkdir()
        mine = [row for number, row in enumerate(rows) if order[number % len(order)] % parts == part]
        (target / f"{table}.csv").write_text("\n".join([header, *mine]) + "\n")
        for other in REQUIRED:
            if other != table and part == 0:
                (target / f"{other}.csv").write_bytes((csvs / f"{other}.csv").read_bytes())
        folders.append(target)
    return folders


def ingested_and_built(lake, folders):
    """The lake after one folder after the other."""
    for folder in folders:
        ingest(lake, str(folder))
        build(lake)
    return lake
