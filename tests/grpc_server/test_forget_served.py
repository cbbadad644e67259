"""Forgetting a customer in what servers keep: others' answers and features stay as they are."""

from datetime import datetime

import numpy as np
import orjson
import pytest

from grpc_server import forget
from grpc_server.online_features import FORMAT, FeatureSnapshot, write_snapshot
from grpc_server.prediction_log import PredictionLog
from grpc_server.shipping import ship


def record(entities, table="gold.customer_features"):
    """A record of answers about the entities."""
    count = len(entities)
    lists = {name: [[]] * count for name in ("request_features", "default_features", "warnings")}
    columns = {"columns": {"clv_180d": [float(number) for number in range(count)]}}
    ids = {"ids": [f"p{number}" for number in range(count)], "entity_ids": entities, "feature_table": table}
    return ids | lists | columns


def test_only_the_customers_answers_leave_the_spool(tmp_path):
    """Of a batch the others stay, with their columns; a product of the same number is no customer."""
    log = PredictionLog(tmp_path)
    log.append(orjson.dumps(record(["6", "7", "77"])))
    log.append(orjson.dumps(record(["7"], table="gold.product_features")))
    log.close()
    assert forget.forget_spooled(tmp_path, 7) == 1
    seen = []
    ship(tmp_path, lambda records, *_: seen.extend(records))
    assert [entry["entity_ids"] for entry in seen] == [["6", "77"], ["7"]]
    assert seen[0]["columns"] == {"clv_180d": [0.0, 2.0]}


def test_answers_about_a_text_that_is_no_id_leave_it_too(tmp_path):
    """Whoever was asked about may be a person; 7 is another one."""
    log = PredictionLog(tmp_path)
    log.append(orjson.dumps(record(["7", "me@shop.example", "not-me@shop.example"])))
    log.close()
    assert forget.forget_spooled(tmp_path, "me@shop.example") == 1
    seen = []
    ship(tmp_path, lambda records, *_: seen.extend(records))
    assert [entry["entity_ids"] for entry in seen] == [["7", "not-me@shop.example"]]


def test_a_server_that_keeps_its_file_open_is_named(tmp_path, monkeypatch):
    """Then the customer's answers cannot be taken out; once it has let go, they can."""
    monkeypatch.setattr(forget, "ROTATION_SECONDS", 0.0)
    log = PredictionLog(tmp_path)
    log.append(orjson.dumps(record(["7"])))
    with pytest.raises(forget.SpoolError, match="stop it"):
        forget.forget_spooled(tmp_path, 7)
    log.close()
    assert forget.forget_spooled(tmp_path, 7) == 1


def test_snapshots_lose_the_customer_and_nobody_else(tmp_path):
    """Each other customer's features and purchases are those of before."""
    ids = np.array([6, 7, 8])
    history = {"customer_id": ids, "starts": np.array([0, 1, 3]), "ends": np.array([1, 3, 4])}
    history |= {"history_product_ids": np.array([60, 70, 71, 80]), "history_weights": np.array([0.6, 0.7, 0.71, 0.8])}
    history |= {"history_view_counts": np.array([0, 1, 2, 3]), "history_add_to_cart_counts": np.array([0, 0, 1, 0])}
    tables = {"gold.interactions": history, "gold.customer_features": {"customer_id": ids, "age": np.array([1, 2, 3])}}
    for table, arrays in tables.items():
        folder = tmp_path / f"server/features/{table}/1-20240101T000000-{FORMAT}"
        write_snapshot(folder, table=table, version=1, as_of=datetime(2024, 1, 1), key="customer_id", arrays=arrays)
    unreadable = tmp_path / "server/features/gold.interactions/1-20240101T000000"
    unreadable.mkdir()
    (unreadable / "snapshot.json").write_text('{"customer_id": 7}')
    assert forget.forget_served(tmp_path, 7) == 2
    assert not unreadable.exists()
    found = {
        table: FeatureSnapshot(tmp_path / f"server/features/{table}/1-20240101T000000-{FORMAT}") for table in tables
    }
    features, purchases = found["gold.customer_features"], found["gold.interactions"]
    assert features.positions(ids).tolist() == [0, -1, 1]
    assert features.rows(np.array([0, 1]), ("age",))[:, 0].tolist() == [1, 3]
    assert [purchases.history(place)[0].tolist() for place in (0, 1)] == [[60], [80]]
    assert forget.forget_served(tmp_path, 7) == 0
