"""The rival: FastAPI written well, with the same lookup, the same ONNX trees or precomputed answers, and the same log.

python -m bench.serving.fastapi_onnx CORE SERVING_FOLDER SPOOL prints its port.
"""

import os
import socket
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import ORJSONResponse

from grpc_server.champions import load_state, read_pointer
from grpc_server.prediction_log import PredictionLog
from grpc_server.state import State


def make_app(serving: Path, spool: Path) -> FastAPI:
    """The CLV call alone: `/score/clv` asks the model, `/precomputed/clv` reads the table."""
    pointer = read_pointer(serving)
    assert pointer
    state = load_state(serving, pointer, State())
    served, snapshot, log = state.models["clv"], state.features["gold.customer_features"], PredictionLog(spool)
    predict = served.model.predict_one
    app = FastAPI(default_response_class=ORJSONResponse)

    table = state.precomputed["clv", served.version]

    async def answered(request: Request, look_up: Callable[[int, list[float]], float]) -> Any:
        customer = (await request.json())["customer_id"]
        position = snapshot.position(int(customer))
        values = snapshot.row(position, served.names)
        answer = look_up(position, values)
        prediction_id = uuid.uuid4().hex
        log.append(
            orjson.dumps(
                {
                    "ids": [prediction_id],
                    "entity_ids": [customer],
                    "use_case": "clv",
                    "model_version": served.version,
                    "predicted_at": datetime.now(UTC).isoformat(),
                    "names": ["clv_180d", *served.names],
                    "row": [answer, *values],
                }
            )
        )
        return ORJSONResponse({"customer_id": customer, "clv_180d": answer, "prediction_id": prediction_id})

    @app.post("/score/clv")
    async def score(request: Request) -> Any:
        return await answered(
            request, lambda _, values: predict(dict(zip(served.names, values, strict=True)), {})["clv_180d"]
        )

    @app.post("/precomputed/clv")
    async def precomputed(request: Request) -> Any:
        return await answered(request, lambda position, _: table.item(position)[0])

    return app


def run(app: FastAPI, core: int) -> None:
    """Serve on a free port of one core, and print the port."""
    os.sched_setaffinity(0, {core})
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", loop="uvloop", http="httptools")).run(
        [listening]
    )


if __name__ == "__main__":
    run(make_app(Path(sys.argv[2]), Path(sys.argv[3])), int(sys.argv[1]))
