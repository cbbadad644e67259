"""What a use case is: the frozen value over which training, serving, gates and monitoring loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.storage import Lake


Columns = Mapping[str, np.ndarray[Any, Any]]
"""Named columns of equal length, one entry per row."""
Metrics = dict[str, float]
Resampled = tuple[int, Callable[[np.ndarray[Any, Any]], Metrics]]
"""How many units can be drawn, and the metrics of drawn ones, by their numbers."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One input of a model: its name is its column in gold, in requests and in the prediction log.

    `override` says whether a request may give it; the bounds (inclusive) are checked on what a request gives.
    """

    name: str
    override: bool = False
    integer: bool = False
    minimum: float | None = None
    maximum: float | None = None


class Model(Protocol):
    """What every fitted model can do; at run time it needs NumPy and perhaps onnxruntime, nothing heavier.

    `kind` is "baseline" for the simple baseline of a use case, otherwise the kind of model.
    `defaults` holds, for each numeric input, the training default used where neither request nor lake has a value.
    `params` goes to the registry as is: hyperparameters, and facts such as the size of the catalogue.
    """

    kind: str
    defaults: Mapping[str, float]
    params: Mapping[str, Any]

    def predict(self, inputs: Columns, options: Columns) -> dict[str, np.ndarray[Any, Any]]:
        """Answer n rows: each input and option is an array of length n, each output too.

        Numeric inputs are float64, NaN where unknown (the default is used then).
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the safe artifact (JSON, npz without pickle, ONNX) into an empty folder; see `training.artifact`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows to train on and rows to test on, split by time with the label's horizon between them.

    `labels_end` is the moment before which every training label has elapsed; `as_of` the test cutoff.
    `data_versions` are the Delta versions that were read, by table. `extra` carries what flat rows cannot.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    labels_end: datetime
    as_of: datetime
    data_versions: Mapping[str, int]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A gate's verdict on a candidate, with its reasons in plain words."""

    promote: bool
    reasons: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """One model of the shop, from its features to its gate. Listed in `training.use_cases.USE_CASES`.

    name: the registered model's name.
    title: a few words for people, for example "Customer lifetime value, 180 days".
    entity: what a request's key names.
    feature_table: the gold table that inputs are read from, at training and at serving.
    features: the inputs in the model's order; for the recommender none, as its input is the customer's history.
    options: request fields that are no features, for example "k".
    outputs: the columns of `Model.predict` that are answered and logged; the first is the main one.
    primary_metric: the holdout metric that the gate compares, and `higher_is_better` its direction.
    dataset: reads the lake, see `DatasetReader`; with `refit=True` trains on all elapsed labels, `test` is empty.
    predicts_label: whether the main output is an estimate of the rows' `label`, so that the two can be compared.
    not_for: what the model must not be used for, for its card.
    shuffled: the same dataset with nothing to learn in `train`: labels (or what stands for them) permuted by a seed;
        absent where chance has no level, as for segments: noise can be cut into parts that lie apart.
    continued: with a new model, the one that it follows and the dataset it was fitted on: the new model with what must
        keep its meaning over retrainings, such as ids.
    fit / fit_baseline: train the candidate and the simple baseline.
    evaluate: metrics of a model on the dataset's test rows.
    references: metrics of stronger named baselines, by name; the gate refuses a candidate that is worse.
    gate: candidate's metrics and champion's metrics on the same test rows; the candidate's hold `gain_low` of `gains`.
    gains: how much better the first model is than the second in the primary metric (positive is better), on each of
        many resamples of the test rows, the same rows for both (paired bootstrap).
    resampled: with a model and a dataset, the units that the test is of (customers, products) and the metrics of drawn
        ones, from answers that are computed once; absent where each test row is a unit with a label.
    example: inputs and options of a few rows (of `train`; NaN allowed), for golden rows and the registry's example.
    figures: matplotlib figures by file name that a person would look at.
    load: the model in an artifact folder, the inverse of `Model.save`.
    explain: with the model, inputs and options of one row: what is answered beside the result with VIEW_FULL.
    """

    name: str
    title: str
    entity: Literal["customer", "product"]
    feature_table: str
    features: tuple[Feature, ...]
    options: tuple[str, ...]
    outputs: tuple[str, ...]
    primary_metric: str
    higher_is_better: bool
    dataset: DatasetReader
    fit: Callable[[Dataset], Model]
    fit_baseline: Callable[[Dataset], Model]
    evaluate: Callable[[Model, Dataset], Metrics]
    references: Callable[[Dataset], dict[str, Metrics]]
    gate: Callable[[Metrics, Metrics], Decision]
    figures: Callable[[Model, Dataset], dict[str, Any]]
    load: Callable[[Path], Model]
    explain: Callable[[Model, Columns, Columns], dict[str, Any]]
    example: Callable[[Dataset], tuple[Columns, Columns]]
    gains: Callable[[Model, Model, Dataset], np.ndarray[Any, Any]]
    resampled: Callable[[Model, Dataset], Resampled] | None = None
    shuffled: Callable[[Dataset, int], Dataset] | None = None
    predicts_label: bool = False
    not_for: str = ""
    continued: Callable[[Model, Model, Dataset], Model] | None = None


class DatasetReader(Protocol):
    """The signature of `UseCase.dataset`."""

    def __call__(
        self, lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None
    ) -> Dataset:
        """Read the training data from the lake, as it is now or at the given `versions` of the tables.

        `window` counts test windows back from the newest; nothing after the window's end is read.

        Raises:
            ShopSphereError: there is not enough history.
        """
        ...
