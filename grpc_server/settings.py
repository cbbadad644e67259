"""Settings of the server; made once at the entry point and handed down."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field

from lakehouse.errors import ConfigurationError
from training.settings import TrainingSettings


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

    @property
    def spool_dir(self) -> Path:
        """Where workers keep answers until they are committed to the prediction log."""
        return self.var_dir.absolute() / "spool"

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
