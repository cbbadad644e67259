"""The REST shim: health, metrics and the five calls as JSON, on the old system's paths and with the same core."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grpc_server.call import Answers
from grpc_server.errors import HTTP_STATUS, CallError, internal, to_json
from grpc_server.item_lists import ITEMS, items_of
from grpc_server.live import workers_document
from grpc_server.metrics import Metrics
from grpc_server.predictor import Predictor
from grpc_server.rest_recommend import RECOMMEND_FIELDS
from grpc_server.rest_request import MAX_BODY_BYTES, PRICES, read_object, shown_id, to_call
from grpc_server.state import StateHolder
from training.use_cases import USE_CASES, get

logger = logging.getLogger(__name__)


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
    items = items_of(answers.outputs[ITEMS][0])
    shown = ("product_id", "score", "reason")
    return {"rec_list": [{name: getattr(item, name) for name in shown} for item in items]}


def _price(answers: Answers) -> dict[str, Any]:
    return {"price_suggested": answers.outputs["price_suggested"][0], "reason": answers.outputs["price_reason"][0]}


def _propensity(answers: Answers) -> dict[str, Any]:
    return {"prob_response": answers.outputs["prob_response"][0], "campaign_id": answers.campaign_ids[0]}


ENDPOINTS = {
    "/score/clv": Endpoint("clv", "ClvService/PredictClv", (), _outputs()),
    "/score/propensity": Endpoint("propensity", "PropensityService/ScorePropensity", ("campaign_id",), _propensity),
    "/segment": Endpoint(
        "segmentation", "SegmentationService/AssignSegment", (), _outputs("cluster_id", "segment_name")
    ),
    "/recommend": Endpoint("recommender", "RecommenderService/Recommend", ("k", *RECOMMEND_FIELDS), _items),
    "/price": Endpoint("pricing", "PricingService/SuggestPrice", PRICES, _price),
}
GETS = ("/health", "/ready", "/metrics")
PATHS = (*ENDPOINTS, *GETS)


def make_app(predictor: Predictor, holder: StateHolder, metrics: Metrics) -> Starlette:
    """The application of one worker."""

    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def ready(request: Request) -> Response:
        services = {use_case.name: use_case.name in holder.current.models for use_case in USE_CASES}
        document = {"ready": all(services.values()), "services": services, "workers": workers_document(holder.serving)}
        return JSONResponse(document, 200 if document["ready"] else 503)

    def scrape(request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def post(endpoint: Endpoint) -> Callable[[Request], Any]:
        def take(body: bytes, there: float) -> Response:
            metrics.observe_queue(time.perf_counter() - there)
            return _answer(endpoint, body, predictor, metrics)

        async def answer(request: Request) -> Response:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
            return await run_in_threadpool(take, body, time.perf_counter())

        return answer

    posts = [Route(path, post(endpoint), methods=["POST"]) for path, endpoint in ENDPOINTS.items()]
    gets = [Route(path, function) for path, function in zip(GETS, (health, ready, scrape), strict=True)]
    handlers: Any = {404: _refuse, 405: _refuse, ClientDisconnect: lambda *_: Response(status_code=400)}
    return Starlette(routes=[*posts, *gets], exception_handlers=handlers)


def _answer(endpoint: Endpoint, body: bytes, predictor: Predictor, metrics: Metrics) -> Response:
    started = time.perf_counter()
    metrics.started()
    key = f"{get(endpoint.use_case).entity}_id"
    shown: dict[str, Any] = {}
    version = 0

    def told(values: Mapping[str, Any], status: int) -> Response:
        took = round((time.perf_counter() - started) * 1000, 3)
        return JSONResponse({**shown, **values, "latency_ms": took}, status)

    try:
        given = read_object(body)
        shown = {key: shown_id(given.get(key))}
        answers = predictor.predict(to_call(given, use_case=get(endpoint.use_case), fields=endpoint.fields))
        answers.check_first()
        version = answers.served.version
        code, response = "OK", told({"ok": True, "error": None, **endpoint.result(answers), **_trace(answers)}, 200)
    except CallError as error:
        code, response = error.code, told(_failed(error), HTTP_STATUS.get(error.code, 500))
    except Exception:
        code, response = "INTERNAL", told(_failed(_fault(endpoint.method)), 500)
    seconds = time.perf_counter() - started
    metrics.observe(endpoint.method, code=code, version=version, transport="rest", seconds=seconds)
    return response


def _failed(error: CallError) -> dict[str, Any]:
    return {"ok": False, "error": to_json(error)}


def _fault(where: str) -> CallError:
    """A fault of ours, its traceback in the log."""
    error_id = uuid.uuid4().hex
    logger.exception("internal error %s in %s", error_id, where)
    return internal(error_id)


def _refuse(request: Request, refused: Any) -> Response:
    """What has no route, told by Starlette's HTTPException: a wrong path or method."""
    path = request.url.path
    if refused.status_code == 405:
        told = CallError("UNIMPLEMENTED", "WRONG_METHOD", f"{path} does not take {request.method}")
    else:
        told = CallError("NOT_FOUND", "UNKNOWN_PATH", f"there is no {path!r}: there are {', '.join(PATHS)}")
    return JSONResponse(_failed(told), refused.status_code, headers=refused.headers)


def _trace(answers: Answers) -> dict[str, Any]:
    snapshot = answers.snapshot
    return {
        "prediction_id": answers.prediction_id(0),
        "model_version": answers.served.version,
        "as_of": snapshot.as_of.isoformat() if snapshot else None,
        "warnings": answers.warnings[0],
    }
