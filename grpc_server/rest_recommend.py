"""A recommendation's options in a JSON body."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from grpc_server.errors import Violation
from grpc_server.recommend_options import NOTHING_ASKED, RecommendOptions

RECOMMEND_FIELDS = tuple(entry.name for entry in fields(RecommendOptions))
LISTS = ("categories", "exclude_product_ids", "recent_product_ids")


def recommend_options(given: Mapping[str, Any], wrong: list[Violation]) -> RecommendOptions:
    """The options in a body, ids as text or numbers; what does not fit is added to `wrong`."""
    found = {name: _texts(given.get(name), name, wrong) for name in LISTS}
    repeats, country = given.get("include_repeats"), given.get("country")
    if repeats is not None and not isinstance(repeats, bool):
        wrong.append(Violation("include_repeats", "must be true or false"))
    if country is not None and not isinstance(country, str):
        wrong.append(Violation("country", "must be text"))
    asked = RecommendOptions(
        include_repeats=repeats if isinstance(repeats, bool) else None,
        country=country if isinstance(country, str) else "",
        **found,
    )
    return NOTHING_ASKED if asked == NOTHING_ASKED else asked


def _texts(value: Any, name: str, wrong: list[Violation]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or any(isinstance(item, bool) or not isinstance(item, int | str) for item in value):
        wrong.append(Violation(name, "must be a list of text or whole numbers"))
        return ()
    return tuple(str(item) for item in value)
