"""The REST shim: health, metrics and the five calls as JSON, on the old system's paths and with the same core."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grpc_server.call import Answers, Call
from grpc_server.errors import HTTP_STATUS, CallError, Violation, internal, invalid, to_json
from grpc_server.metrics import Metrics
from grpc_server.predictor import Predictor
from grpc_server.rest_recommend import RECOMMEND_FIELDS, recommend_options
from grpc_server.state import StateHolder
from training.use_cases import USE_CASES, get

logger = logging.getLogger(__name__)
MAX_BODY_BYTES = 64 << 10
ALIASES = {"avg_qty": "avg_quantity"}
"""The old system had two names for one thing; at this edge both are taken."""


@dataclass(frozen=True)
class Endpoint:
    """One POST path: the use case, the gRPC method it stands for, what a body may hold beside id and features."""

    use_case: str
    method: str
    fields: tuple[str, ...]
    result: Callable[[Answers], dict[str, Any]]


def _outputs(*names: str) -> Callable[[Answers], dict[str, Any]]:
    return lambda answers: {name: answers.outputs[name][0] for name in names or answers.outputs}


def _items(answers: Answers) -> dict[str, Any]:
    products, scores = answers.outputs["item_ids"][0], answers.outputs["item_scores"][0]
    return {
        "rec_list": [
            {"product_id": str(product), "score": score} for product, score in zip(products, scores, strict=True)
        ]
    }


def _propensity(answers: Answers) -> dict[str, Any]:
    return {"prob_response": answers.outputs["prob_response"][0], "campaign_id": answers.campaign_ids[0]}


ENDPOINTS = {
    "/score/clv": Endpoint("clv", "ClvService/PredictClv", (), _outputs()),
    "/score/propensity": Endpoint("propensity", "PropensityService/ScorePropensity", ("campaign_id",), _propensity),
    "/segment": Endpoint(
        "segmentation", "SegmentationService/AssignSegment", (), _outputs("cluster_id", "segment_name")
    ),
    "/recommend": Endpoint("recommender", "RecommenderService/Recommend", ("k", *RECOMMEND_FIELDS), _items),
    "/price": Endpoint(
        "pricing", "PricingService/SuggestPrice", ("min_price", "max_price", "unit_cost"), _outputs("price_suggested")
    ),
}


def make_app(predictor: Predictor, holder: StateHolder, metrics: Metrics) -> Starlette:
    """The application of one worker."""

    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def ready(request: Request) -> Response:
        services = {use_case.name: use_case.name in holder.current.models for use_case in USE_CASES}
        return JSONResponse(
            {"ready": all(services.values()), "services": services}, 200 if all(services.values()) else 503
        )

    def scrape(request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def post(endpoint: Endpoint) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
            return await run_in_threadpool(_answer, endpoint, body, predictor, metrics)

        return answer

    posts = [Route(path, post(endpoint), methods=["POST"]) for path, endpoint in ENDPOINTS.items()]
    gets = {"/health": health, "/ready": ready, "/metrics": scrape}
    return Starlette(routes=[*posts, *(Route(path, function) for path, function in gets.items())])


def _answer(endpoint: Endpoint, body: bytes, predictor: Predictor, metrics: Metrics) -> Response:
    started = time.perf_counter()
    key = f"{get(endpoint.use_case).entity}_id"
    document: dict[str, Any] = {}
    version = 0
    try:
        given = _body(body)
        document[key] = str(given.get(key, ""))
        answers = predictor.predict(_call(endpoint, given, key))
        answers.check_first()
        version = answers.served.version
        document |= {"ok": True, "error": None, **endpoint.result(answers), **_trace(answers)}
        code, status = "OK", 200
    except CallError as error:
        document |= {"ok": False, "error": to_json(error)}
        code, status = error.code, HTTP_STATUS.get(error.code, 500)
    except Exception:
        error_id = uuid.uuid4().hex
        logger.exception("internal error %s in %s", error_id, endpoint.method)
        document |= {"ok": False, "error": to_json(internal(error_id))}
        code, status = "INTERNAL", 500
    seconds = time.perf_counter() - started
    document["latency_ms"] = round(seconds * 1000, 3)
    metrics.observe(endpoint.method, code=code, version=version, transport="rest", seconds=seconds)
    return JSONResponse(document, status)


def _trace(answers: Answers) -> dict[str, Any]:
    snapshot = answers.snapshot
    return {
        "prediction_id": answers.prediction_id(0),
        "model_version": answers.served.version,
        "as_of": snapshot.as_of.isoformat() if snapshot else None,
        "warnings": answers.warnings[0],
    }


def _body(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise invalid([Violation("body", f"is larger than {MAX_BODY_BYTES} bytes")])
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid([Violation("body", "is not JSON")]) from None
    if not isinstance(given, dict):
        raise invalid([Violation("body", "must be a JSON object")])
    return given


def _call(endpoint: Endpoint, given: Mapping[str, Any], key: str) -> Call:
    """The body as a call; all that does not fit is listed at once."""
    use_case = get(endpoint.use_case)
    wrong: list[Violation] = []
    known = {key, *endpoint.fields, *(["features"] if use_case.features else [])}
    wrong += [
        Violation(name, f"is unknown: there are {', '.join(sorted(known))}") for name in given if name not in known
    ]
    features = given.get("features") or {}
    overrides: dict[str, np.ndarray[Any, Any]] = {}
    names = {feature.name: feature for feature in use_case.features if feature.override}
    if not isinstance(features, dict):
        wrong.append(Violation("features", "must be an object"))
        features = {}
    for name, value in features.items():
        own = ALIASES.get(name, name)
        if own not in names:
            wrong.append(Violation(f"features.{name}", f"is unknown: there are {', '.join(names)}"))
        elif value is not None and (number := _finite(value, f"features.{name}", wrong)) is not None:
            overrides[own] = np.array([number])
    prices = {name: _optional(given.get(name), name, wrong) for name in ("min_price", "max_price", "unit_cost")}
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
        min_price=prices["min_price"],
        max_price=prices["max_price"],
        unit_cost=prices["unit_cost"],
    )


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


def _optional(value: Any, name: str, wrong: list[Violation]) -> "np.ndarray[Any, Any]":
    number = None if value is None else _finite(value, name, wrong)
    return np.array([np.nan if number is None else number])


def _id(value: Any, name: str, wrong: list[Violation]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | str):
        wrong.append(Violation(name, "must be text or a whole number"))
        return ""
    return str(value)
