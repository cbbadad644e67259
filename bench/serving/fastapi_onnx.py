"""The rival: FastAPI written well, with the same lookup, the same ONNX trees and the same log, on one core.

python -m bench.serving.fastapi_onnx CORE SERVING_FOLDER SPOOL prints its port.
"""

import os
import socket
import sys
import uuid
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
    """The CLV call alone."""
    pointer = read_pointer(serving)
    assert pointer
    state = load_state(serving, pointer, State())
    served, snapshot, log = state.models["clv"], state.features["gold.customer_features"], PredictionLog(spool)
    predict = served.model.predict_one
    app = FastAPI(default_response_class=ORJSONResponse)

    @app.post("/score/clv")
    async def score(request: Request) -> Any:
        customer = (await request.json())["customer_id"]
        values = snapshot.row(snapshot.position(int(customer)), served.names)
        answer = predict(dict(zip(served.names, values, strict=True)), {})["clv_180d"]
        prediction_id = uuid.uuid4().hex
        log.append(
            orjson.dumps(
                {
                    "ids": [prediction_id],
                    "entity_ids": [customer],
                    "use_case": "clv",
                    "model_version": served.version,
                    "predicted_at": datetime.now(UTC).isoformat(),
                    "columns": {
                        "clv_180d": [answer],
                        **{name: [value] for name, value in zip(served.names, values, strict=True)},
                    },
                }
            )
        )
        return ORJSONResponse({"customer_id": customer, "clv_180d": answer, "prediction_id": prediction_id})

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
