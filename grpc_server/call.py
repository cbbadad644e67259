"""What is asked and what is answered, transport apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grpc_server.errors import CallError
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import RecommendOptions
from grpc_server.state import ServedModel

Array = np.ndarray[Any, Any]


@dataclass(slots=True, kw_only=True)
class Call:
    """What is asked, transport apart: one entry per item everywhere.

    overrides: given features by name, NaN where absent. campaign_ids: "" where absent. k: None where absent.
    min_price, max_price, unit_cost: NaN where absent, None where absent everywhere.
    recommend: what a recommendation asks for beside k; empty for none.
    max_ages: how old features may be, in seconds; empty where that is all the same.
    numbers: the items' numbers in the batch that they are a part of; empty where they are all of it.
    """

    use_case: str
    entity_ids: Sequence[str]
    overrides: Mapping[str, Array] = field(default_factory=dict)
    campaign_ids: Sequence[str] = ()
    k: Sequence[int | None] = ()
    recommend: Sequence[RecommendOptions] = ()
    min_price: Array | None = None
    max_price: Array | None = None
    unit_cost: Array | None = None
    explain: bool = False
    max_ages: Sequence[float] = ()
    numbers: Sequence[int] = ()

    @property
    def plain(self) -> bool:
        """Whether it asks for one entity by its id, and at most for k or a campaign."""
        return (
            len(self.entity_ids) == 1
            and not self.overrides
            and not self.explain
            and not self.max_ages
            and self.min_price is self.max_price is self.unit_cost is None
        )


@dataclass(slots=True, kw_only=True)
class Answers:
    """One entry per item, each output a sequence; where `errors` has one, the item's outputs mean nothing.

    known: whether a row of the snapshot was used.
    All are answers of `served`, but for those of `challenger_items` in a batch that a challenger answers in part.
    """

    batch_id: str
    served: ServedModel
    snapshot: FeatureSnapshot | None
    outputs: Mapping[str, Any]
    errors: Sequence[CallError | None]
    campaign_ids: Sequence[str]
    request_features: Sequence[list[str]]
    default_features: Sequence[list[str]]
    warnings: Sequence[list[str]]
    explanation: Mapping[str, Any]
    known: Sequence[bool]
    challenger: ServedModel | None = None
    challenger_items: Sequence[int] = ()

    def prediction_id(self, item: int) -> str:
        """The key of an item's row in the prediction log."""
        return f"{self.batch_id}-{item}"

    def check_first(self) -> None:
        """Raise the first item's error, as a unary call does.

        Raises:
            CallError: the item has no answer.
        """
        if self.errors[0] is not None:
            raise self.errors[0]
