"""The address of the model registry: whether it answers at all, how to show it, and what MLflow's libraries need."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.addresses import shown
from lakehouse.errors import ShopSphereError
from training.settings import TrainingSettings

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}
QUIET = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "GIT_PYTHON_REFRESH": "quiet",
}


class RegistryError(ShopSphereError):
    """The model registry cannot be reached, or does not have what was asked for."""


def check_reachable(uri: str) -> None:
    """Fail at once where MLflow itself would retry for minutes.

    Raises:
        RegistryError: no server listens there, or the SQLite file cannot be written.
    """
    parts = urlsplit(uri)
    try:
        if parts.scheme == "sqlite":
            path = Path(uri.removeprefix("sqlite:///"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("ab").close()
        elif parts.hostname and (port := parts.port or PORTS.get(parts.scheme.split("+")[0])):
            socket.create_connection((parts.hostname, port), timeout=5).close()
    except OSError as error:
        raise RegistryError(
            f"cannot reach the model registry at {shown(uri)}: {error.strerror or error}; check MLFLOW_TRACKING_URI"
        ) from error


def store_exists(uri: str) -> bool:
    """Whether there is a registry to look at: a SQLite file may not have been made yet."""
    return not uri.startswith("sqlite:") or Path(uri.removeprefix("sqlite:///")).exists()


def set_environment(settings: TrainingSettings) -> None:
    """MLflow and boto3 read their settings from the environment only; what the user set there wins."""
    given = {**QUIET, "AWS_DEFAULT_REGION": settings.aws_region}
    if settings.aws_endpoint_url:
        given["MLFLOW_S3_ENDPOINT_URL"] = settings.aws_endpoint_url
    if settings.aws_access_key_id and settings.aws_secret_access_key:
        given["AWS_ACCESS_KEY_ID"] = settings.aws_access_key_id.get_secret_value()
        given["AWS_SECRET_ACCESS_KEY"] = settings.aws_secret_access_key.get_secret_value()
    for variable, value in given.items():
        os.environ.setdefault(variable, value)
