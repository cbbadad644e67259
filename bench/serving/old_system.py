"""What is replaced: FastAPI with pydantic, pandas and MLflow's pyfunc, which wants all features in the request.

python -m bench.serving.old_system CORE SERVING_FOLDER prints its port. As in the old system the model is a random
forest on the thirteen features of the request, of which `monetary` is also what it learns.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from fastapi import FastAPI
from mlflow.models import infer_signature
from pydantic import BaseModel
from sklearn.ensemble import RandomForestRegressor

from bench.serving.calls import snapshot_of
from bench.serving.fastapi_onnx import run

TREES = 100


class Features(BaseModel):
    """What the caller had to know of a customer."""

    recency_days: float
    tx_count: float
    monetary: float
    avg_discount: float
    avg_quantity: float
    premium_tx_share: float
    events_view_count: float
    events_add_to_cart_count: float
    events_purchase_count: float
    avg_session_duration_sec: float
    age: float
    is_male: float
    loyalty_level: float


class ClvRequest(BaseModel):
    """A customer and all features."""

    customer_id: int
    features: Features


def make_app(model: mlflow.pyfunc.PyFuncModel) -> FastAPI:
    """The CLV call alone."""
    app = FastAPI()

    @app.post("/score/clv")
    def score(request: ClvRequest) -> dict[str, Any]:
        began = time.perf_counter()
        predicted = model.predict(pd.DataFrame([request.features.model_dump()]))
        answer = {"customer_id": request.customer_id, "clv_180d": float(predicted[0])}
        return {"ok": True, "error": None, **answer, "latency_ms": (time.perf_counter() - began) * 1e3}

    return app


def trained(serving: Path) -> mlflow.pyfunc.PyFuncModel:
    """The forest of the customers that a server serves, as MLflow loads it."""
    columns = snapshot_of(serving, "gold.customer_features").arrays()
    frame = pd.DataFrame({name: np.nan_to_num(columns[name]) for name in Features.model_fields})
    forest = RandomForestRegressor(TREES, random_state=0).fit(frame, frame["monetary"])
    with tempfile.TemporaryDirectory() as scratch:
        signature = infer_signature(frame, forest.predict(frame))
        path = f"{scratch}/clv"
        mlflow.sklearn.save_model(forest, path, signature=signature, serialization_format="cloudpickle")
        return mlflow.pyfunc.load_model(path)


if __name__ == "__main__":
    run(make_app(trained(Path(sys.argv[2]))), int(sys.argv[1]))
