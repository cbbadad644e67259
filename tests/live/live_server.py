"""Real worker processes of a server, and a follower in the test's own process that drops what they load."""

import os
import subprocess
import sys
import time

import numpy as np

from grpc_server.client import Client
from grpc_server.live import follow
from lakehouse.storage import Lake
from training.constant import ConstantModel
from training.use_cases import get

EVERY = {feature.name: 1 for feature in get("clv").features if feature.override}
"""All features of a request, so that a customer whom no lake knows gets an answer."""


def constant(value, *, inputs=("monetary",)):
    """A model of CLV that answers a number."""
    return ConstantModel("clv", output="clv_180d", value=value, defaults=dict.fromkeys(inputs, 7.0))


def log(registry, model):
    """Register a model of CLV; gives its version."""
    example = ({name: np.array([1.0, np.nan]) for name in model.defaults}, {})
    return registry.log("clv", model, example=example, metrics={"rmse": 1.0}, tags={}).version


def wait(reached, seconds=60):
    """Until a condition holds; gives what it says."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


class Live:
    """A server's workers, and what stands for its follower."""

    def __init__(self, settings, follower):
        self.settings, self.follower = settings, follower
        self.serving = settings.serving_dir("live")
        self.lake = Lake(settings)
        self.address = f"127.0.0.1:{settings.grpc_port}"
        self.workers = []

    def start(self):
        """One more worker; gives its process."""
        environment = {**os.environ, **self.settings.environment()}
        number = str(len(self.workers))
        command = [sys.executable, "-m", "grpc_server.worker", "live", number, number]
        command += ["--parent", str(os.getpid())]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def take(self, version, **expected):
        """Let the follower look, and the workers take a version; gives what they say."""
        self.follower.step()
        return follow(self.serving, "clv", version, **expected)

    def ask(self, customer="7"):
        """The answer about a customer, and the version that gave it."""
        with Client(self.address) as client:
            answer = client.clv(customer, **EVERY)
        return answer["clv_180d"], answer["metadata"]["model"]["version"]
