"""The Delta table `promotions`: one row per promotion, refusal and rollback, with who decided, when and why."""

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from lakehouse.storage import Lake
from training.use_case import Metrics

TABLE = "promotions"
Verdict = Literal["promoted", "refused", "rolled_back"]


@dataclass(frozen=True, kw_only=True)
class PromotionReport:
    """A verdict on `candidate`: refused, `from_version` still answers, otherwise `version` does from now on.

    `version` differs from `candidate` where the candidate was fitted again on all labels.
    `metrics` holds those of the judged candidate and champion, on the same test rows.
    """

    use_case: str
    decision: Verdict
    candidate: int
    version: int
    from_version: int | None
    reasons: Sequence[str]
    metrics: Mapping[str, Metrics]

    def line(self) -> str:
        """The verdict in one line, for people."""
        verb = {"promoted": "promoted version", "refused": "refused version", "rolled_back": "rolled back to version"}
        refit = f" (fitted on all labels as version {self.version})" if self.version != self.candidate else ""
        return f"{self.use_case}: {verb[self.decision]} {self.candidate}{refit}: {'; '.join(self.reasons)}"


def record(lake: Lake, report: PromotionReport, *, decided_by: str | None = None) -> PromotionReport:
    """Append a verdict to the table; `decided_by` is the user of the process where not given."""
    row = {
        "use_case": report.use_case,
        "version": report.version,
        "candidate": report.candidate,
        "from_version": report.from_version,
        "decision": report.decision,
        "reasons": list(report.reasons),
        "metrics": json.dumps(report.metrics),
        "decided_by": decided_by or _user(),
        "decided_at": datetime.now(UTC).replace(tzinfo=None),
    }
    lake.append(TABLE, pl.DataFrame([row], schema=SCHEMA))
    return report


def predecessor(lake: Lake, use_case: str, version: int) -> int | None:
    """The version that answered before this one was promoted; None where the table knows of none."""
    if not lake.exists(TABLE):
        return None
    promoted = lake.scan(TABLE).filter(
        pl.col("use_case") == use_case, pl.col("decision") == "promoted", pl.col("version") == version
    )
    rows = promoted.sort("decided_at").select("from_version").collect()
    return None if rows.is_empty() else rows.item(-1, 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


SCHEMA = pl.Schema(
    {
        "use_case": pl.String(),
        "version": pl.Int64(),
        "candidate": pl.Int64(),
        "from_version": pl.Int64(),
        "decision": pl.String(),
        "reasons": pl.List(pl.String()),
        "metrics": pl.String(),
        "decided_by": pl.String(),
        "decided_at": pl.Datetime("us"),
    }
)
