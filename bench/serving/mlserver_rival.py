"""Another rival: MLServer with a LightGBM model of the size of CLV's, over gRPC, without workers, on one core.

It has packages of its own: `python -m bench.serving` runs it through uv with `REQUIREMENTS`, from the package index.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = ("mlserver==1.7.1", "mlserver-lightgbm==1.7.1")
TREES, LEAVES, FEATURES = 480, 15, 29


def main() -> None:
    """Print the process, its port and, in hex, the body of a call; then serve."""
    import lightgbm
    import numpy as np
    from mlserver.cli.serve import load_settings
    from mlserver.codecs import NumpyCodec
    from mlserver.grpc.converters import ModelInferRequestConverter
    from mlserver.server import MLServer
    from mlserver.types import InferenceRequest

    os.sched_setaffinity(0, {int(sys.argv[1])})
    rows = np.random.default_rng(0).normal(size=(20_000, FEATURES))
    model = lightgbm.train(
        {"num_leaves": LEAVES, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, rows[:, 0] ** 2), TREES
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model.save_model(folder / "model.bst")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            grpc_port: int = free.getsockname()[1]
        settings = {"parallel_workers": 0, "host": "127.0.0.1", "debug": False, "grpc_port": grpc_port}
        settings |= {"http_port": 0, "metrics_port": 0, "metrics_endpoint": None}
        (folder / "settings.json").write_text(json.dumps(settings))
        implementation = "mlserver_lightgbm.LightGBMModel"
        own = {"name": "clv", "implementation": implementation, "parameters": {"uri": "./model.bst"}}
        (folder / "model-settings.json").write_text(json.dumps(own))
        request = InferenceRequest(inputs=[NumpyCodec.encode_input("predict", rows[:1].astype(np.float32))])
        body = ModelInferRequestConverter.from_types(request, model_name="clv").SerializeToString()
        print(os.getpid(), grpc_port, body.hex(), flush=True)

        async def serve() -> None:
            found, models = await load_settings(str(folder))
            await MLServer(found).start(models)

        asyncio.run(serve())


if __name__ == "__main__":
    main()
