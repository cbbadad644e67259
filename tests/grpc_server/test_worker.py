"""What a worker does with what the follower drops."""

import json

import pytest

from grpc_server.champions import POINTER
from grpc_server.settings import ServerSettings
from grpc_server.worker import Worker

NOTHING = {"models": {}, "challengers": {}, "features": {}, "campaigns": None, "refused": []}


@pytest.fixture
def drop(tmp_path):
    """Replaces the pointer, as the follower does."""
    folder = tmp_path / "serving" / "live"
    folder.mkdir(parents=True, exist_ok=True)

    def replace(document):
        (folder / "new").write_text(json.dumps(document))
        (folder / "new").rename(folder / POINTER)

    return replace


@pytest.fixture
def worker(tmp_path):
    """A worker that does not listen."""
    return Worker(ServerSettings(var_dir=tmp_path, lake_root="", tracing_endpoint=""), "live", 0)


def test_what_cannot_be_loaded_leaves_what_there_is(worker, drop, caplog):
    """It is told once, and the next good one is taken."""
    drop(NOTHING)
    worker.look()
    good = worker._holder.current
    drop({"models": {}})
    worker.look()
    worker.look()
    assert good is worker._holder.current
    assert caplog.messages == ["what the follower dropped cannot be loaded: what there is serves on"]
    drop(NOTHING)
    worker.look()
    assert good is not worker._holder.current


def test_a_worker_that_has_nothing_yet_ends_instead(worker, drop):
    """So that it is started again, and takes no calls that it cannot answer."""
    worker.look()
    drop({"models": {}})
    with pytest.raises(KeyError):
        worker.look()
