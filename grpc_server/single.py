"""The usual call in short: one entity that the lake knows, asked for by its id alone.

It answers what `grpc_server.work` answers, in plain numbers: arrays of one row would cost more than the model. Whatever
else a call holds is left to `Work`.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpc_server import item_lists, record
from grpc_server.call import Answers, Call
from grpc_server.item_lists import ItemList
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import NOTHING_ASKED, lake_id
from grpc_server.state import ServedModel, State
from training.campaigns import Campaign
from training.recommend_request import DEFAULT_K

LIST_ASKED = ("history_length", "k", "include_repeats", "categories", "exclude_product_ids", "country")
Answered = tuple[Answers, Sequence[str], Sequence[Any]]
"""An answer, and the names and values that the log keeps of it beside its origin."""


class Single:
    """A use case of one state; `answer` gives None where the call is not one of the usual ones."""

    def __init__(
        self, served: ServedModel, snapshot: FeatureSnapshot, state: State, took: Callable[[str, float], None]
    ) -> None:
        self.served, self.snapshot = served, snapshot
        self.origin = record.origin(served, snapshot)
        self._campaigns = state.campaigns
        self._chosen = state.campaigns.choose(snapshot.as_of) if state.campaigns else None
        self._defaults = served.defaults.tolist()
        asked = [name for name in served.use_case.options if name not in ("campaign_id", "product_id")]
        self._nothing_asked = dict.fromkeys(asked, math.nan)
        predict: Any = getattr(served.model, "predict_one", None)
        self._predict: Any = _timed(predict, served.use_case.name, took)
        self._precomputed = state.precomputed.get((served.use_case.name, served.version))
        self._answer = self._scored if served.use_case.features else self._list

    def answer(self, call: Call, batch_id: str) -> Answered | None:
        """The answer to a plain call, and what is to be logged of it."""
        entity_id = lake_id(call.entity_ids[0])
        position = self.snapshot.position(entity_id)
        return self._answer(call, batch_id, entity_id, position) if position >= 0 else None

    def _scored(self, call: Call, batch_id: str, entity_id: int, position: int) -> Answered | None:
        """From the row of features, and the campaign's."""
        names, defaults = self.served.names, self._defaults
        row = self.snapshot.row(position, names)
        warnings, campaign_id, named = [*self.served.warnings], "", False
        options: dict[str, Any] = self._nothing_asked
        if "campaign_days" in names:
            named = bool(call.campaign_ids and call.campaign_ids[0])
            found = self._campaign(call.campaign_ids[0] if named else "", warnings)
            if named and found is None:
                return None
            campaign_id = found.campaign_id if found else ""
            row[names.index("uplift_mean")] = found.uplift_mean if found else math.nan
            row[names.index("campaign_days")] = found.campaign_days if found else math.nan
            options = {"campaign_id": campaign_id}
        outputs = self._outputs(position, row, {**options, "product_id": entity_id}, ready=not named)
        unknown: list[str] = []
        if math.isnan(sum(row)):  # one look at all
            unknown = [name for name, value in zip(names, row, strict=True) if math.isnan(value)]
        if unknown:
            row = [default if math.isnan(value) else value for value, default in zip(row, defaults, strict=True)]
            warnings.append("defaults_used")
        answers = self._answers(batch_id, outputs, campaign_id, unknown, warnings)
        return answers, (*names, *options, *outputs), (*row, *options.values(), *outputs.values())

    def _outputs(
        self, position: int, row: Sequence[float], options: Mapping[str, Any], *, ready: bool
    ) -> Mapping[str, Any]:
        """The precomputed ones where there are some and they are `ready` for the call, else the model's."""
        table = self._precomputed
        if table is not None and ready:
            return {
                name: value.decode() if type(value) is bytes else value
                for name, value in zip(table.dtype.names or (), table.item(position), strict=True)
            }
        outputs: Mapping[str, Any] = self._predict(dict(zip(self.served.names, row, strict=True)), options)
        return outputs

    def _campaign(self, campaign_id: str, warnings: list[str]) -> Campaign | None:
        """The campaign of that id, or the chosen one."""
        if campaign_id:
            return self._campaigns.get(campaign_id) if self._campaigns else None
        found, ended = self._chosen or (None, False)
        warnings += ["campaign_ended"] if ended else []
        return found

    def _list(self, call: Call, batch_id: str, entity_id: int, position: int) -> Answered | None:
        """The customer's precomputed list."""
        if self._precomputed is None or (call.recommend and call.recommend[0] is not NOTHING_ASKED):
            return None
        k = call.k[0] if call.k and call.k[0] is not None else DEFAULT_K
        found: ItemList = self._precomputed.item(position)
        if not 0 < k <= DEFAULT_K or not found[0]:
            return None
        if k < DEFAULT_K:
            found = item_lists.shortened(found, k)
        answers = self._answers(batch_id, item_lists.named(found), "", [], [*self.served.warnings])
        asked: tuple[Any, ...] = (float(self.snapshot.history_length(position)), k, math.nan, [], [], "")
        return answers, (*LIST_ASKED, *item_lists.OUTPUTS), (*asked, *item_lists.logged(found))

    def _answers(
        self, batch_id: str, outputs: Mapping[str, Any], campaign_id: str, unknown: list[str], warnings: list[str]
    ) -> Answers:
        return Answers(
            batch_id=batch_id,
            served=self.served,
            snapshot=self.snapshot,
            outputs={name: (value,) for name, value in outputs.items()},
            errors=(None,),
            campaign_ids=(campaign_id,),
            request_features=([],),
            default_features=(unknown,),
            warnings=(warnings,),
            explanation={},
            known=(True,),
        )


def singles(state: State, took: Callable[[str, float], None]) -> dict[str, Single]:
    """Those of a state, by use case, that are answered in plain numbers; `took` is told how long each model took."""
    found = {}
    for name, served in state.models.items():
        snapshot = state.features.get(served.use_case.feature_table)
        if snapshot and (hasattr(served.model, "predict_one") or not served.use_case.features):
            found[name] = Single(served, snapshot, state, took)
    return found


def _timed(predict: Callable[..., Any], use_case: str, took: Callable[[str, float], None]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        began = time.perf_counter()
        answer = predict(*given)
        took(use_case, time.perf_counter() - began)
        return answer

    return timed
