"""The log's way: what was written survives and is committed exactly once; what cannot be written is counted."""

import subprocess
import sys
import uuid

import orjson
import pytest

from grpc_server import prediction_log, spool
from grpc_server.prediction_log import FILE_BYTES, PredictionLog
from grpc_server.settings import ServerSettings
from grpc_server.shipping import ship
from grpc_server.spool import Usage, read_records, usage
from lakehouse.errors import ConfigurationError
from lakehouse.predictions import append_records
from lakehouse.settings import Settings
from lakehouse.storage import Lake


def record(number):
    """A record of one answer."""
    return {
        "ids": [f"p-{number}"],
        "entity_ids": ["1"],
        "use_case": "clv",
        "model_name": "clv",
        "model_version": 1,
        "alias": "champion",
        "feature_table": "gold.customer_features",
        "feature_version": 0,
        "as_of": "2024-01-01T00:00:00",
        "predicted_at": "2024-01-02T00:00:00",
        "columns": {"clv_180d": [float(number)]},
        "request_features": [[]],
        "default_features": [["age"]],
        "warnings": [[]],
    }


def line(number):
    """The same as the log takes it."""
    return orjson.dumps(record(number))


def shipped(folder):
    """The ids of all records that can be shipped, which is done."""
    seen = []
    ship(folder, lambda records, *_: seen.extend(record["ids"][0] for record in records))
    return seen


@pytest.fixture
def impatient(monkeypatch):
    """Files are old at once, and a refusal is asked again at once."""
    monkeypatch.setattr(prediction_log, "CLOSE_SECONDS", 0.0)
    monkeypatch.setattr(prediction_log, "RETRY_SECONDS", 0.0)


def test_closed_files_are_committed_once_and_deleted(tmp_path):
    """A commit that is repeated, as after a crash between commit and deletion, adds no row."""
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    log = PredictionLog(tmp_path / "spool")
    assert log.append(line(1))
    assert log.append(line(2))
    log.close()

    def commit(records, app_id, sequence):
        append_records(lake, records, app_id=app_id, sequence=sequence)
        append_records(lake, records, app_id=app_id, sequence=sequence)

    assert ship(tmp_path / "spool", commit) == 2
    assert sorted(lake.scan("predictions").collect()["prediction_id"]) == ["p-1", "p-2"]
    assert ship(tmp_path / "spool", commit) == 0
    assert not [path for path in (tmp_path / "spool").iterdir() if path.is_dir()]


def test_records_of_many_shapes_are_one_commit(tmp_path):
    """Use cases with columns of their own, batches, values and columns that some records lack."""
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    batch = record(1) | {"ids": ["b-0", "b-1"], "entity_ids": ["1", "2"], "columns": {"age": [40, None]}}
    batch |= {name: [[], ["age"]] for name in ("request_features", "default_features", "warnings")}
    items = {"item_ids": [["5", "6"]], "item_scores": [[1, 0.5]], "k": [3], "nothing": [None], "empty": [[]]}
    other = record(2) | {"use_case": "recommender", "columns": items, "feature_table": None, "as_of": None}
    assert append_records(lake, [record(0), batch, other, record(3)], app_id="a", sequence=1) == 5
    rows = lake.scan("predictions").collect().sort("prediction_id")
    assert rows["prediction_id"].to_list() == ["b-0", "b-1", "p-0", "p-2", "p-3"]
    assert rows["age"].to_list() == [40.0, None, None, None, None]
    assert rows["clv_180d"].to_list() == [None, None, 0.0, None, 3.0]
    assert rows["item_scores"].to_list() == [None, None, None, [1.0, 0.5], None]
    assert rows["warnings"].to_list() == [[], ["age"], [], [], []]
    assert not {"nothing", "empty"} & set(rows.columns)


def test_a_live_writers_file_is_left_alone(tmp_path):
    """Until it is closed; then nothing is left of the size that it had reserved."""
    log = PredictionLog(tmp_path)
    log.append(line(1))
    assert shipped(tmp_path) == []
    assert usage(tmp_path).bytes == FILE_BYTES
    log.close()
    assert usage(tmp_path) == Usage(len(line(1)) + 1, len(line(1)) + 1, 1)
    assert shipped(tmp_path) == ["p-1"]


def test_what_a_killed_writer_left_is_shipped(tmp_path):
    """A whole line counts, one that was cut does not, and neither do the zeros behind it."""
    script = (
        "import os, sys; from pathlib import Path; from grpc_server.prediction_log import PredictionLog\n"
        'log = PredictionLog(Path(sys.argv[1])); log.append(b\'{"ids": ["a"]}\')\n'
        'cut = b\'{"ids": ["b\'; log._file._map[log._file.used:][:1]\n'
        "start = log._file.used; log._file._map[start:start + len(cut)] = cut; os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert shipped(tmp_path) == ["a"]


def test_a_record_that_the_machines_death_damaged_costs_no_other(tmp_path):
    """Pages that never reached the disk are zeros within a line: it is left out, its neighbours are not."""
    log = PredictionLog(tmp_path)
    for number in range(3):
        log.append(line(number))
    log._file._map[len(line(0)) + 10 : len(line(0)) + 20] = bytes(10)
    log.close()
    assert shipped(tmp_path) == ["p-0", "p-2"]


def test_an_old_file_is_closed_and_the_next_begun(tmp_path, impatient):
    """But for a store that takes nothing one is left open to be filled, so that there are few."""
    log = PredictionLog(tmp_path)
    for number in range(3):
        log.append(line(number))
        log.tend()
    assert usage(tmp_path).closed_records == 1
    assert log.open_records == 2
    assert shipped(tmp_path) == ["p-0"]
    log.tend()
    assert log.open_records == 0
    assert shipped(tmp_path) == ["p-1", "p-2"]


def test_a_full_file_is_followed_by_the_next(tmp_path, monkeypatch):
    """In order, also for a record that is larger than a file."""
    monkeypatch.setattr(prediction_log, "FILE_BYTES", 1000)
    log = PredictionLog(tmp_path)
    for number in range(5):
        log.append(line(number))
    log.append(orjson.dumps({"ids": ["large"], "columns": {"x": ["y" * 5000]}}))
    log.close()
    assert shipped(tmp_path) == ["p-0", "p-1", "p-2", "p-3", "p-4", "large"]


def test_a_spool_has_a_limit(tmp_path, impatient):
    """Beyond it records are dropped and counted; when it was shipped, they are taken again."""
    drops = []
    log = PredictionLog(tmp_path, limit_bytes=2 * FILE_BYTES, on_drop=lambda: drops.append(1))
    large = orjson.dumps({"ids": ["x"], "columns": {"x": ["y" * (FILE_BYTES - 100)]}})
    assert [log.append(large) for _ in range(4)] == [True, True, False, False]
    assert (len(drops), log.refusing) == (2, True)
    log.close()
    assert len(shipped(tmp_path)) == 2
    log.tend()
    assert not log.refusing
    assert log.append(large)


def test_a_disk_that_refuses_drops_and_recovers(tmp_path, impatient):
    """A full disk is an error when a file is begun, and never a fault in memory."""
    folder = tmp_path / "spool"
    folder.write_text("a file where the folder should be")
    log = PredictionLog(folder)
    assert not log.append(line(1))
    folder.unlink()
    assert log.append(line(2))
    assert not log.refusing


def test_a_file_that_is_taken_for_an_orphans_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    """Who ships may look between its creation and its lock; what is answered then is not lost."""
    lock, looks = spool.fcntl.flock, []

    def late(file, how):
        if not looks:
            looks.append(file)
            spool.claim_orphans(next(tmp_path.iterdir()))
        lock(file, how)

    log = PredictionLog(tmp_path)
    monkeypatch.setattr(spool.fcntl, "flock", late)
    assert log.append(line(1))
    log.close()
    assert shipped(tmp_path) == ["p-1"]


def test_the_sample_is_stable_and_of_its_size(tmp_path):
    """The same id is always in or out; a model that is not named is logged whole."""
    log = PredictionLog(tmp_path, rates={"clv": 0.1, "recommender": 0.0})
    ids = [uuid.UUID(int=number).hex for number in range(20_000)]
    kept = [id_ for id_ in ids if log.sampled("clv", id_)]
    assert kept == [id_ for id_ in ids if log.sampled("clv", id_)]
    assert pytest.approx(0.1, abs=0.02) == len(kept) / len(ids)
    assert not any(log.sampled("recommender", id_) for id_ in ids[:100])
    assert all(log.sampled("pricing", id_) for id_ in ids[:100])


@pytest.mark.parametrize(
    ("text", "told"),
    [("clv", "not of the form model=share"), ("cvl=1", "there is no model 'cvl'"), ("clv=2", "from 0 to 1, not 2")],
)
def test_a_wrong_sample_is_refused(text, told):
    """One sentence that says what is wrong."""
    with pytest.raises(ConfigurationError, match=f"SHOPSPHERE_LOG_SAMPLE.*{told}"):
        ServerSettings(**{"SHOPSPHERE_LOG_SAMPLE": text})


def test_shares_are_read():
    """With or without spaces."""
    assert ServerSettings(log_sample=" clv=0.1, recommender=1 ").log_rates == {"clv": 0.1, "recommender": 1.0}
    assert ServerSettings(log_sample="").log_rates == {}


def test_an_open_file_can_be_read(tmp_path):
    """Whoever looks for a customer's answers sees those that went out."""
    log = PredictionLog(tmp_path)
    log.append(line(7))
    (path,) = tmp_path.glob("*/*")
    assert [one["ids"] for one in read_records(path)] == [["p-7"]]


def test_a_worker_imports_nothing_heavy():
    """Neither training's nor monitoring's libraries, nor the lake's."""
    training = ("mlflow", "sklearn", "scipy", "implicit", "lightgbm", "matplotlib")
    heavy = (*training, "prefect", "evidently", "pandas", "polars", "duckdb", "deltalake", "pyarrow")
    script = f"import sys, grpc_server.worker; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_newest_records_are_known_without_a_look_at_the_disk(tmp_path):
    """Of the open file and the one before, whole lines alone; a worker that has answered nothing knows none."""
    log = PredictionLog(tmp_path)
    assert log.recent() == []
    for number in range(1000):
        log.append(line(number))
    found = [int(one["columns"]["clv_180d"][0]) for one in log.recent()]
    assert found == list(range(1000))[-len(found) :]
    assert 100 < len(found) < 1000
    log.close()
    log.append(line(1000))
    assert [int(one["columns"]["clv_180d"][0]) for one in log.recent()] == [*found, 1000]
