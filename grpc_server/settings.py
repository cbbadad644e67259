"""Settings of the server; made once at the entry point and handed down."""

import ipaddress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field

from lakehouse.errors import ConfigurationError
from training.settings import TrainingSettings

EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is what it is in
        return False


def _rates(text: str) -> dict[str, float]:
    from training.use_cases import USE_CASES

    names = [use_case.name for use_case in USE_CASES]
    found = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        name, _, share = part.partition("=")
        try:
            found[name.strip()] = float(share)
        except ValueError:
            raise ValueError(f"{part!r} is not of the form model=share, such as clv=0.1") from None
        if name.strip() not in names:
            raise ValueError(f"there is no model {name.strip()!r}: there are {', '.join(names)}")
        if not 0 <= found[name.strip()] <= 1:
            raise ValueError(f"the share of {name.strip()} must be from 0 to 1, not {share.strip()}")
    return found


def _rates_text(text: str) -> str:
    _rates(text)
    return text


class ServerSettings(TrainingSettings):
    """The settings of lake and registry, and where the server listens."""

    host: Annotated[
        str, Field(validation_alias=AliasChoices("SHOPSPHERE_HOST"), description="Address to listen on.")
    ] = "127.0.0.1"
    grpc_port: Annotated[
        int,
        Field(ge=0, le=65535, validation_alias=AliasChoices("GRPC_PORT"), description="gRPC port; 0 takes a free one."),
    ] = 50051
    rest_port: Annotated[
        int,
        Field(ge=0, le=65535, validation_alias=AliasChoices("REST_PORT"), description="REST port; 0 takes a free one."),
    ] = 8080
    workers: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            validation_alias=AliasChoices("SHOPSPHERE_WORKERS"),
            description="Processes that answer; they share both ports.",
        ),
    ] = 1
    insecure: Annotated[
        bool,
        Field(
            validation_alias=AliasChoices("SHOPSPHERE_INSECURE"),
            description="Allow to listen beyond this machine without TLS; for private networks only.",
        ),
    ] = False

    admin_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            validation_alias=AliasChoices("SHOPSPHERE_ADMIN_PORT"),
            description="gRPC port on 127.0.0.1 of ModelsAdminService, which sets trials and asks nobody who they are; "
            "0: none.",
        ),
    ] = 0
    spool_mb: Annotated[
        int,
        Field(
            ge=64,
            validation_alias=AliasChoices("SHOPSPHERE_SPOOL_MB"),
            description="MiB of answers that may wait on disk for the lake; beyond that they go out unlogged.",
        ),
    ] = 1024
    log_sample: Annotated[
        str,
        AfterValidator(_rates_text),
        Field(
            validation_alias=AliasChoices("SHOPSPHERE_LOG_SAMPLE"),
            description="Shares of answers that are logged, such as `clv=0.1,recommender=0.5`; all of others.",
        ),
    ] = ""

    tracing_endpoint: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"),
            description="http:// address of a collector of OpenTelemetry spans; none are made where empty.",
        ),
    ] = ""

    @property
    def log_rates(self) -> dict[str, float]:
        """`log_sample` by use case."""
        return _rates(self.log_sample)

    @property
    def spool_dir(self) -> Path:
        """Where workers keep answers until they are committed to the prediction log."""
        return self.var_dir.absolute() / "spool"

    def metrics_dir(self, name: str) -> Path:
        """Where the processes of the server `name` keep what they count."""
        return self.serving_dir(name) / "metrics"

    def serving_dir(self, name: str) -> Path:
        """Where the follower puts what the workers of the server `name` load."""
        return self.var_dir.absolute() / "serving" / name

    def check_host(self) -> None:
        """Refuse an address that others can reach, unless asked for by name.

        Raises:
            ConfigurationError: the host is not a loopback address and `insecure` is not set.
        """
        try:
            loopback = self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError as error:
            raise ConfigurationError(f"host {self.host!r} is no IP address: give one, such as 127.0.0.1") from error
        if not loopback and not self.insecure:
            raise ConfigurationError(
                f"host {self.host!r} can be reached by others and there is no TLS: "
                "use 127.0.0.1, or --insecure on a private network"
            )

    def check_tracing(self) -> None:
        """Refuse to send spans without the packages for it.

        Raises:
            ConfigurationError: an address for spans is set, and OpenTelemetry's exporter is not installed.
        """
        if self.tracing_endpoint and not _installed(EXPORTER):
            raise ConfigurationError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry's exporter is not installed: "
                "`pip install 'shopsphere[otel]'`, or unset it"
            )
