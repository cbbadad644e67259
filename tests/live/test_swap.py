"""A version goes live in real workers: all of them take it, or refuse it and say why."""

import json
import shutil
import threading
import weakref

import pytest
import typer
from live_server import EVERY, constant, log, wait

from grpc_server.client import Client
from grpc_server.follower import Follower
from grpc_server.live import reports
from grpc_server.models_cli import settle_promotion
from grpc_server.state import ServedModel, State, StateHolder
from lakehouse.errors import StorageError
from lakehouse.storage import Lake
from training import promotions
from training.artifact import ArtifactError
from training.constant import ConstantModel
from training.promotions import PromotionReport
from training.registry import Registry
from training.use_cases import get


class Forgetful(ConstantModel):
    """Answers otherwise when it is loaded than when it was trained."""

    def predict(self, inputs, options):
        """One more than what is saved."""
        return {name: column + 1 for name, column in super().predict(inputs, options).items()}


def test_all_workers_take_a_promotion_and_a_rollback(live, registry):
    """And say so; an answer is of the version that it names."""
    registry.set_champion("clv", 2)
    there = live.take(2)
    assert (there.live, there.workers, there.reasons) == (True, 2, [])
    assert live.ask() == (2.0, 2)
    registry.set_champion("clv", 1)
    assert live.take(1).line().startswith("live on 2 of 2 workers after ")
    assert live.ask() == (1.0, 1)


def damaged(registry):
    """A version of which a byte changed after it was registered."""
    version = log(registry, constant(9.0))
    stored = registry._settings.var_dir / "mlflow" / "artifacts"
    for path in stored.rglob("golden.json"):
        if "9.0" in path.read_text():
            path.write_text(path.read_text() + " ")
    return version


def replaced(registry):
    """A version whose model.json is not the registered one."""
    version = log(registry, constant(8.0))
    for path in (registry._settings.var_dir / "mlflow" / "artifacts").rglob("model.json"):
        header = json.loads(path.read_text())
        if header["params"]["value"] == 8.0:
            path.write_text(json.dumps(header | {"params": {**header["params"], "value": 1e6}}))
    return version


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (damaged, "golden.json"),
        (replaced, "not what was registered"),
        (lambda registry: log(registry, constant(5.0, inputs=("monetary", "shoe_size"))), "no input 'shoe_size'"),
        (lambda registry: log(registry, _other_output()), "lacks output 'clv_180d'"),
        (lambda registry: log(registry, _forgetful()), "differs from its golden rows"),
    ],
    ids=["damaged", "replaced", "other inputs", "other outputs", "other answers"],
)
def test_a_version_that_cannot_answer_is_refused_and_the_old_one_serves_on(live, registry, made, reason):
    """With the reason, by every worker."""
    version = made(registry)
    registry.set_champion("clv", version)
    refused = live.take(version)
    assert (refused.live, refused.serving, len(refused.reasons)) == (False, 0, 1)
    assert reason in refused.reasons[0]
    assert str(live.serving) not in refused.reasons[0]
    assert live.ask() == (1.0, 1)
    registry.set_champion("clv", 2)
    assert live.take(2).live
    assert not any(report.refused for report in reports(live.serving))


def test_a_promotion_that_no_worker_takes_is_taken_back(live, registry, following, monkeypatch, capsys):
    """The alias must not stay with what nobody serves: a server that starts next would have no model."""
    for name, value in live.settings.environment().items():
        monkeypatch.setenv(name, value)
    version = log(registry, constant(5.0, inputs=("monetary", "shoe_size")))
    registry.set_champion("clv", version)
    told = {"use_case": "clv", "decision": "promoted", "candidate": version, "version": version}
    verdict = PromotionReport(**told, from_version=1, reasons=["better"], metrics={})
    promotions.record(live.lake, verdict)

    with pytest.raises(typer.Exit):
        settle_promotion(verdict)

    assert registry.champion("clv").version == 1
    assert "rolled back" in capsys.readouterr().out
    assert [row["decision"] for row in promotions.decisions(live.lake, "clv")][-2:] == ["promoted", "rolled_back"]
    wait(lambda: not any(report.refused for report in reports(live.serving)))
    assert live.ask() == (1.0, 1)


def _other_output():
    return ConstantModel("clv", output="spend", value=5.0, defaults={"monetary": 7.0})


def _forgetful():
    return Forgetful("clv", output="clv_180d", value=5.0, defaults={"monetary": 7.0})


def test_no_call_fails_while_versions_change(live, registry):
    """Callers at both workers get only answers of one of the two versions, each of the version that it names."""
    stop, seen, failures = threading.Event(), [], []

    def call(customer):
        try:
            while not stop.is_set():
                with Client(live.address) as client:  # a new connection each time: either worker takes it
                    for _ in range(10):
                        answer = client.clv(customer, **EVERY)
                        seen.append((answer["clv_180d"], answer["metadata"]["model"]["version"]))
        except Exception as error:
            failures.append(error)

    callers = [threading.Thread(target=call, args=(str(number),)) for number in range(4)]
    for caller in callers:
        caller.start()
    for version in [2, 1] * 5:
        registry.set_champion("clv", version)
        assert live.take(version).live
    stop.set()
    for caller in callers:
        caller.join()
    assert failures == []
    assert {(1.0, 1), (2.0, 2)} == set(seen)


def test_a_follower_that_dies_while_it_drops_leaves_the_workers_answering(live, registry, monkeypatch):
    """Half a download and half a pointer are nothing to them; its successor completes the drop."""

    def die_half_way(_, info, folder):
        (folder / "model").mkdir()
        (folder / "model" / "model.json").write_text("{")
        raise KeyboardInterrupt

    shutil.rmtree(live.serving / "models/clv/2", ignore_errors=True)
    registry.set_champion("clv", 2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Registry, "download", die_half_way)
        Follower(live.settings, name="live").step()
    (live.serving / "current.json.part").write_text('{"models": {"cl')
    assert live.ask() == (1.0, 1)
    live.follower = Follower(live.settings, name="live")
    assert live.take(2).live
    assert sorted(path.name for path in live.serving.glob("models/clv/*")) == ["1", "2"]


def test_a_folder_that_was_damaged_on_the_servers_disk_is_downloaded_again(live, registry):
    """What an earlier follower left is looked at before it counts."""
    registry.set_champion("clv", 2)
    assert live.take(2).live
    registry.set_champion("clv", 1)
    assert live.take(1).live
    (live.serving / "models/clv/2/golden.json").write_text("{}")
    live.follower = Follower(live.settings, name="live")
    registry.set_champion("clv", 2)
    assert live.take(2).live


def test_a_worker_that_died_says_nothing_any_more(live, registry):
    """Its report does not count, and goes; a new worker says what it took."""
    live.workers[1].kill()
    live.workers[1].wait()
    registry.set_champion("clv", 2)
    there = live.take(2)
    assert (there.live, there.workers) == (True, 1)
    assert len(list((live.serving / "workers").glob("*.json"))) == 1
    live.workers[1] = live.start()
    wait(lambda: [report.champion.get("clv") for report in reports(live.serving)] == [2, 2])


def test_the_registry_is_followed_while_the_lake_is_away(live, registry, monkeypatch):
    """A rollback does not wait for a store that does not answer."""

    def unreachable(*_):
        raise StorageError("no store")

    registry.set_champion("clv", 2)
    monkeypatch.setattr(Lake, "version", unreachable)
    with pytest.raises(StorageError):
        live.follower.step()
    wait(lambda: live.ask() == (2.0, 2))


def test_no_alias_may_name_a_version_that_cannot_answer(registry):
    """What a server would refuse is found out before it is promoted."""
    for version, reason in ((log(registry, _forgetful()), "golden rows"), (damaged(registry), "damaged")):
        with pytest.raises(ArtifactError, match=reason):
            registry.check(registry.version("clv", version))


def test_a_model_goes_when_its_last_call_has_ended():
    """A call keeps the state that it began with."""
    holder = StateHolder()
    told = {"version": 1, "alias": "champion", "kind": "baseline", "metrics": {}, "tags": {}, "created_at": ""}
    holder.swap(State({"clv": ServedModel(use_case=get("clv"), model=constant(1.0), **told)}))
    call = holder.current
    gone = weakref.ref(call.models["clv"])
    holder.swap(State())
    assert gone() is not None
    del call
    assert gone() is None
