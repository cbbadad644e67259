"""A JSON body as the core's call; all that does not fit is listed at once."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from grpc_server.call import Array, Call
from grpc_server.errors import Violation, invalid
from grpc_server.rest_recommend import recommend_options
from training.use_case import Feature, UseCase

MAX_BODY_BYTES = 64 << 10
ALIASES = {"avg_qty": "avg_quantity"}
"""The old system had two names for one thing; at this edge both are taken."""
PRICES = ("min_price", "max_price", "unit_cost")


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        CallError: it is too long, or holds something else.
    """
    if len(body) > MAX_BODY_BYTES:
        raise invalid([Violation("body", f"is larger than {MAX_BODY_BYTES} bytes")])
    try:
        given = json.loads(body.decode("utf-8-sig"))
        if b"\\u" in body:
            json.dumps(given, ensure_ascii=False).encode()  # half a surrogate pair cannot be logged or sent back
    except (ValueError, RecursionError):
        raise invalid([Violation("body", "is not JSON in UTF-8")]) from None
    if not isinstance(given, dict):
        raise invalid([Violation("body", "must be a JSON object")])
    return given


def shown_id(value: Any) -> str:
    """An id as the answer repeats it; empty for what is none."""
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def to_call(given: Mapping[str, Any], *, use_case: UseCase, fields: tuple[str, ...]) -> Call:
    """The call that a body asks for; `fields` is what it may hold beside id and features.

    Raises:
        CallError: all that is wrong with the body's fields.
    """
    wrong: list[Violation] = []
    key = f"{use_case.entity}_id"
    known = {key, *fields, *(["features"] if use_case.features else [])}
    wrong += [
        Violation(name, f"is unknown: there are {', '.join(sorted(known))}") for name in given if name not in known
    ]
    overrides = _overrides(given.get("features"), use_case, wrong)
    prices: dict[str, Any] = {name: _optional(given.get(name), name, wrong) for name in PRICES}
    k = given.get("k")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int)):
        wrong.append(Violation("k", "must be a whole number"))
    ids = {name: _id(given.get(name), name, wrong) for name in (key, "campaign_id")}
    recommend = recommend_options(given, wrong) if use_case.name == "recommender" else None
    if wrong:
        raise invalid(wrong)
    return Call(
        use_case=use_case.name,
        entity_ids=[ids[key]],
        overrides=overrides,
        campaign_ids=[ids["campaign_id"]],
        k=[k],
        recommend=[recommend] if recommend else [],
        **prices,
    )


def _overrides(features: Any, use_case: UseCase, wrong: list[Violation]) -> dict[str, Array]:
    if features is None:
        return {}
    if not isinstance(features, dict):
        wrong.append(Violation("features", "must be an object"))
        return {}
    names = {feature.name: feature for feature in use_case.features if feature.override}
    found: dict[str, Array] = {}
    for name, value in features.items():
        own, field = ALIASES.get(name, name), f"features.{name}"
        if own not in names:
            wrong.append(Violation(field, f"is unknown: there are {', '.join(names)}"))
        elif own != name and own in features:
            wrong.append(Violation(field, f"is another name of {own}: give one of them"))
        elif value is not None and (number := _feature(names[own], value, field, wrong)) is not None:
            found[own] = np.array([number])
    return found


def _feature(feature: Feature, value: Any, field: str, wrong: list[Violation]) -> float | None:
    number = _finite(value, field, wrong)
    if number is not None and feature.integer and not (number.is_integer() and -(2**31) <= number < 2**31):
        wrong.append(Violation(field, "must be a whole number of 32 bits"))
        return None
    return number


def _finite(value: Any, name: str, wrong: list[Violation]) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong.append(Violation(name, "must be a number"))
        return None
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        wrong.append(Violation(name, "must be a finite number"))
        return None
    return number


def _optional(value: Any, name: str, wrong: list[Violation]) -> Array | None:
    number = None if value is None else _finite(value, name, wrong)
    return None if number is None else np.array([number])


def _id(value: Any, name: str, wrong: list[Violation]) -> str:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | str)):
        wrong.append(Violation(name, "must be text or a whole number"))
    return shown_id(value)
