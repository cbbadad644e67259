"""The recommender that knows no taste, and the frame of all others: scores, filters, the best k, reasons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, columns
from training.catalogue import Catalogue
from training.recommend_request import NO_HISTORY, Asked, History
from training.use_case import Columns

Array = np.ndarray[Any, Any]
Answer = tuple[Array, Array, Array]
"""Product ids, scores and reasons, best first."""
Known = tuple[Array, Array, Array]
"""Of a history: catalogue positions of its eligible products, their weights and their interest."""
BLOCK_ROWS = 256
LENGTH = 20
"""Of the list of what is popular that is kept."""
REPEAT, SIMILAR = "repeat", "similar"
"""Reasons: bought before; by the model."""


class PopularityRecommender:
    """The baseline: everybody gets the products with the highest popularity, their taste ignored.

    `params["include_repeats"]` (true where absent) says whether a customer's own purchases may be recommended to them
    unless the row's option says otherwise; `params["as_of_day"]` by which day products must be launched.
    """

    kind = "baseline"

    def __init__(self, catalogue: Catalogue, params: Mapping[str, Any]) -> None:
        self.catalogue = catalogue
        self.defaults: Mapping[str, float] = {}
        self.params = params
        self._popular: dict[str, tuple[Array, Array]] = {}

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """The k best products per row (10 where the option is absent), best first, with scores and reasons.

        Reasons are "repeat" (bought before), "similar" (by the model), "popular" or "popular_in_country". A row gets
        fewer than k only where no more products pass its filters; whoever has bought everything gets repeats, unless
        the option says no.
        """
        count = columns.row_count(inputs, options)
        rows = [(History.of(inputs, row), Asked.of(options, row)) for row in range(count)]
        return _outputs(self.answer(rows))

    def answer(self, rows: Sequence[tuple[History, Asked]]) -> list[Answer]:
        """The answer to each row: what is known ahead, else computed from the scores of the whole catalogue."""
        answers = [self._known_ahead(*row) for row in rows]
        rest = iter(self.computed([row for row, found in zip(rows, answers, strict=True) if found is None]))
        return [next(rest) if found is None else found for found in answers]

    def computed(self, rows: Sequence[tuple[History, Asked]]) -> list[Answer]:
        """As `answer`, with nothing known ahead."""
        starts = range(0, len(rows), BLOCK_ROWS)
        return [answer for start in starts for answer in self._block(rows[start : start + BLOCK_ROWS])]

    def supporting(self, inputs: Columns, options: Columns, product_ids: Array) -> list[list[int]]:
        """The purchases that each product of one row's answer rests on: none, as nobody's history is used."""
        return [[] for _ in product_ids]

    def includes_repeats(self, asked: Asked) -> bool:
        """Whether a row's own purchases may be in its list."""
        default = bool(self.params.get("include_repeats", True))
        return default if asked.include_repeats is None else asked.include_repeats

    def save(self, folder: Path) -> None:
        """Write the catalogue, and what else the model has."""
        arrays = {**self.catalogue.arrays(), **self._arrays()}
        artifact.write(folder, use_case="recommender", kind=self.kind, params=self.params, arrays=arrays)

    def _arrays(self) -> Mapping[str, Array]:
        return {}

    def _scores(self, known: Sequence[Known], repeats: Sequence[bool]) -> Array:
        """Rows x eligible products, an array of its own; rows without a known product are not looked at."""
        return np.tile(self.catalogue.popularity.astype(np.float32), (len(known), 1))

    def _reason(self) -> str:
        return "popular"

    def _block(self, rows: Sequence[tuple[History, Asked]]) -> Iterator[Answer]:
        known = [self._known(history) for history, _ in rows]
        scores = self._scores(known, [self.includes_repeats(asked) for _, asked in rows])
        reasons = []
        for score, (history, asked), (index, _, _) in zip(scores, rows, known, strict=True):
            local = None if len(index) else self.catalogue.popularity_in(asked.country)
            if not len(index):
                score[:] = self.catalogue.popularity if local is None else local
            reasons.append(self._reason() if len(index) else "popular" if local is None else "popular_in_country")
            self._filter(score, history, asked)
        top = best(scores, max((asked.k for _, asked in rows), default=0))
        for order, score, (history, asked), reason in zip(top, scores, rows, reasons, strict=True):
            chosen = order[: asked.k]
            answer = self._answer(chosen[score[chosen] > -np.inf], score, history, asked, reason)
            if not len(answer[0]) and asked.include_repeats is None and not self.includes_repeats(asked):
                answer = self.answer([(history, replace(asked, include_repeats=True))])[0]
            yield answer

    def _known_ahead(self, history: History, asked: Asked) -> Answer | None:
        """For cold rows without filters what is popular, ranked once for each country."""
        if asked.filters or asked.k > LENGTH or self._day(asked) != self.params.get("as_of_day", np.inf):
            return None
        if len(self.catalogue.positions(history.product_ids)[0]):
            return None
        local = self.catalogue.popularity_in(asked.country)
        country = "" if local is None else asked.country
        if country not in self._popular:
            row = (NO_HISTORY, replace(asked, k=LENGTH, country=country))
            ids, scores, _ = self.computed([row])[0]
            eligible = self.catalogue.positions(ids)[1]
            self._popular[country] = ids[eligible], scores[eligible]
        ids, scores = (column[: asked.k] for column in self._popular[country])
        return self._told(ids, scores, history, asked, "popular_in_country" if country else "popular")

    def _known(self, history: History) -> Known:
        index, known = self.catalogue.positions(history.product_ids)
        return index, history.weights[known], history.interest[known]

    def _filter(self, score: Array, history: History, asked: Asked) -> None:
        allowed = self.catalogue.allowed(asked.categories, self._day(asked))
        if allowed is not None:
            score[~allowed] = -np.inf
        score[self.catalogue.positions(self._unwanted(history, asked))[0]] = -np.inf

    def _unwanted(self, history: History, asked: Asked) -> Array:
        if self.includes_repeats(asked):
            return asked.excluded
        return np.concatenate([asked.excluded, history.bought])

    def _day(self, asked: Asked) -> float:
        day = float(self.params.get("as_of_day", np.inf))
        return day if np.isnan(asked.as_of_day) else asked.as_of_day

    def _answer(self, chosen: Array, score: Array, history: History, asked: Asked, reason: str) -> Answer:
        return self._told(self.catalogue.product_ids[chosen], score[chosen].astype(np.float64), history, asked, reason)

    def _told(self, ids: Array, scores: Array, history: History, asked: Asked, reason: str) -> Answer:
        """The list with its reasons, filled up with the rest of the catalogue where it is short."""
        bought = set(history.bought.tolist())
        reasons = [REPEAT if item in bought else reason for item in ids.tolist()]
        missing = asked.k - len(ids)
        if missing > 0 and len(self.catalogue.rest_ids):
            others = self.catalogue.rest(asked.categories, self._day(asked), self._unwanted(history, asked))[:missing]
            lowest = min(float(scores[-1]), 0.0) if len(scores) else 0.0
            ids = np.concatenate([ids, others])
            scores = np.concatenate([scores, lowest - np.arange(1.0, len(others) + 1)])
            reasons += [REPEAT if item in bought else "popular" for item in others.tolist()]
        return ids, scores, columns.object_array(reasons)


def best(scores: Array, k: int) -> Array:
    """Positions of the k highest scores of each row, highest first, ties by position."""
    if k >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    top = np.sort(np.argpartition(-scores, k, axis=1)[:, :k], axis=1)
    taken = np.take_along_axis(scores, top, axis=1)
    least = taken.min(axis=1, keepdims=True)
    # of equal scores at the end any may be taken, and which one would depend on who else is asked for
    cut = (scores == least).sum(axis=1) > (taken == least).sum(axis=1)
    for row in np.flatnonzero(cut):
        above, equal = np.flatnonzero(scores[row] > least[row]), np.flatnonzero(scores[row] == least[row])
        top[row] = np.sort(np.concatenate([above, equal[: k - len(above)]]))
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


def _outputs(answers: Sequence[Answer]) -> dict[str, Array]:
    names = ("item_ids", "item_scores", "item_reasons")
    return {name: columns.object_array([answer[place] for answer in answers]) for place, name in enumerate(names)}
