"""What can be asked of the generated shop: its mode, its size, its dirt and its seed."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lakehouse.errors import ConfigurationError

Mode = Literal["rich", "kaggle"]
MODES: tuple[Mode, ...] = ("rich", "kaggle")
SECONDS = 86_400
"""Seconds of a day."""


@dataclass(frozen=True)
class Dirt:
    """The share of rows that each kind of dirt spoils; a row has one kind at most, but for `unpriced`.

    unpriced: of purchases, product and revenue empty. device_null, source_case, junk_sessions: of events;
    before_signup: of views; discount_out_of_range: of transactions; refund_above_zero: of refunds; the others of both.
    Late rows are in files of their own. broken_lines: lines at the end of every file, each of which breaks the
    contract in a way of its own.
    """

    unpriced: float = 0.0
    device_null: float = 0.0
    source_case: float = 0.0
    float_ids: float = 0.0
    day_first: float = 0.0
    duplicates: float = 0.0
    late: float = 0.0
    orphans: float = 0.0
    before_signup: float = 0.0
    junk_sessions: float = 0.0
    discount_out_of_range: float = 0.0
    refund_above_zero: float = 0.0
    broken_lines: bool = False


CLEAN = Dirt()
CONTRACT = Dirt(unpriced=0.1013, device_null=0.02015, source_case=0.05)
"""What the contract's own data has."""
SMALL = Dirt(unpriced=0.1013, device_null=0.02015, source_case=0.05, broken_lines=True)
DIRTY = Dirt(
    unpriced=0.1013,
    device_null=0.02015,
    source_case=0.05,
    float_ids=0.01,
    day_first=0.001,
    duplicates=0.002,
    late=0.005,
    orphans=0.001,
    before_signup=0.002,
    junk_sessions=0.01,
    discount_out_of_range=0.001,
    refund_above_zero=0.05,
    broken_lines=True,
)
STARTS: dict[Mode, datetime] = {"rich": datetime(2022, 1, 1), "kaggle": datetime(2021, 1, 1)}


@dataclass(frozen=True)
class Knobs:
    """One shop: equal knobs give equal bytes.

    density: expected sessions per customer. deep: discounts of 10 to 40 %, not 5 to 20 %. confounding: how much more
    the shop discounts in weeks of weak demand.

    Raises:
        ConfigurationError: a value is out of range; the text says which.
    """

    mode: Mode = "rich"
    customers: int = 4000
    products: int = 300
    density: float = 8.0
    days: int = 500
    deep: bool = False
    confounding: float = 1.0
    seed: int = 0
    dirt: Dirt = field(default=CLEAN)

    def __post_init__(self) -> None:
        least = {"customers": 1, "products": 6, "days": 30, "density": 0.01, "seed": 0, "confounding": 0}
        most = {"customers": 10**9, "products": 50_000, "days": 10_000, "density": 2000, "seed": 2**63}
        if self.mode not in MODES:
            raise ConfigurationError(f"mode {self.mode!r} is unknown: choose {' or '.join(MODES)}")
        for name, low in least.items():
            value, high = getattr(self, name), most.get(name, 100)
            if not low <= value <= high:
                raise ConfigurationError(f"{name} {value!r} is out of range: give {low:,} to {high:,}")

    @property
    def start(self) -> datetime:
        """The first midnight."""
        return STARTS[self.mode]

    @property
    def weeks(self) -> int:
        """Weeks from the start that have a day in the shop's time."""
        return -(-self.days // 7)
