"""What pins a version of a table: models that were trained on it and predictions that rest on it need its files."""

from collections.abc import Mapping, Sequence

from lakehouse.predictions import PREDICTIONS
from lakehouse.storage import Lake
from lakehouse.wording import counted

Pins = Mapping[str, Mapping[int, Sequence[str]]]
"""By table and version: who needs it, in words."""


def prediction_pins(lake: Lake) -> Pins:
    """The versions whose features the logged predictions were made from."""
    if not lake.exists(PREDICTIONS):
        return {}
    used = (
        lake.scan(PREDICTIONS)
        .drop_nulls(["feature_table", "feature_version"])
        .group_by("feature_table", "feature_version")
        .len()
        .sort("feature_table", "feature_version")
        .collect(engine="streaming")
    )
    found: dict[str, dict[int, list[str]]] = {}
    for table, version, count in used.iter_rows():
        found.setdefault(table, {})[version] = [counted(count, "prediction")]
    return found


def merged(*pins: Pins) -> Pins:
    """All pins together."""
    found: dict[str, dict[int, list[str]]] = {}
    for some in pins:
        for table, versions in some.items():
            for version, who in versions.items():
                found.setdefault(table, {}).setdefault(version, []).extend(who)
    return found
