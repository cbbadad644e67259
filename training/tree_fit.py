"""Fits boosted trees with LightGBM and gives them as `Trees`: one ONNX node for all ensembles, boxes of the first.

One thread: on the sizes trained here more of them cost more than they give, and results do not depend on the machine.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from training.onnx_runtime import OnnxFunction
from training.trees import Array, Trees

ALWAYS = {"deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": 0, "verbosity": -1}
MOST_ROWS = 100_000
"""More rows cost time and do not rank better."""
Box = dict[int, tuple[float, float, float]]


def enough_customers(train: pl.DataFrame) -> pl.DataFrame:
    """All rows of as many customers as are enough, chosen by hash."""
    if train.height <= MOST_ROWS:
        return train
    share = MOST_ROWS / train.height
    return train.filter(pl.col("customer_id").hash(seed=1) % 10_000 < int(10_000 * share))


def boost(matrix: Array, label: Array, *, rounds: int, params: Mapping[str, Any]) -> Any:
    """A LightGBM booster; inputs are rounded to the 32 bits that ONNX will see."""
    import lightgbm

    data = lightgbm.Dataset(matrix.astype(np.float32), label=label)
    return lightgbm.train({**ALWAYS, **params}, data, num_boost_round=rounds)


def raw_scores(booster: Any, matrix: Array) -> Array:
    """A booster's scores before its link function."""
    scores: Array = booster.predict(matrix.astype(np.float32), raw_score=True, num_threads=1)
    return scores


def as_trees(boosters: Sequence[Any], *, width: int) -> Trees:
    """The boosters as one function of a matrix with `width` columns."""
    dumped = [[tree["tree_structure"] for tree in booster.dump_model()["tree_info"]] for booster in boosters]
    return Trees(OnnxFunction(_onnx(dumped, width)), _boxes(dumped[0]))


def _onnx(ensembles: list[list[dict[str, Any]]], width: int) -> bytes:
    from onnx import TensorProto, helper

    trees = [(target, tree) for target, ensemble in enumerate(ensembles) for tree in ensemble]
    nodes = [
        {**node, "tree": number, "target": target}
        for number, (target, tree) in enumerate(trees)
        for node in _nodes(tree, [])
    ]
    leaves = [node for node in nodes if node["mode"] == "LEAF"]
    attributes: dict[str, Any] = {
        f"nodes_{name}": [node[key] for node in nodes]
        for name, key in (
            ("treeids", "tree"),
            ("nodeids", "id"),
            ("featureids", "feature"),
            ("values", "threshold"),
            ("modes", "mode"),
            ("truenodeids", "left"),
            ("falsenodeids", "right"),
        )
    }
    attributes |= {
        f"target_{name}": [node[key] for node in leaves]
        for name, key in (("treeids", "tree"), ("nodeids", "id"), ("ids", "target"), ("weights", "value"))
    }
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["scores"], domain="ai.onnx.ml", n_targets=len(ensembles), **attributes
    )
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, len(ensembles)])
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([node], "trees", [taken], [given])
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def _nodes(tree: dict[str, Any], nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A tree's nodes, the root first, numbered in their order."""
    node = {"id": len(nodes), "mode": "LEAF", "feature": 0, "threshold": 0.0, "left": 0, "right": 0, "value": 0.0}
    nodes.append(node)
    if "leaf_value" in tree:
        node["value"] = float(tree["leaf_value"])
        return nodes
    node |= {"mode": "BRANCH_LEQ", "feature": tree["split_feature"], "threshold": _float32_below(tree["threshold"])}
    node["left"] = len(nodes)
    _nodes(tree["left_child"], nodes)
    node["right"] = len(nodes)
    return _nodes(tree["right_child"], nodes)


def _boxes(ensemble: list[dict[str, Any]]) -> dict[str, Array]:
    found = [box for tree in ensemble for box in _leaf_boxes(tree, {})]
    shape = (len(found), max((len(ranges) for _, ranges in found), default=0))
    boxes = {
        "value": np.array([value for value, _ in found]),
        "feature": np.zeros(shape, dtype=np.int32),
        "low": np.full(shape, -np.inf),
        "high": np.full(shape, np.inf),
        "share": np.ones(shape),
    }
    for leaf, (_, ranges) in enumerate(found):
        for place, (feature, (low, high, share)) in enumerate(ranges.items()):
            boxes["feature"][leaf, place] = feature
            boxes["low"][leaf, place], boxes["high"][leaf, place] = low, high
            boxes["share"][leaf, place] = share
    return boxes


def _leaf_boxes(tree: dict[str, Any], ranges: Box) -> list[tuple[float, Box]]:
    if "leaf_value" in tree:
        return [(float(tree["leaf_value"]), ranges)]
    feature, at = tree["split_feature"], _float32_below(tree["threshold"])
    low, high, share = ranges.get(feature, (-np.inf, np.inf, 1.0))
    left, right = tree["left_child"], tree["right_child"]
    went_left = _cover(left) / _cover(tree)
    return [
        *_leaf_boxes(left, {**ranges, feature: (low, min(high, at), share * went_left)}),
        *_leaf_boxes(right, {**ranges, feature: (max(low, at), high, share * (1.0 - went_left))}),
    ]


def _cover(tree: dict[str, Any]) -> float:
    return float(tree.get("internal_count", tree.get("leaf_count", 1)))


def _float32_below(threshold: float) -> float:
    """The greatest 32-bit number not above: 32-bit inputs then fall on the same side as in LightGBM."""
    rounded = np.float32(threshold)
    return float(rounded if float(rounded) <= threshold else np.nextafter(rounded, np.float32(-np.inf)))
