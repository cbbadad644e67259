"""The code that a model is trained with: the package's version, the commit where there is one, and the libraries."""

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("numpy", "polars", "duckdb", "scikit-learn", "lightgbm", "implicit", "onnxruntime")
"""Those whose version can change what a fit gives. Seeds are constants of the code, so its version pins them too."""


@cache
def tags() -> dict[str, str]:
    """The versions as a model's tags; `commit` ends with `+changes` where files differ, and is absent without git."""
    libraries = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    found = {"shopsphere": version("shopsphere"), "libraries": json.dumps(libraries)}
    commit = _commit(Path(__file__).parent)
    return found | {"commit": commit} if commit else found


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What of the code differs between the tags of two models, in words."""
    found = [
        f"{name} was {then[name]}, is {now[name]}"
        for name in ("shopsphere", "commit")
        if name in then and name in now and then[name] != now[name]
    ]
    old, new = (json.loads(told.get("libraries", "{}")) for told in (then, now))
    return found + [f"{name} was {old[name]}, is {new[name]}" for name in new if name in old and old[name] != new[name]]


def _commit(folder: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return ""

    def told(*words: str) -> str:
        done = subprocess.run([git, "-C", str(folder), *words], capture_output=True, text=True, check=False)  # noqa: S603 (fixed words)
        return done.stdout.strip() if done.returncode == 0 else ""

    if told("ls-files", "--error-unmatch", "code_version.py") == "":
        return ""  # installed into somebody else's work tree
    commit = told("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and told("status", "--porcelain", "--untracked-files=no") else commit
