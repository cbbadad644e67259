"""The model card: what a version was trained on, how good it is beside what, and what it must not be used for.

After Mitchell et al. 2019, "Model Cards for Model Reporting"; figures lie beside it in the run.
"""

from collections.abc import Iterable, Mapping, Sequence

from training.evidence import Evidence
from training.use_case import Dataset, Model, UseCase

IMPORTANT = 8
"""How many features are named at most."""


def model_card(
    use_case: UseCase, model: Model, data: Dataset, evidence: Evidence, *, code: Mapping[str, str], refit_of: int | None
) -> str:
    """The card in Markdown; `refit_of` is the version with the same recipe whose holdout the figures are of."""
    sections = (
        _head(use_case, model, refit_of),
        _data(data, code),
        _metrics(use_case, evidence),
        _not_for(use_case),
        _backtest(use_case, evidence),
        _checks(use_case, evidence),
        _calibration(evidence),
        _slices(use_case, evidence),
        _features(use_case, evidence),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _head(use_case: UseCase, model: Model, refit_of: int | None) -> list[str]:
    lines = [
        f"# {use_case.title}",
        "",
        f"Model `{use_case.name}`, kind `{model.kind}`, one answer per {use_case.entity}.",
    ]
    if refit_of is not None:
        told = f"The recipe of version {refit_of}, fitted again on all elapsed labels"
        lines.append(f"{told}; the figures are those of version {refit_of}.")
    return lines


def _data(data: Dataset, code: Mapping[str, str]) -> list[str]:
    versions = ", ".join(f"{table} version {version}" for table, version in data.data_versions.items())
    lines = ["## Data", "", f"- read: {versions}", f"- trained on {data.train.height:,} rows"]
    lines.append(f"- training labels end {data.labels_end:%Y-%m-%d}")
    if data.test.height:
        lines.append(f"- tested on {data.test.height:,} rows as of {data.as_of:%Y-%m-%d} and later")
    commit = f", commit {code['commit'][:12]}" if "commit" in code else ""
    return [*lines, f"- code: shopsphere {code['shopsphere']}{commit}"]


def _metrics(use_case: UseCase, evidence: Evidence) -> list[str]:
    columns = {"model": evidence.metrics, "simple baseline": evidence.baseline, **evidence.references}
    names = [use_case.primary_metric, *(name for name in evidence.metrics if name != use_case.primary_metric)]
    rows = [
        [f"**{name}**" if name == use_case.primary_metric else name]
        + [
            _number(row[name]) + _interval(evidence, name, column) if name in row else ""
            for column, row in columns.items()
        ]
        for name in names
    ]
    lines = ["## How good it is", "", *_table(["metric", *(name.replace("_", " ") for name in columns)], rows)]
    gain, better = evidence.gain, "higher" if use_case.higher_is_better else "lower"
    if "gain_low" in gain:
        low, high = _number(gain["gain_low"]), _number(gain["gain_high"])
        told = (
            f"Its {use_case.primary_metric} ({better} is better) gains {_number(gain['gain'])} over the simple baseline"
        )
        lines += ["", f"{told}, 90 % interval {low} to {high} (paired bootstrap)."]
    return lines


def _interval(evidence: Evidence, name: str, column: str) -> str:
    if column != "model" or name not in evidence.intervals:
        return ""
    low, high = evidence.intervals[name]
    return f" ({_number(low)} to {_number(high)})"


def _not_for(use_case: UseCase) -> list[str]:
    return ["## Not for", "", use_case.not_for] if use_case.not_for else []


def _backtest(use_case: UseCase, evidence: Evidence) -> list[str]:
    if not evidence.windows:
        return []
    rows = [
        [entry.as_of[:10], f"{entry.rows:,}", _number(entry.model), _number(entry.baseline)]
        for entry in evidence.windows
    ]
    metric = use_case.primary_metric
    lines = ["## Backtest", "", *_table(["test from", "rows", f"{metric}, model", "simple baseline"], rows)]
    return [*lines, "", f"No earlier window: {evidence.windows_end}."] if evidence.windows_end else lines


def _checks(use_case: UseCase, evidence: Evidence) -> list[str]:
    lines = []
    if evidence.shuffled:
        low, high = (_number(evidence.shuffled[name]) for name in ("gain_low", "gain_high"))
        lines.append(f"- trained on shuffled labels it gains {low} to {high} over the simple baseline; 0 is chance")
    if evidence.ranking:
        name, skill = max(evidence.ranking.items(), key=lambda entry: entry[1])
        lines.append(f"- the feature that ranks best alone is {name}: {skill:.2f} (0 chance, 1 perfect)")
    if evidence.answers_ranking is not None:
        lines.append(f"- the model's answers rank {evidence.answers_ranking:.2f}")
    return ["## Checks", "", *lines] if lines else []


def _calibration(evidence: Evidence) -> list[str]:
    if not evidence.deciles:
        return []
    rows = [[str(n), _number(said), _number(came)] for n, (said, came) in enumerate(evidence.deciles, start=1)]
    return ["## Calibration", "", *_table(["tenth of the answers", "predicted, mean", "actual, mean"], rows)]


def _slices(use_case: UseCase, evidence: Evidence) -> list[str]:
    if not evidence.slices:
        return []
    rows = [[part.name, f"{part.rows:,}", _number(part.model), _number(part.baseline)] for part in evidence.slices]
    head = ["part of the test rows", "rows", f"{use_case.primary_metric}, model", "simple baseline"]
    return ["## Slices", "", *_table(head, rows)]


def _features(use_case: UseCase, evidence: Evidence) -> list[str]:
    best = sorted(evidence.importances.items(), key=lambda entry: -entry[1])[:IMPORTANT]
    rows = [[name, _number(loss)] for name, loss in best if loss > 0]
    head = ["feature", f"{use_case.primary_metric} lost when it is shuffled"]
    return ["## What it rests on", "", *_table(head, rows)] if rows else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:.4g}"
