"""Trials in real workers: what the registry says of a challenger is what they do, within seconds."""

import pytest
from live_server import constant, log, wait

from grpc_server.client import Client
from grpc_server.counters import Counters
from grpc_server.live import reports, served_lines
from grpc_server.metric_families import APART
from grpc_server.shadow import Shadow
from grpc_server.shipping import Shipper
from lakehouse.dictionary import tables
from lakehouse.query import sql
from training import trial
from training.trial import TrialError

CUSTOMERS = [str(number) for number in range(200)]


@pytest.fixture
def on_trial(live, registry):
    """Puts version 2 on trial for a share of the customers, and takes it back at the end."""

    def begin(percent, version=2):
        trial.start("clv", version, percent=percent, settings=live.settings)
        return live.take(version, alias="challenger", percent=percent)

    yield begin
    trial.end(registry, live.lake, "clv", reason="the test is over")
    assert live.take(None, alias="challenger").live


def answered(live):
    """Who answers about each customer; every answer is of the version that it names."""
    found = {customer: live.ask(customer) for customer in CUSTOMERS}
    assert all(value == version for value, version in found.values())
    return {customer for customer, (_, version) in found.items() if version == 2}


def test_a_canary_answers_its_share_until_it_is_stopped(live, on_trial):
    """The same customers whichever worker is asked, more of them with a larger share, nobody when it is over."""
    assert on_trial(20).line().startswith("live on 2 of 2 workers")
    few = answered(live)
    assert 10 < len(few) < 80
    assert answered(live) == few
    on_trial(60)
    assert few < answered(live)
    on_trial(0)
    assert answered(live) == set()


def test_the_models_service_shows_the_trial(live, on_trial):
    """Champion and challenger, what it does, and on how many workers."""
    on_trial(20)
    with Client(live.address) as client:
        (model,) = client.models()
    assert (model["version"]["version"], model["workers"], model["workers_serving"]) == (1, 2, 2)
    challenger = model["challenger"]
    assert (challenger["version"]["version"], challenger["version"]["alias"]) == (2, "challenger")
    assert (challenger["mode"], challenger["percent"], challenger["workers_serving"]) == ("TRIAL_MODE_CANARY", 20, 2)
    on_trial(0)
    with Client(live.address) as client:
        assert client.models()[0]["challenger"]["mode"] == "TRIAL_MODE_SHADOW"
    assert served_lines(reports(live.serving)) == [
        "serving clv: version 1 on 2 of 2 workers",
        "serving clv: challenger 2 (shadow) on 2 of 2 workers",
    ]


def test_a_challenger_that_is_promoted_answers_everybody(live, registry, on_trial):
    """Without being loaded again, and is on trial no more."""
    on_trial(20)
    registry.set_champion("clv", 2)
    assert live.take(2).live
    assert live.take(None, alias="challenger").live
    assert answered(live) == set(CUSTOMERS)


def test_a_challenger_that_cannot_answer_is_refused_beforehand(live, registry):
    """No trial begins."""
    version = log(registry, constant(5.0, inputs=("shoe_size",)))
    with pytest.raises(Exception, match="no input 'shoe_size'"):
        trial.start("clv", version, percent=10, settings=live.settings)
    with pytest.raises(TrialError, match="nothing to stop"):
        trial.stop("clv", settings=live.settings)


def test_a_challenger_that_the_workers_refuse_answers_nobody(live, registry):
    """Set by hand, past the checks; the champion answers everybody, and the reason is told."""
    version = log(registry, constant(5.0, inputs=("shoe_size",)))
    registry.tag("clv", version, {trial.PERCENT: "50"})
    registry.set_alias("clv", "challenger", version)
    refused = live.take(version, alias="challenger")
    assert (refused.live, refused.reasons) == (False, ["clv has no input 'shoe_size': train the model again"])
    assert answered(live) == set()
    with Client(live.address) as client:
        (told,) = client.models()[0]["refused"]
    assert (told["version"]["version"], told["version"]["alias"]) == (version, "challenger")
    registry.set_alias("clv", "challenger", None)
    assert live.take(None, alias="challenger").live


def test_a_shadow_is_logged_beside_the_answers(live, on_trial):
    """In the same rows, from the same features; nobody gets its answers."""
    on_trial(0)
    customers = {f"shadowed-{number}" for number in range(5)}
    assert {live.ask(customer) for customer in customers} == {(1.0, 1)}
    counters = Counters()
    with Shipper(live.settings.spool_dir, live.lake, counters, Shadow(live.serving, counters).scored):
        wait(lambda: _logged(live.lake) >= customers)
    both = "select distinct alias, model_version, clv_180d, challenger_version, challenger_clv_180d from predictions"
    rows = sql(live.lake, f"{both} where entity_id like 'shadowed-%'")
    assert rows.rows() == [("champion", 1, 1.0, 2, 2.0)]
    assert set(rows.columns) <= set(tables()["predictions"].columns)
    assert counters.read()[APART.name, "clv", "2"] == 0.5


def _logged(lake):
    return set(lake.scan("predictions").collect()["entity_id"]) if lake.exists("predictions") else set()
