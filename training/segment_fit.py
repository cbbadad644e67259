"""Fits k-means segments: as many as are stable under resampling, big enough, and apart from each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training import segments
from training.segments import CentreModel
from training.use_case import Columns

Array = np.ndarray[Any, Any]

WEIGHTS = {"avg_discount": 0.2, "avg_quantity": 0.2, "age": 0.1, "loyalty_level": 0.1}
"""Weights beside recency, orders and spend, which have 1: these say how somebody buys, not how much."""
COUNTS = range(3, 9)
DRAWS = 8
STABLE_ARI = 0.8
SMALLEST_SHARE = 0.03
SILHOUETTE_ROWS = 2_000


def scales(inputs: Columns, defaults: Mapping[str, float]) -> dict[str, Array]:
    """Means and weights (over standard deviations) of the space that distances are measured in."""
    raw = segments.raw_space(inputs, defaults)
    spread = raw.std(axis=0)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in defaults])
    return {"means": raw.mean(axis=0), "weights": np.where(spread > 1e-9, weights / np.maximum(spread, 1e-9), 0.0)}


def fit_centres(inputs: Columns, defaults: Mapping[str, float]) -> CentreModel:
    """The number of segments with the highest silhouette among those that are stable and have no tiny segment.

    Stable: refits on bootstrap samples agree with the fit by a mean adjusted Rand index of at least 0.8.
    Where no number qualifies, the most stable one is taken; the gate refuses it.
    """
    scaled = scales(inputs, defaults)
    rows = segments.space(inputs, defaults, scaled)
    tried = [_try(rows, count) for count in COUNTS if count < len(rows)]
    good = [trial for trial in tried if trial["ari"] >= STABLE_ARI and trial["smallest"] >= SMALLEST_SHARE]
    best = max(good, key=lambda trial: trial["silhouette"]) if good else max(tried, key=lambda trial: trial["ari"])
    raw = segments.raw_space(inputs, defaults)
    return _model(best, raw, defaults=defaults, scaled=scaled)


def silhouettes(rows: Array, ids: Array) -> Array:
    """How much nearer each row is to its own segment than to the next, -1 to 1; 0 for all with a single segment."""
    from sklearn.metrics import silhouette_samples

    if len(np.unique(ids)) < 2 or len(np.unique(ids)) >= len(rows):
        return np.zeros(len(rows))
    samples: Array = silhouette_samples(rows, ids)
    return samples


def sample(count: int) -> Array:
    """At most 2,000 row numbers, the same ones every time: silhouettes compare all pairs."""
    generator = np.random.default_rng(0)
    return np.sort(generator.choice(count, min(count, SILHOUETTE_ROWS), replace=False))


def _try(rows: Array, count: int) -> dict[str, Any]:
    from sklearn.metrics import adjusted_rand_score

    fitted = _kmeans(rows, count)
    generator = np.random.default_rng(0)
    agreement = []
    for _ in range(DRAWS):
        again = _kmeans(rows[generator.integers(0, len(rows), len(rows))], count)
        agreement.append(adjusted_rand_score(fitted.labels_, again.predict(rows)))
    chosen = sample(len(rows))
    return {
        "centres": fitted.cluster_centers_,
        "ids": fitted.labels_,
        "ari": float(np.mean(agreement)),
        "smallest": float(np.bincount(fitted.labels_, minlength=count).min() / len(rows)),
        "silhouette": float(silhouettes(rows[chosen], fitted.labels_[chosen]).mean()),
    }


def _kmeans(rows: Array, count: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(count, n_init=4, random_state=0).fit(rows)


def _model(
    trial: dict[str, Any], raw: Array, *, defaults: Mapping[str, float], scaled: Mapping[str, Array]
) -> CentreModel:
    names = list(defaults)
    count = len(trial["centres"])
    spend = [raw[trial["ids"] == number, names.index("monetary")].mean() for number in range(count)]
    order = np.argsort(spend, kind="stable")
    recency = [raw[trial["ids"] == number, names.index("recency_days")].mean() for number in order]
    params = {
        "segments": count,
        "names": segments.spend_names(count, np.array(recency) <= np.median(raw[:, names.index("recency_days")])),
        "bootstrap_ari": round(trial["ari"], 6),
        "rows": len(raw),
    }
    arrays = {**scaled, "centres": trial["centres"][order]}
    return CentreModel(defaults=defaults, params=params, arrays=arrays)
