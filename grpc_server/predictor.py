"""The core of every call, unary or batch, gRPC or REST: validate, look up, predict, log, answer."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from grpc_server import checks
from grpc_server.errors import CallError, no_champion, not_found, starting
from grpc_server.metrics import Metrics
from grpc_server.online_features import FeatureSnapshot
from grpc_server.prediction_log import PredictionLog, SpoolError
from grpc_server.recommend_histories import histories, with_country
from grpc_server.recommend_options import RecommendOptions, lake_id, options
from grpc_server.state import ServedModel, State, StateHolder
from training import tabular
from training.columns import object_array
from training.recommend_request import as_of_day
from training.use_case import Columns, UseCase
from training.use_cases import get

Array = np.ndarray[Any, Any]
DEFAULT_K = 10
CUSTOMERS = "gold.customer_features"


@dataclass(frozen=True, kw_only=True)
class Call:
    """What is asked, transport apart: one entry per item everywhere.

    overrides: given features by name, NaN where absent. campaign_ids: "" where absent. k: None where absent.
    min_price, max_price, unit_cost: NaN where absent. field_prefix: how violations name the features' message.
    recommend: what a recommendation asks for beside k; empty for none.
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
    max_age_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """One entry per item; where `errors` has one, the item's outputs mean nothing."""

    batch_id: str
    served: ServedModel
    snapshot: FeatureSnapshot | None
    outputs: Mapping[str, Array]
    errors: Sequence[CallError | None]
    campaign_ids: Sequence[str]
    request_features: Sequence[list[str]]
    default_features: Sequence[list[str]]
    warnings: Sequence[list[str]]
    explanation: Mapping[str, Any]

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


class Predictor:
    """Answers calls from the holder's current state and logs every answer before it goes out."""

    def __init__(self, holder: StateHolder, log: PredictionLog, metrics: Metrics) -> None:
        self._holder = holder
        self._log = log
        self._metrics = metrics

    def predict(self, call: Call) -> Answers:
        """Answer all items of a call.

        Raises:
            CallError: there is no champion, the features are too old, or the log cannot take the answers.
        """
        use_case = get(call.use_case)
        errors = checks.violations(use_case, call)
        state = self._holder.current
        served = state.models.get(use_case.name)
        if served is None:
            if errors[0] is not None and len(errors) == 1:
                raise errors[0]
            raise no_champion(use_case.name) if self._holder.loaded else starting()
        snapshot = state.features.get(use_case.feature_table)
        self._check_age(call, snapshot)
        work = _Work(use_case=use_case, served=served, snapshot=snapshot, state=state, call=call, errors=errors)
        work.run()
        answers = work.answers()
        self._write(answers, work)
        return answers

    def _check_age(self, call: Call, snapshot: FeatureSnapshot | None) -> None:
        if call.max_age_seconds is None:
            return
        now = datetime.now(UTC).replace(tzinfo=None)
        if snapshot is None or (now - snapshot.as_of).total_seconds() > call.max_age_seconds:
            known = f"are as of {snapshot.as_of}" if snapshot else "do not exist"
            raise CallError("FAILED_PRECONDITION", "FEATURES_TOO_OLD", f"the features {known}, older than asked")

    def _write(self, answers: Answers, work: "_Work") -> None:
        rows = work.valid.tolist()
        if not rows:
            return
        served, snapshot = answers.served, answers.snapshot
        record = {
            "ids": [answers.prediction_id(item) for item in rows],
            "entity_ids": [work.call.entity_ids[item] for item in rows],
            "use_case": work.use_case.name,
            "model_name": work.use_case.name,
            "model_version": served.version,
            "alias": served.alias,
            "feature_table": snapshot.table if snapshot else None,
            "feature_version": snapshot.version if snapshot else None,
            "as_of": snapshot.as_of.isoformat() if snapshot else None,
            "predicted_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
            "columns": {name: _plain(values) for name, values in work.logged.items()},
            "request_features": [answers.request_features[item] for item in rows],
            "default_features": [answers.default_features[item] for item in rows],
            "warnings": [answers.warnings[item] for item in rows],
        }
        try:
            self._log.append(record)
        except SpoolError as error:
            self._metrics.log_dropped.inc(len(rows))
            raise CallError(
                "UNAVAILABLE",
                "LOG_UNAVAILABLE",
                "the prediction log cannot take the answer; try again",
                retry_seconds=1,
            ) from error


class _Work:
    """One call on its way: from what was asked to inputs, options and outputs."""

    def __init__(
        self,
        *,
        use_case: UseCase,
        served: ServedModel,
        snapshot: FeatureSnapshot | None,
        state: State,
        call: Call,
        errors: list[CallError | None],
    ) -> None:
        self.use_case, self.served, self.snapshot, self.state = use_case, served, snapshot, state
        self.call, self.errors = call, errors
        count = len(call.entity_ids)
        self.ids = np.array([lake_id(entity) for entity in call.entity_ids], dtype=np.int64)
        unknown = np.full(count, -1, dtype=np.int64)
        self.positions = snapshot.positions(self.ids) if snapshot else unknown
        self.campaign_ids = list(call.campaign_ids) or [""] * count
        self.asked = list(call.recommend) or [RecommendOptions()] * count
        self.warnings: list[list[str]] = [list(served.warnings) for _ in range(count)]
        self.request_features: list[list[str]] = [[] for _ in range(count)]
        self.default_features: list[list[str]] = [[] for _ in range(count)]
        self.outputs: dict[str, Array] = {}
        self.logged: dict[str, Array] = {}
        self.explanation: Mapping[str, Any] = {}
        self.valid = np.empty(0, dtype=np.int64)

    def run(self) -> None:
        """Predict the items that can be."""
        inputs: Columns
        if self.use_case.features:
            inputs = self._inputs()
            self._select()
        else:
            self._select()
            inputs = self._histories()
        if not len(self.valid):
            return
        if isinstance(inputs, tabular.Rows):
            if len(self.valid) < len(self.errors):
                inputs = tabular.Rows(inputs.matrix[self.valid], inputs.names)
            used = np.where(np.isnan(inputs.matrix), self.served.defaults, inputs.matrix)
            self.logged |= zip(inputs.names, used.T, strict=True)
        else:
            self.logged["history_length"] = np.array([float(len(ids)) for ids in inputs["history_product_ids"]])
        options = self._options()
        outputs = self.served.model.predict(inputs, options)
        self.logged |= {name: column for name, column in options.items() if name not in ("product_id", "as_of_day")}
        self.logged |= outputs
        self.outputs = {name: self._spread(column) for name, column in outputs.items()}
        if not self.use_case.features:
            for item, products in zip(self.valid.tolist(), outputs["item_ids"], strict=True):
                self.warnings[item] += [] if len(products) else ["no_products_left"]
        if self.call.explain:
            self.explanation = self.use_case.explain(self.served.model, inputs, options)

    def answers(self) -> Answers:
        """What the services turn into messages."""
        return Answers(
            batch_id=uuid.uuid4().hex,
            served=self.served,
            snapshot=self.snapshot,
            outputs=self.outputs,
            errors=self.errors,
            campaign_ids=self.campaign_ids,
            request_features=self.request_features,
            default_features=self.default_features,
            warnings=self.warnings,
            explanation=self.explanation,
        )

    def _select(self) -> None:
        self.valid = np.array([item for item, error in enumerate(self.errors) if error is None], dtype=np.intp)

    def _inputs(self) -> tabular.Rows:
        """Each feature from the request, else the campaign or the lake; NaN where the training default will do."""
        names, count = self.served.names, len(self.errors)
        known = self.snapshot.rows(self.positions, names) if self.snapshot else np.full((count, len(names)), np.nan)
        if self.use_case.name == "propensity":
            for name, column in self._campaign_inputs().items():
                known[:, names.index(name)] = column
        given = [
            (number, self.call.overrides[name]) for number, name in enumerate(names) if name in self.call.overrides
        ]
        for number, column in given:
            for item in np.flatnonzero(~np.isnan(column)).tolist():
                known[item, number] = column[item]
                self.request_features[item].append(names[number])
        unknown = np.isnan(known)
        if unknown.any():
            self._tell_defaults(unknown)
        inputs = tabular.Rows(known, names)
        if self.use_case.name == "pricing" and given:
            self._check_revenue(inputs)
        return inputs

    def _tell_defaults(self, unknown: Array) -> None:
        """Say which inputs take their training defaults; what the lake does not know must be in the request."""
        names = self.served.names
        told: dict[bytes, list[str]] = {}
        for item in np.flatnonzero(unknown.any(axis=1)).tolist():
            pattern = unknown[item].tobytes()
            if pattern not in told:
                told[pattern] = [names[number] for number in np.flatnonzero(unknown[item])]
            self.default_features[item] = told[pattern]
            self.warnings[item].append("defaults_used")
        needed = unknown & self.served.overridable
        for item in np.flatnonzero((self.positions < 0) & needed.any(axis=1)).tolist():
            if self.errors[item] is None:
                entity, name = self.use_case.entity, self.call.entity_ids[item]
                missing = ", ".join(names[number] for number in np.flatnonzero(needed[item]))
                self.errors[item] = not_found(
                    entity,
                    name,
                    f"{entity} {name!r} is not in the lake: give all features of the request; missing: {missing}",
                )

    def _check_revenue(self, inputs: Mapping[str, Array]) -> None:
        """A request's own price, units and revenue should agree within a quarter."""
        expected = inputs["avg_price"] * inputs["units"]
        for item, names in enumerate(self.request_features):
            if "revenue" in names and abs(inputs["revenue"][item] - expected[item]) > 0.25 * abs(expected[item]):
                self.warnings[item].append("revenue_inconsistent")

    def _campaign_inputs(self) -> dict[str, Array]:
        """What is known of each item's campaign, which is chosen here where the request names none."""
        columns = {name: np.full(len(self.errors), np.nan) for name in ("uplift_mean", "campaign_days")}
        table = self.state.campaigns
        as_of = self.snapshot.as_of if self.snapshot else None
        chosen = table.choose(as_of) if table and as_of else None
        for item, campaign_id in enumerate(self.campaign_ids):
            campaign = table.get(campaign_id) if table and campaign_id else None
            if not campaign_id and chosen:
                campaign, ended = chosen
                self.campaign_ids[item] = campaign.campaign_id
                if ended:
                    self.warnings[item].append("campaign_ended")
            if campaign_id and campaign is None and self.errors[item] is None:
                self.errors[item] = not_found(
                    "campaign",
                    campaign_id,
                    f"campaign {campaign_id!r} is not in the lake: leave it out, or name another",
                )
            if campaign:
                columns["uplift_mean"][item] = campaign.uplift_mean
                columns["campaign_days"][item] = campaign.campaign_days
        return columns

    def _histories(self) -> dict[str, Array]:
        asked = [self.asked[item] for item in self.valid.tolist()]
        found = histories(self.snapshot, self.positions[self.valid], asked)
        cold = [len(products) == 0 for products in found["history_product_ids"]]
        for item in self.valid[cold].tolist():
            self.warnings[item].append("cold_start")
            self.asked[item] = with_country(self.asked[item], self.state.features.get(CUSTOMERS), self.ids[item])
        return found

    def _options(self) -> dict[str, Array]:
        return {name: column[self.valid] for name, column in self._every_option().items()}

    def _every_option(self) -> dict[str, Array]:
        """Each option of the use case, one entry per item."""
        asked = options(self.asked) if self.use_case.name == "recommender" else {}
        return {name: asked[name] if name in asked else self._option(name) for name in self.use_case.options}

    def _option(self, name: str) -> Array:
        count = len(self.errors)
        if name == "k":
            return np.array([k or DEFAULT_K for k in self.call.k] or [DEFAULT_K] * count, dtype=np.int64)
        if name == "campaign_id":
            return object_array(self.campaign_ids)
        if name in ("customer_id", "product_id"):
            return self.ids
        if name == "as_of_day":
            return np.full(count, as_of_day(self.snapshot.as_of) if self.snapshot else np.nan)
        given = {
            "request_min_price": self.call.min_price,
            "request_max_price": self.call.max_price,
            "unit_cost": self.call.unit_cost,
        }[name]
        return np.full(count, np.nan) if given is None else given

    def _spread(self, column: Array) -> Array:
        """Outputs of the valid items at the places of all items."""
        if len(self.valid) == len(self.errors):
            return column
        spread = np.empty(len(self.errors), dtype=column.dtype)
        spread[self.valid] = column
        return spread


def _plain(values: Array) -> list[Any]:
    if values.dtype == object:
        return [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    plain: list[Any] = values.tolist()
    return plain
