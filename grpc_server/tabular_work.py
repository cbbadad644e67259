"""The work of a call whose model reads a row of features: where each comes from, and which campaign is meant."""

from collections.abc import Mapping

import numpy as np

from grpc_server.call import Array
from grpc_server.errors import not_found
from grpc_server.work import Lists, Work
from training import tabular
from training.columns import object_array, plain


class TabularWork(Work):
    """Each input from the request, else the campaign or the lake, else the training default."""

    def run(self) -> None:
        """Predict the items that can be."""
        inputs = self._inputs()
        items = self.valid
        if not items:
            return
        if len(items) < len(self.errors):
            inputs = tabular.Rows(inputs.matrix[items], inputs.names)
        used = np.where(np.isnan(inputs.matrix), self.served.defaults, inputs.matrix)
        options = {name: self._option(name)[items] for name in self.use_case.options}
        outputs = self._precomputed(items) or self._ask(inputs, options)
        asked = {name: plain(column) for name, column in options.items() if name != "product_id"}
        self.logged = {**dict(zip(inputs.names, used.T.tolist(), strict=True)), **asked, **outputs}
        self.outputs = {name: self._spread(column, items) for name, column in outputs.items()}

    def _precomputed(self, items: list[int]) -> Lists | None:
        """The answers that were made before anybody asked; None where a call is about more than the lake's own rows."""
        table = self.state.precomputed.get((self.use_case.name, self.served.version))
        call, positions = self.call, self.positions[items]
        more = call.overrides or call.explain or any(call.campaign_ids)
        more = more or any(bound is not None for bound in (call.min_price, call.max_price, call.unit_cost))
        if table is None or more or (positions < 0).any():
            return None
        rows = table[positions]
        columns = {name: rows[name] for name in table.dtype.names or ()}
        return {
            name: [text.decode() for text in column.tolist()] if column.dtype.kind == "S" else column.tolist()
            for name, column in columns.items()
        }

    def _option(self, name: str) -> Array:
        """An option of the use case, one entry per item."""
        if name == "campaign_id":
            return object_array(self.campaign_ids)
        if name == "product_id":
            return self.ids
        given = {
            "request_min_price": self.call.min_price,
            "request_max_price": self.call.max_price,
            "unit_cost": self.call.unit_cost,
        }[name]
        return np.full(len(self.errors), np.nan) if given is None else given

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
