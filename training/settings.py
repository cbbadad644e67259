"""Settings of training: where the model registry is; made once at the entry point and handed down."""

from typing import Annotated

from pydantic import AliasChoices, Field

from lakehouse.settings import Settings


class TrainingSettings(Settings):
    """The lake's settings and the model registry's."""

    mlflow_tracking_uri: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("MLFLOW_TRACKING_URI"),
            description="MLflow's address; a SQLite file under SHOPSPHERE_VAR where empty.",
        ),
    ] = ""
    mlflow_artifact_root: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("MLFLOW_ARTIFACT_ROOT"),
            description="Folder or s3:// address of model artifacts; where empty, a folder under SHOPSPHERE_VAR or "
            "what the MLflow server says.",
        ),
    ] = ""

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking and registry address."""
        return self.mlflow_tracking_uri or f"sqlite:///{(self.var_dir / 'mlflow' / 'mlflow.db').absolute()}"

    @property
    def artifact_root(self) -> str | None:
        """Where new experiments keep their artifacts; None leaves it to the MLflow server."""
        if self.mlflow_artifact_root:
            return self.mlflow_artifact_root.rstrip("/")
        if self.tracking_uri.startswith(("http://", "https://")):
            return None
        return str((self.var_dir / "mlflow" / "artifacts").absolute())
