"""Generates the protobuf and gRPC code into gen/ when the project is installed; nothing generated is committed."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


def generate(root: Path = ROOT) -> None:
    """Compile proto/**/*.proto into gen/, with typed stubs."""
    from importlib.resources import files

    from grpc_tools import protoc

    out = root / "gen"
    out.mkdir(exist_ok=True)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    plugins = [
        f"--plugin={name}={shutil.which(name, path=programs)}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    ]
    protos = sorted(str(path) for path in (root / "proto").rglob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={root / 'proto'}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out={out}",
        f"--mypy_grpc_out={out}",
        *plugins,
        *protos,
    ]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed on proto/: see the messages above")
    (out / "shopsphere" / "py.typed").touch()


class GenerateProtobuf(BuildHookInterface[Any]):
    """Hatch calls this before it builds a wheel or an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the code."""
        generate(Path(self.root))


if __name__ == "__main__":
    generate()
