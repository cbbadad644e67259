"""Fits k-means segments: as many as are stable under resampling, big enough, apart from each other, and of use."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training import segments
from training.segments import CentreModel
from training.use_case import Columns

Array = np.ndarray[Any, Any]

WEIGHTS = dict.fromkeys(("avg_discount", "avg_quantity", "age", "loyalty_level"), 0.05)
"""Weights beside recency, orders and spend, which have 1: these say how somebody buys, not how much."""
OUTLIERS = 0.01
"""The share of customers at either end of an input that counts as the value where it begins."""
COUNTS = range(3, 9)
DRAWS = 8
STABLE_ARI = 0.85
SMALLEST_SHARE = 0.03
NEARLY = 0.02
"""Silhouettes that differ by less are as good; then the more useful segments are chosen."""
FITTED_ROWS = 20_000
DRAWN_ROWS = 5_000
SILHOUETTE_ROWS = 2_000


def scales(inputs: Columns, defaults: Mapping[str, float]) -> dict[str, Array]:
    """Limits, means and weights (over standard deviations) of the space that distances are measured in."""
    raw = segments.raw_space(inputs, defaults)
    low, high = (np.quantile(raw, share, axis=0) for share in (OUTLIERS, 1 - OUTLIERS))
    raw = np.clip(raw, low, high)
    spread = raw.std(axis=0)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in defaults])
    weights = np.where(spread > 1e-9, weights / np.maximum(spread, 1e-9), 0.0)
    return {"low": low, "high": high, "means": raw.mean(axis=0), "weights": weights}


def fit_centres(inputs: Columns, defaults: Mapping[str, float], *, known: Columns, next_spend: Array) -> CentreModel:
    """Centres of `inputs`, as many as do best on customers whose next spend is `known`.

    Those are the counts that are stable (refits on bootstrap samples agree by a mean adjusted Rand index of at least
    0.85) and have no segment under 3 %; of these the ones with about the highest silhouette; of these the one that
    tells most of next spend (eta squared of its logarithm). Where none is stable, the most stable one is taken, which
    the gate refuses; customers that are all alike are one segment.
    """
    scaled = scales(inputs, defaults)
    spaces = [segments.space(columns, defaults, scaled) for columns in (inputs, known)]
    with _one_thread():
        chosen = _choose(spaces[1], next_spend)
        fitted = _kmeans(_some(spaces[0], FITTED_ROWS), chosen["count"])
    spend = list(defaults).index("monetary")
    order = np.argsort(fitted.cluster_centers_[:, spend], kind="stable")
    arrays = {**scaled, "centres": fitted.cluster_centers_[order], "ids": np.arange(chosen["count"])}
    params = {"segments": chosen["count"], "bootstrap_ari": round(chosen["ari"], 6), "rows": len(spaces[0])}
    return CentreModel(defaults=defaults, params=params, arrays=arrays)


def silhouettes(rows: Array, ids: Array) -> Array:
    """How much nearer each row is to its own segment than to the next, -1 to 1; 0 for all with a single segment."""
    from sklearn.metrics import silhouette_samples

    if len(np.unique(ids)) < 2 or len(np.unique(ids)) >= len(rows):
        return np.zeros(len(rows))
    samples: Array = silhouette_samples(rows, ids)
    return samples


def sample(count: int, most: int = SILHOUETTE_ROWS) -> Array:
    """At most `most` row numbers, the same ones every time; silhouettes compare all pairs."""
    generator = np.random.default_rng(0)
    return np.sort(generator.choice(count, min(count, most), replace=False))


def eta_squared(values: Array, ids: Array) -> float:
    """The share of the values' variance that lies between the segments, 0 to 1."""
    total = float(np.square(values - values.mean()).sum())
    between = sum(
        (ids == number).sum() * (values[ids == number].mean() - values.mean()) ** 2 for number in np.unique(ids)
    )
    return float(between) / total if total > 0 else 0.0


def _choose(rows: Array, next_spend: Array) -> dict[str, Any]:
    distinct = len(np.unique(rows, axis=0))
    tried = [_try(rows, count, next_spend) for count in COUNTS if count < distinct]
    if not tried:
        return {"count": 1, "ari": 0.0}
    good = [trial for trial in tried if trial["ari"] >= STABLE_ARI and trial["smallest"] >= SMALLEST_SHARE]
    if not good:
        return max(tried, key=lambda trial: trial["ari"])
    best = max(trial["silhouette"] for trial in good)
    apart = [trial for trial in good if trial["silhouette"] > best - NEARLY]
    return max(apart, key=lambda trial: trial["useful"])


def _try(rows: Array, count: int, next_spend: Array) -> dict[str, Any]:
    from sklearn.metrics import adjusted_rand_score

    fitted = _kmeans(_some(rows, FITTED_ROWS), count)
    ids = fitted.predict(rows)
    generator = np.random.default_rng(0)
    agreement = []
    for _ in range(DRAWS):
        again = _kmeans(rows[generator.integers(0, len(rows), min(len(rows), DRAWN_ROWS))], count)
        agreement.append(adjusted_rand_score(ids, again.predict(rows)))
    chosen = sample(len(rows))
    return {
        "count": count,
        "ari": float(np.mean(agreement)),
        "smallest": float(np.bincount(ids, minlength=count).min() / len(rows)),
        "silhouette": float(silhouettes(rows[chosen], ids[chosen]).mean()),
        "useful": eta_squared(np.log1p(np.maximum(next_spend, 0)), ids),
    }


def _kmeans(rows: Array, count: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(count, n_init=10, random_state=0).fit(rows)


def _some(rows: Array, most: int) -> Array:
    some: Array = rows[sample(len(rows), most)]
    return some


def _one_thread() -> Any:
    """For so few rows threads wait for each other longer than they work, a hundred times so on a busy machine."""
    import sklearn.cluster  # noqa: F401 (limits hold for the libraries that are loaded)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
