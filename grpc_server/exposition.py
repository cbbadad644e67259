"""What Prometheus scrapes: the numbers of all processes of a server, added up as their kind wants it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grpc_server.counters import Key

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BOUNDS = (*map(str, BUCKETS), "+Inf")
SUM = "sum"
"""A histogram is one number per bound, not cumulated, and its sum."""


@dataclass(frozen=True)
class Family:
    """A metric: its kind, what it says, its labels, and what several processes' numbers are together."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()
    together: Callable[[Iterable[float]], float] = sum


def render(families: Sequence[Family], sources: Sequence[Mapping[Key, float]]) -> bytes:
    """The text of all families that have a number; a gauge that is NaN is absent."""
    from prometheus_client import generate_latest

    found: dict[Key, list[float]] = {}
    for source in sources:
        for key, value in source.items():
            if not math.isnan(value):
                found.setdefault(key, []).append(value)

    class Collected:
        def collect(self) -> Iterable["Metric"]:
            return [_metric(family, found) for family in families]

    collected: Any = Collected()
    return generate_latest(collected)


def _metric(family: Family, found: Mapping[Key, Sequence[float]]) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    numbers = {key[1:]: family.together(values) for key, values in found.items() if key[0] == family.name}
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels in sorted({labels[:-1] for labels in numbers}):
            counts = [numbers.get((*labels, bound), 0.0) for bound in BOUNDS]
            cumulated = [(bound, sum(counts[: place + 1])) for place, bound in enumerate(BOUNDS)]
            histogram.add_metric(labels, cumulated, numbers.get((*labels, SUM), 0.0))
        return histogram
    made = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = made(family.name, family.text, labels=family.labels)
    for labels, number in sorted(numbers.items()):
        metric.add_metric(labels, number)
    return metric
