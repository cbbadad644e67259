"""Settings of the lake: made once at the entry point and handed down; each field is an environment variable."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import ConfigurationError


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
        Field(
            validation_alias=AliasChoices("LAKE_ROOT"),
            description="Folder or s3:// address of the Delta tables; `lake` under SHOPSPHERE_VAR where empty.",
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
        Field(
            validation_alias=AliasChoices("AWS_ENDPOINT_URL"),
            description="Address of an S3-compatible store such as MinIO; AWS itself where empty.",
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

    def __init__(self, **values: Any) -> None:
        """Read the environment and `.env`; keyword arguments win.

        Raises:
            ConfigurationError: a value does not fit; the message names the variable.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
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
    def storage_options(self) -> dict[str, str]:
        """What deltalake and Polars need to reach the lake; empty for a folder."""
        if not self.lake_uri.startswith("s3://"):
            return {}
        options = {"AWS_REGION": self.aws_region, "aws_conditional_put": "etag"}
        if self.aws_endpoint_url:
            options["AWS_ENDPOINT_URL"] = self.aws_endpoint_url
            options["AWS_ALLOW_HTTP"] = str(self.aws_endpoint_url.startswith("http://")).lower()
        if self.aws_access_key_id and self.aws_secret_access_key:
            options["AWS_ACCESS_KEY_ID"] = self.aws_access_key_id.get_secret_value()
            options["AWS_SECRET_ACCESS_KEY"] = self.aws_secret_access_key.get_secret_value()
        return options
