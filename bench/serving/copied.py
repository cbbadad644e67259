"""A shop's lake and registry, copied so that a bench's calls are in nobody's prediction log."""

import shutil
from pathlib import Path

from grpc_server.settings import ServerSettings


def copied(var: Path, scratch: Path) -> ServerSettings:
    """Settings of the copy: one worker, free ports."""
    for name in ("lake", "mlflow"):
        shutil.copytree(var / name, scratch / "var" / name)
    return ServerSettings(var_dir=scratch / "var", lake_root="", grpc_port=0, rest_port=0, workers=1)
