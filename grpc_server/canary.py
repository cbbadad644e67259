"""A canary: who is answered by the challenger, and a batch that two models answer."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grpc_server.call import Answers, Array, Call
from grpc_server.recommend_options import lake_id
from grpc_server.single import Single
from grpc_server.state import Challenger, State


@dataclass(frozen=True)
class Side:
    """What one of the two models answers from."""

    state: State
    singles: Mapping[str, Single]


Answer = Callable[[Call, str, Side], Answers]


class Canary:
    """A use case's challenger with its share of the customers, or of the products where prices are asked for.

    Who they are follows from their ids, the use case and the version alone: nobody changes sides while a trial lasts,
    whichever worker is asked, a larger share keeps those of a smaller one, and another version has others.
    """

    def __init__(self, use_case: str, challenger: Challenger, side: Side, answer: Answer) -> None:
        self._side, self._answer = side, answer
        self._key = f"{use_case} {challenger.served.version}".encode()
        self._below = challenger.percent * 2**64 // 100

    def chooses(self, entity_id: str) -> bool:
        """Whether the challenger answers about them; however an id is written, it is the same customer."""
        known = lake_id(entity_id)
        text = entity_id if known < 0 else str(known)
        digest = hashlib.blake2b(text.encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") < self._below

    def answer(self, call: Call, batch_id: str, champion: Side) -> Answers:
        """Answer a call, each item by the model of its side; each side has a record of its own in the log."""
        mine = [item for item, entity_id in enumerate(call.entity_ids) if self.chooses(entity_id)]
        if not mine:
            return self._answer(call, batch_id, champion)
        if len(mine) == len(call.entity_ids):
            return self._answer(call, batch_id, self._side)
        others = sorted({*range(len(call.entity_ids))}.difference(mine))
        woven = _Woven(
            (others, self._answer(_part(call, others), batch_id, champion)),
            (mine, self._answer(_part(call, mine), batch_id, self._side)),
        )
        return woven.answers()


def canaries(state: State, side_of: Callable[[State], Side], answer: Answer) -> dict[str, Canary]:
    """Those of a state, by use case."""
    return {
        name: Canary(name, one, side_of(replace(state, models={name: one.served})), answer)
        for name, one in state.challengers.items()
        if one.percent
    }


def _part(call: Call, items: list[int]) -> Call:
    """Some items of a call, which keep their numbers."""

    def column(values: Array | None) -> Array | None:
        return None if values is None else values[items]

    def chosen(values: Sequence[Any]) -> list[Any]:
        return [values[item] for item in items] if len(values) else []

    return replace(
        call,
        entity_ids=chosen(call.entity_ids),
        overrides={name: values[items] for name, values in call.overrides.items()},
        campaign_ids=chosen(call.campaign_ids),
        k=chosen(call.k),
        recommend=chosen(call.recommend),
        min_price=column(call.min_price),
        max_price=column(call.max_price),
        unit_cost=column(call.unit_cost),
        max_ages=chosen(call.max_ages),
        numbers=items,
    )


class _Woven:
    """The answers of champion and challenger, each with its items of the batch, as one."""

    def __init__(self, champion: tuple[list[int], Answers], challenger: tuple[list[int], Answers]) -> None:
        self._parts = (champion, challenger)

    def answers(self) -> Answers:
        """In the order of the batch."""
        (_, champion), (mine, challenger) = self._parts
        names = {*champion.outputs, *challenger.outputs}
        return Answers(
            batch_id=champion.batch_id,
            served=champion.served,
            snapshot=champion.snapshot,
            outputs={name: self._column([part.outputs.get(name) for _, part in self._parts]) for name in names},
            errors=self._column([part.errors for _, part in self._parts]),
            campaign_ids=self._column([part.campaign_ids for _, part in self._parts]),
            request_features=self._column([part.request_features for _, part in self._parts]),
            default_features=self._column([part.default_features for _, part in self._parts]),
            warnings=self._column([part.warnings for _, part in self._parts]),
            explanation={},
            known=self._column([part.known for _, part in self._parts]),
            challenger=challenger.served,
            challenger_items=mine,
        )

    def _column(self, columns: Sequence[Sequence[Any] | None]) -> list[Any]:
        """One entry per item of the batch; None where its model has none."""
        found: list[Any] = [None] * sum(len(items) for items, _ in self._parts)
        for (items, _), column in zip(self._parts, columns, strict=True):
            for item, value in zip(items, column or (), strict=column is not None):
                found[item] = value
        return found
