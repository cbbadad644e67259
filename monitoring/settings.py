"""Settings of monitoring: how much of the prediction log the jobs look at, and where the exporter listens."""

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field

from training.settings import TrainingSettings


class MonitoringSettings(TrainingSettings):
    """The settings of lake and registry, and those of the four jobs and the exporter."""

    monitor_window_rows: Annotated[
        int,
        Field(
            validation_alias=AliasChoices("MONITOR_WINDOW_ROWS"),
            gt=0,
            description="How many of a model's newest logged predictions each monitoring job looks at.",
        ),
    ] = 10_000
    monitor_min_rows: Annotated[
        int,
        Field(
            validation_alias=AliasChoices("MONITOR_MIN_ROWS"),
            gt=0,
            description="With fewer rows than this, drift and AUC are absent and say so.",
        ),
    ] = 200
    exporter_host: Annotated[
        str,
        Field(validation_alias=AliasChoices("EXPORTER_HOST"), description="Address that the exporter listens on."),
    ] = "127.0.0.1"
    exporter_port: Annotated[
        int,
        Field(
            validation_alias=AliasChoices("EXPORTER_PORT"),
            ge=0,
            le=65535,
            description="Port that the exporter listens on; 0 picks a free one.",
        ),
    ] = 9100

    @property
    def reports_dir(self) -> Path:
        """The folder of the reports for people."""
        return self.var_dir.absolute() / "reports"
