"""The usual call in short: one entity that the lake knows, asked for by its id alone.

It answers what `grpc_server.work` answers, in plain numbers: arrays of one row would cost more than the model. Whatever
else a call holds is left to `Work`.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from grpc_server.call import Answers, Call
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import NOTHING_ASKED, lake_id
from grpc_server.state import ServedModel, State
from training.recommend_request import DEFAULT_K, as_of_day

Logged = Mapping[str, Any]
"""What the log keeps of one answer beside its origin: a value for each column."""


class Single:
    """A use case of one state; `answer` gives None where the call is not one of the usual ones."""

    def __init__(
        self, served: ServedModel, snapshot: FeatureSnapshot, state: State, took: Callable[[str, float], None]
    ) -> None:
        self.served, self.snapshot = served, snapshot
        self._campaigns = state.campaigns
        self._chosen = state.campaigns.choose(snapshot.as_of) if state.campaigns else None
        self._as_of_day = as_of_day(snapshot.as_of)
        self._defaults = dict(zip(served.names, served.defaults.tolist(), strict=True))
        asked = [name for name in served.use_case.options if name not in ("campaign_id", "product_id")]
        self._nothing_asked = dict.fromkeys(asked, math.nan)
        self._predict: Any = _timed(_short_way(served), served.use_case.name, took)
        self._answer = self._list if hasattr(served.model, "predict_known") else self._scored

    def answer(self, call: Call, batch_id: str) -> tuple[Answers, Logged] | None:
        """The answer to a plain call, and what is to be logged of it."""
        entity_id = lake_id(call.entity_ids[0])
        position = self.snapshot.position(entity_id)
        return self._answer(call, batch_id, entity_id, position) if position >= 0 else None

    def _scored(self, call: Call, batch_id: str, entity_id: int, position: int) -> tuple[Answers, Logged] | None:
        """From the row of features, and the campaign's."""
        served = self.served
        known = dict(zip(served.names, self.snapshot.row(position, served.names), strict=True))
        warnings, campaign_id = [*served.warnings], ""
        options: dict[str, Any] = self._nothing_asked
        if "campaign_days" in known:
            campaign_id = call.campaign_ids[0] if call.campaign_ids else ""
            if not self._add_campaign(known, campaign_id, warnings):
                return None
            campaign_id = campaign_id or (self._chosen[0].campaign_id if self._chosen else "")
            options = {"campaign_id": campaign_id}
        unknown = [name for name, value in known.items() if math.isnan(value)]
        outputs = self._predict(known, {**options, "product_id": entity_id})
        used = known
        if unknown:
            used = known | {name: self._defaults[name] for name in unknown}
            warnings.append("defaults_used")
        answers = self._answers(batch_id, outputs, campaign_id, unknown, warnings)
        return answers, {**used, **options, **outputs}

    def _add_campaign(self, known: dict[str, float], campaign_id: str, warnings: list[str]) -> bool:
        """Add what is known of the campaign of that id, or of the chosen one; false where there is none of that id."""
        found = self._campaigns.get(campaign_id) if self._campaigns and campaign_id else None
        if found is None and campaign_id:
            return False
        if found is None and self._chosen:
            found, ended = self._chosen
            warnings += ["campaign_ended"] if ended else []
        known["uplift_mean"] = found.uplift_mean if found else math.nan
        known["campaign_days"] = found.campaign_days if found else math.nan
        return True

    def _list(self, call: Call, batch_id: str, entity_id: int, position: int) -> tuple[Answers, Logged] | None:
        """The list that was computed ahead for the customer's history."""
        if call.recommend and call.recommend[0] is not NOTHING_ASKED:
            return None
        k = call.k[0] if call.k and call.k[0] is not None else DEFAULT_K
        outputs = self._predict(self.snapshot.digest(position), k, self._as_of_day) if k > 0 else None
        if outputs is None:
            return None
        asked = {"k": k, "include_repeats": math.nan, "categories": [], "exclude_product_ids": [], "country": ""}
        answers = self._answers(batch_id, outputs, "", [], [*self.served.warnings])
        return answers, {"history_length": float(self.snapshot.history_length(position)), **asked, **outputs}

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
    """Those of a state, by use case, whose model answers in plain numbers; `took` is told how long each took."""
    found = {}
    for name, served in state.models.items():
        snapshot = state.features.get(served.use_case.feature_table)
        if snapshot and _short_way(served):
            found[name] = Single(served, snapshot, state, took)
    return found


def _timed(predict: Callable[..., Any], use_case: str, took: Callable[[str, float], None]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        began = time.perf_counter()
        answer = predict(*given)
        took(use_case, time.perf_counter() - began)
        return answer

    return timed


def _short_way(served: ServedModel) -> Any:
    """How the model answers one row in plain numbers, or a known history; None where it cannot."""
    return getattr(served.model, "predict_one", getattr(served.model, "predict_known", None))
