"""Generates the protobuf and gRPC code into gen/ when the project is installed; nothing generated is committed."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
SUFFIXES = (".py", ".pyi")


def generate(root: Path = ROOT, out: Path | None = None) -> None:
    """Compile proto/**/*.proto into gen/ (or `out`), with typed stubs."""
    from importlib.resources import files

    from grpc_tools import protoc

    out = out or root / "gen"
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
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
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


def stale(root: Path = ROOT) -> list[str]:
    """The files of gen/ that differ from what proto/ generates now."""
    with tempfile.TemporaryDirectory() as folder:
        generate(root, Path(folder))
        fresh = {
            path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.suffix in SUFFIXES
        }
    gen = root / "gen"
    known = {path.relative_to(gen): path.read_bytes() for path in gen.rglob("*") if path.suffix in SUFFIXES}
    return sorted(str(path) for path in fresh.keys() | known.keys() if fresh.get(path) != known.get(path))


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if files := stale():
            sys.exit(f"gen/ is stale ({', '.join(files)}): run `python hatch_build.py`")
    else:
        generate()
