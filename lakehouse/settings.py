"""Settings of the lake: made once at the entry point and handed down; each field is an environment variable."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse import addresses
from lakehouse.credentials import Credentials, from_files
from lakehouse.errors import ConfigurationError

CONNECT = "5s"
RETRIES = 5
SECRETS = "/run/secrets"
"""Where Docker puts the secrets of a service, each in a file with its name."""


class Settings(BaseSettings):
    """Where the lake is and how to reach it."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True, frozen=True)

    var_dir: Annotated[
        Path,
        Field(
            validation_alias=AliasChoices("SHOPSPHERE_VAR"),
            description="Folder of everything made at run time: lake, MLflow store, prediction spool, reports.",
        ),
    ] = Path("var")
    lake_root: Annotated[
        str,
        AfterValidator(addresses.place),
        Field(
            validation_alias=AliasChoices("LAKE_ROOT"),
            description="Folder or s3://bucket/… address of the Delta tables; `lake` under SHOPSPHERE_VAR where empty.",
        ),
    ] = ""
    rows_per_bucket: Annotated[
        int,
        Field(
            validation_alias=AliasChoices("LAKE_ROWS_PER_BUCKET"),
            ge=1,
            description="Rows of events and transactions that a build holds in memory at once; fewer need less memory.",
        ),
    ] = 2_000_000
    retention_days: Annotated[
        int,
        Field(
            validation_alias=AliasChoices("LAKE_RETENTION_DAYS"),
            ge=1,
            description="Days for which `maintain` keeps files that no newest version, model or prediction needs.",
        ),
    ] = 7
    engine: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("ENGINE"),
            pattern=r"^(dask://\S+:\d+)?$",
            description="Where a build's tasks run: `dask://host:port` is a running Dask scheduler; here where empty.",
        ),
    ] = ""
    aws_endpoint_url: Annotated[
        str,
        AfterValidator(addresses.endpoint),
        Field(
            validation_alias=AliasChoices("AWS_ENDPOINT_URL"),
            description="http:// or https:// address of an S3 store such as MinIO; AWS itself where empty.",
        ),
    ] = ""
    aws_region: Annotated[
        str, Field(validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"), description="S3 region.")
    ] = "us-east-1"
    aws_access_key_id: Annotated[
        SecretStr | None, Field(validation_alias=AliasChoices("AWS_ACCESS_KEY_ID"), description="S3 access key.")
    ] = None
    aws_secret_access_key: Annotated[
        SecretStr | None, Field(validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY"), description="S3 secret key.")
    ] = None

    aws_session_token: Annotated[
        SecretStr | None,
        Field(validation_alias=AliasChoices("AWS_SESSION_TOKEN"), description="Session token of temporary S3 keys."),
    ] = None
    aws_profile: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("AWS_PROFILE"),
            description="Profile in AWS's credentials and config files that has the keys, where none is given above.",
        ),
    ] = ""
    s3_timeout_seconds: Annotated[
        int,
        Field(
            validation_alias=AliasChoices("S3_TIMEOUT_SECONDS"),
            ge=1,
            description="How long an S3 store may take for one answer, and for how long a failed request is repeated.",
        ),
    ] = 20

    def __init__(self, **values: Any) -> None:
        """Read the environment, `.env` and secret files; keyword arguments win.

        Raises:
            ConfigurationError: a value does not fit; the message names the variable.
        """
        try:
            super().__init__(_secrets_dir=_secrets_folder(), **values)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors(include_input=False)
            )
            raise ConfigurationError(f"wrong setting: {wrong}; see docs/settings.md") from None

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for a process that makes its own from them; holds the secrets."""
        found: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            alias, value = field.validation_alias, getattr(self, name)
            if isinstance(alias, AliasChoices) and value is not None:
                secret = isinstance(value, SecretStr)
                found[str(alias.choices[0])] = value.get_secret_value() if secret else str(value)
        return found

    @property
    def lake_uri(self) -> str:
        """The lake's root: an absolute folder or an s3:// address, without a slash at its end."""
        root = self.lake_root.rstrip("/")
        if not root:
            return str((self.var_dir / "lake").absolute())
        return root if root.startswith("s3://") else str(Path(root).absolute())

    @property
    def credentials(self) -> Credentials | None:
        """The keys for S3: given ones, else those of AWS's files, else None: the libraries find a machine's role."""
        if self.aws_access_key_id and self.aws_secret_access_key:
            token = self.aws_session_token.get_secret_value() if self.aws_session_token else ""
            return Credentials(
                self.aws_access_key_id.get_secret_value(), self.aws_secret_access_key.get_secret_value(), token
            )
        return from_files(self.aws_profile)

    @property
    def storage_options(self) -> dict[str, str]:
        """What deltalake needs to reach the lake, and Polars too; empty for a folder."""
        if not self.lake_uri.startswith("s3://"):
            return {}
        options = {"AWS_REGION": self.aws_region, "aws_conditional_put": "etag"}
        if self.aws_endpoint_url:
            options["AWS_ENDPOINT_URL"] = self.aws_endpoint_url
            options["AWS_ALLOW_HTTP"] = str(self.aws_endpoint_url.startswith("http://")).lower()
        if found := self.credentials:
            options |= {"AWS_ACCESS_KEY_ID": found.key, "AWS_SECRET_ACCESS_KEY": found.secret}
            if found.token:
                options["AWS_SESSION_TOKEN"] = found.token
        seconds = f"{self.s3_timeout_seconds}s"
        return options | {"connect_timeout": CONNECT, "timeout": seconds, "retry_timeout": seconds}

    @property
    def scan_options(self) -> dict[str, Any]:
        """The same for Polars, which names its retries in another way."""
        options: dict[str, Any] = dict(self.storage_options)
        return options and options | {"max_retries": RETRIES, "retry_timeout_ms": 1000 * self.s3_timeout_seconds}

    @property
    def s3fs_options(self) -> dict[str, Any]:
        """The same for fsspec's s3fs, wherever the lake is."""
        options: dict[str, Any] = {
            "client_kwargs": {"region_name": self.aws_region},
            "config_kwargs": {
                "connect_timeout": int(CONNECT.removesuffix("s")),
                "read_timeout": self.s3_timeout_seconds,
                "retries": {"max_attempts": 1},  # s3fs repeats failed requests itself
            },
        }
        if self.aws_endpoint_url:
            options["endpoint_url"] = self.aws_endpoint_url
        if found := self.credentials:
            options |= {"key": found.key, "secret": found.secret, "token": found.token or None}
        return options


def _secrets_folder() -> str | None:
    """Where secret files are: SHOPSPHERE_SECRETS_DIR, or Docker's folder where it exists."""
    named = os.environ.get("SHOPSPHERE_SECRETS_DIR")
    if named and not Path(named).is_dir():
        raise ConfigurationError(f"SHOPSPHERE_SECRETS_DIR is {named!r}, which is no folder: name one or unset it")
    return named or (SECRETS if Path(SECRETS).is_dir() else None)
