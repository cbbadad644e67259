"""A recommendation as it goes out: its items as the bytes of a message, and each output as the JSON of the log.

Whether it was precomputed or made for the call it has this form, so that neither is built product by product again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from shopsphere.v1 import recommender_pb2 as pb

ITEMS = "items"
OUTPUTS = ("item_ids", "item_scores", "item_reasons")
NAMES = (ITEMS, *OUTPUTS)
ItemList = tuple[bytes, bytes, bytes, bytes]
"""The field `items` of a RecommendResponse or a RecommendResult, then `OUTPUTS`.

Items end with a reason, which is never empty: NumPy's bytes, of which a table is made, drop zeros at their end.
"""


def of_outputs(outputs: Mapping[str, Sequence[Any]]) -> list[ItemList]:
    """A model's answers, one list for each row."""
    return [_item_list(*row) for row in zip(*(outputs[name] for name in OUTPUTS), strict=True)]


def shortened(given: ItemList, k: int) -> ItemList:
    """The first k items of a list."""
    ids, scores, reasons = (orjson.loads(part)[:k] for part in given[1:])
    return _item_list(ids, scores, reasons)


def items_of(encoded: bytes) -> Sequence[pb.RecommendedItem]:
    """The messages of a list."""
    return pb.RecommendResult.FromString(encoded).items


def named(given: ItemList) -> dict[str, bytes]:
    """The parts of a list by name, as in a precomputed table."""
    return dict(zip(NAMES, given, strict=True))


def columns(lists: Sequence[ItemList]) -> dict[str, list[bytes]]:
    """The parts of many lists by name."""
    return {name: [row[place] for row in lists] for place, name in enumerate(NAMES)}


def logged(given: ItemList) -> list[orjson.Fragment]:
    """What the log keeps of a list: `OUTPUTS`, as they are."""
    return [orjson.Fragment(part) for part in given[1:]]


def _item_list(ids: Sequence[int], scores: Sequence[float], reasons: Sequence[str]) -> ItemList:
    message = pb.RecommendResult()
    for product, score, reason in zip(ids, scores, reasons, strict=True):
        message.items.add(product_id=str(product), score=score, reason=reason)
    return message.SerializeToString(), orjson.dumps(ids), orjson.dumps(scores), orjson.dumps(reasons)
