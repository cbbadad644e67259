"""The source `synthetic`: a generated shop with a clickstream whose truth is known, or the contract's own data shape.

In the mode `rich` customers differ in how often they come, how long they stay, what they like and how price and
campaigns move them; in the mode `kaggle` there is nothing to learn. See `Knobs` for what can be asked.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lakehouse.sources.synthetic.knobs import CLEAN, CONTRACT, DIRTY, SMALL, Dirt, Knobs, Mode
from lakehouse.sources.synthetic.write import check_ours, generate

__all__ = ["CLEAN", "CONTRACT", "DEMO", "DIRTY", "SMALL", "Dirt", "Knobs", "Mode"]
__all__ += ["check_ours", "generate", "knobs_of", "write"]

DEMO = Knobs(deep=True, dirt=SMALL)
"""The demo's shop: four thousand customers, five hundred days, what the contract's data has of dirt."""


def write(folder: Path, **knobs: Any) -> None:
    """Write the demo's shop, with these knobs changed: the CSVs into the folder, the truth into `truth/` under it."""
    generate(folder, folder / "truth", replace(DEMO, **knobs))


def knobs_of(mode: Mode, *, dirty: bool = False, **given: Any) -> Knobs:
    """The knobs of a mode, of the contract's size for `kaggle` and the demo's for `rich`, but for what is given."""
    if mode == "kaggle":
        size: dict[str, Any] = {"customers": 100_000, "products": 2000, "density": 6.335, "days": 1095}
        size["dirt"] = CONTRACT
    else:
        size = {"dirt": DIRTY if dirty else CLEAN}
    return Knobs(mode=mode, **(size | {name: value for name, value in given.items() if value is not None}))
