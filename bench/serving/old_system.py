"""What is replaced: FastAPI with pydantic, pandas and MLflow's pyfunc, which wants all features in the request.

python -m bench.serving.old_system CORE prints its port; MLFLOW_TRACKING_URI says where the registry is.
"""

import sys
from typing import Any

import mlflow
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

from bench.serving.fastapi_onnx import run


class ClvRequest(BaseModel):
    """A customer and the features that the caller had to know."""

    customer_id: int
    features: dict[str, float]


def make_app() -> FastAPI:
    """The CLV call alone."""
    model = mlflow.pyfunc.load_model("models:/clv@champion")
    names = [column.name for column in model.metadata.get_input_schema().inputs]
    app = FastAPI()

    @app.post("/score/clv")
    def score(request: ClvRequest) -> dict[str, Any]:
        frame = pd.DataFrame([[request.features.get(name, 0.0) for name in names]], columns=names)
        answer = model.predict(frame)
        return {"ok": True, "customer_id": request.customer_id, "clv_180d": float(answer["clv_180d"][0])}

    return app


if __name__ == "__main__":
    run(make_app(), int(sys.argv[1]))
