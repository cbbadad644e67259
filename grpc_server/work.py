"""One call on its way: where each input comes from, what the model is asked and what it says."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from grpc_server.call import Answers, Array, Call
from grpc_server.errors import CallError, not_found
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_histories import histories, with_country
from grpc_server.recommend_options import NOTHING_ASKED, lake_id, options
from grpc_server.state import ServedModel, State
from training import tabular
from training.columns import object_array, plain
from training.recommend_request import DEFAULT_K, as_of_day
from training.use_case import Columns, UseCase

CUSTOMERS, PRODUCTS = "gold.customer_features", "gold.product_features"


class Work:
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
        self.asked = list(call.recommend) or [NOTHING_ASKED] * count
        self.warnings: list[list[str]] = [list(served.warnings) for _ in range(count)]
        self.request_features: list[list[str]] = [[] for _ in range(count)]
        self.default_features: list[list[str]] = [[] for _ in range(count)]
        self.outputs: dict[str, list[Any]] = {}
        self.logged: dict[str, list[Any]] = {}
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
            self.logged |= zip(inputs.names, used.T.tolist(), strict=True)
        else:
            self.logged["history_length"] = [float(len(ids)) for ids in inputs["history_product_ids"]]
            recent = [list(self.asked[item].recent_product_ids) for item in self.valid.tolist()]
            if any(recent):
                self.logged["recent_product_ids"] = recent
        options = self._options()
        outputs = {name: plain(column) for name, column in self.served.model.predict(inputs, options).items()}
        asked = {name: plain(column) for name, column in options.items() if name not in ("product_id", "as_of_day")}
        self.logged |= asked | outputs
        self.outputs = {name: self._spread(column) for name, column in outputs.items()}
        if not self.use_case.features:
            for item, products in zip(self.valid.tolist(), outputs["item_ids"], strict=True):
                self.warnings[item] += [] if products else ["no_products_left"]
        if self.call.explain:
            self.explanation = self.use_case.explain(self.served.model, inputs, options)

    def answers(self, batch_id: str) -> Answers:
        """What the services turn into messages."""
        return Answers(
            batch_id=batch_id,
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
        unnamed = not all(self.campaign_ids)
        chosen = table.choose(self.snapshot.as_of) if table and self.snapshot and unnamed else None
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
        found = histories(self.snapshot, self.positions[self.valid], asked, self.state.features.get(PRODUCTS))
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
        if name == "product_id":
            return self.ids
        if name == "as_of_day":
            return np.full(count, as_of_day(self.snapshot.as_of) if self.snapshot else np.nan)
        given = {
            "request_min_price": self.call.min_price,
            "request_max_price": self.call.max_price,
            "unit_cost": self.call.unit_cost,
        }[name]
        return np.full(count, np.nan) if given is None else given

    def _spread(self, column: list[Any]) -> list[Any]:
        """Outputs of the valid items at the places of all items."""
        if len(self.valid) == len(self.errors):
            return column
        spread: list[Any] = [None] * len(self.errors)
        for item, value in zip(self.valid.tolist(), column, strict=True):
            spread[item] = value
        return spread
