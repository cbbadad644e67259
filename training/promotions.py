"""The Delta table `promotions`: one row per promotion, refusal, rollback and trial, with who decided, when and why."""

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from lakehouse.storage import Lake
from training.evidence import Window
from training.use_case import Metrics

TABLE = "promotions"
Verdict = Literal["promoted", "refused", "rolled_back", "canary", "shadow", "trial_ended"]
VERBS: Mapping[Verdict, str] = {
    "promoted": "promoted version",
    "refused": "refused version",
    "rolled_back": "rolled back to version",
    "canary": "canary of version",
    "shadow": "shadow of version",
    "trial_ended": "ended the trial of version",
}


@dataclass(frozen=True, kw_only=True)
class PromotionReport:
    """A verdict on `candidate`: refused, `from_version` still answers, otherwise `version` does from now on.

    `version` differs from `candidate` where the candidate was fitted again on all labels, and for a trial: there it is
    the champion, which goes on answering.
    `metrics` holds those of the judged candidate, the champion, and the simple and named baselines, on the same test
    rows, which are of `as_of`; `windows` the primary metric in each window of the backtest, newest first.
    """

    use_case: str
    decision: Verdict
    candidate: int
    version: int
    from_version: int | None
    reasons: Sequence[str]
    metrics: Mapping[str, Metrics]
    as_of: datetime | None = None
    windows: Sequence[Window] = ()

    def line(self) -> str:
        """The verdict in one line, for people."""
        promoted = self.decision == "promoted" and self.version != self.candidate
        refit = f" (fitted on all labels as version {self.version})" if promoted else ""
        return f"{self.use_case}: {VERBS[self.decision]} {self.candidate}{refit}: {'; '.join(self.reasons)}"


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
        "as_of": report.as_of,
        "windows": json.dumps([asdict(entry) for entry in report.windows]),
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


def rolled_back(lake: Lake, use_case: str) -> set[int]:
    """The versions that somebody took back from answering."""
    return {row["from_version"] for row in decisions(lake, use_case) if row["decision"] == "rolled_back"}


def decisions(lake: Lake, use_case: str) -> list[dict[str, Any]]:
    """The rows about a use case, oldest first; none where the table does not exist yet."""
    if not lake.exists(TABLE):
        return []
    rows = lake.scan(TABLE).filter(pl.col("use_case") == use_case).sort("decided_at").collect()
    missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in SCHEMA.items() if name not in rows.columns]
    return rows.with_columns(missing).to_dicts()


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
        "as_of": pl.Datetime("us"),
        "windows": pl.String(),
        "decided_by": pl.String(),
        "decided_at": pl.Datetime("us"),
    }
)
