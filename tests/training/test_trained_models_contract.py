"""What every trained model keeps, on a small lake: the same answers from memory, artifact and registry."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from training import artifact, columns
from training.intervals import intervals
from training.registry import Registry
from training.use_cases import USE_CASES


@pytest.fixture(scope="module", params=USE_CASES, ids=lambda use_case: use_case.name)
def use_case(request):
    """Each use case in turn."""
    return request.param


@pytest.fixture(scope="module")
def data(use_case, tiny_lake):
    """Its dataset."""
    return use_case.dataset(tiny_lake)


@pytest.fixture(scope="module", params=["fit_baseline", "fit"], ids=["baseline", "candidate"])
def model(request, use_case, data):
    """Its simple baseline, then its candidate."""
    return getattr(use_case, request.param)(data)


def same(left, right):
    """Whether two models' answers agree."""
    return left.keys() == right.keys() and all(
        columns.equal(left[name], right[name], tolerance=artifact.TOLERANCE) for name in left
    )


def named_columns(frame):
    """A frame of MLflow's as named columns."""
    return {
        name: columns.object_array(list(frame[name])) if frame[name].dtype == object else frame[name].to_numpy()
        for name in frame
    }


def test_inputs_are_columns_of_the_feature_table(use_case, tiny_lake):
    """Training and serving read the same names; what a request's campaign or bounds give is not in the table."""
    if use_case.features:
        table = tiny_lake.scan(use_case.feature_table).collect_schema().names()
        assert {feature.name for feature in use_case.features} - set(table) <= {"uplift_mean", "campaign_days"}


def test_training_labels_end_before_the_test(data):
    """A split by time, without a row shared."""
    assert data.labels_end <= data.as_of
    assert data.train.height > 0
    assert data.test.height > 0


def test_a_model_answers_its_outputs_in_rows(use_case, model, data):
    """One answer per row for the main output, and only outputs that the use case names."""
    inputs, options = use_case.example(data)
    answers = model.predict(inputs, options)

    assert set(answers) == set(use_case.outputs)
    assert {len(column) for column in answers.values()} == {columns.row_count(inputs, options)}


def test_metrics_hold_the_primary_one_and_are_finite(use_case, model, data):
    """The gate and the registry need numbers."""
    metrics = use_case.evaluate(model, data)

    assert use_case.primary_metric in metrics
    assert all(np.isfinite(value) for value in metrics.values())


def test_intervals_are_of_the_metrics_that_are_told(use_case, model, data):
    """The primary one has an interval; all units drawn once give the metrics themselves."""
    metrics, bounds = use_case.evaluate(model, data), intervals(use_case, model, data)

    assert use_case.primary_metric in bounds
    assert all(np.isfinite(bound).all() for bound in bounds.values())
    if use_case.resampled:
        count, metrics_of = use_case.resampled(model, data)
        every = metrics_of(np.arange(count))
        assert every == pytest.approx({name: metrics[name] for name in bounds})


def test_figures_can_be_read(use_case, model, data):
    """Each has a title, and names on its axes or a title for each of its panels."""
    for figure in use_case.figures(model, data).values():
        for axes in figure.axes:
            assert axes.get_title()
            assert figure.get_suptitle() or (axes.get_xlabel() and axes.get_ylabel())


def test_the_artifact_gives_the_same_answers(use_case, model, data, tmp_path):
    """Saved, loaded and checked by its golden rows, a model has lost nothing."""
    example = use_case.example(data)
    model.save(tmp_path / "model")
    artifact.write_golden(tmp_path / "model", model, *example)

    loaded = artifact.load(tmp_path / "model")

    artifact.check_golden(tmp_path / "model", loaded)
    assert loaded.kind == model.kind
    assert loaded.defaults == model.defaults
    assert same(loaded.predict(*example), model.predict(*example))


def test_the_pyfunc_gives_the_same_answers(use_case, model, data, registry_settings):
    """What a notebook loads with MLflow answers as the server does."""
    inputs, options = use_case.example(data)
    info = Registry(registry_settings).log(use_case.name, model, example=(inputs, options), metrics={}, tags={})
    frame = pd.DataFrame({name: list(column) for name, column in {**inputs, **options}.items()})

    answered = mlflow.pyfunc.load_model(f"models:/{use_case.name}/{info.version}").predict(frame)

    assert same(named_columns(answered), model.predict(inputs, options))


EXTREMES = st.sampled_from([np.nan, 0.0, -1.0, 0.5, 1e-9, 1e9, -1e9, 1e15])
NUMBERS = st.one_of(EXTREMES, st.floats(min_value=-1e6, max_value=1e6, allow_nan=False, width=32))


@st.composite
def asked(draw, use_case):
    """Inputs and options of a few rows: any number for any feature, unknown ones too, any history and any product."""
    count = draw(st.integers(1, 4))

    def column(values):
        return draw(st.lists(values, min_size=count, max_size=count))

    inputs = {feature.name: np.array(column(NUMBERS)) for feature in use_case.features}
    ids = st.one_of(st.integers(1, 40), st.integers(-1, 10**9))
    if not use_case.features:
        lists = column(st.lists(ids, max_size=5, unique=True).map(sorted))
        weights = [draw(st.lists(st.floats(0, 50), min_size=len(row), max_size=len(row))) for row in lists]
        inputs = {
            "history_product_ids": columns.object_array([np.array(row, dtype=np.int64) for row in lists]),
            "history_weights": columns.object_array([np.array(row, dtype=np.float64) for row in weights]),
        }
    every = {
        "k": np.array(column(st.integers(1, 50))),
        "campaign_id": columns.object_array(column(st.sampled_from(["1", "none"]))),
        "product_id": np.array(column(ids)),
        "request_min_price": np.array(column(st.sampled_from([np.nan, 1.0]))),
        "request_max_price": np.array(column(st.sampled_from([np.nan, 500.0]))),
    }
    return inputs, {name: every[name] for name in use_case.options if name in every}


def test_artifact_and_pyfunc_agree_on_anything(use_case, model, data, registry_settings, tmp_path):
    """Random rows, missing values, extremes and unknown products: they differ by 1e-5 of a number at most."""
    registry = Registry(registry_settings)
    info = registry.log(use_case.name, model, example=use_case.example(data), metrics={}, tags={})
    loaded = artifact.load(registry.download(info, tmp_path))
    pyfunc = mlflow.pyfunc.load_model(f"models:/{use_case.name}/{info.version}").unwrap_python_model()

    @given(rows=asked(use_case))
    @hypothesis_settings(max_examples=25, deadline=None, derandomize=True, database=None)
    def agree(rows):
        inputs, options = rows
        frame = pd.DataFrame({name: list(column) for name, column in {**inputs, **options}.items()})
        answers = loaded.predict(inputs, options)
        assert same(named_columns(pyfunc.predict(None, frame)), answers)
        assert same(answers, model.predict(inputs, options))

    agree()


def test_one_row_in_plain_numbers_is_answered_alike(use_case, model):
    """So every candidate is asked by id, but for the recommender, whose lists are precomputed."""
    if not hasattr(model, "predict_one"):
        assert model.kind == "baseline" or not use_case.features
        return

    @given(rows=asked(use_case))
    @hypothesis_settings(max_examples=50, deadline=None, derandomize=True, database=None)
    def agree(rows):
        inputs, options = rows
        answers = model.predict(inputs, options)
        for row in range(columns.row_count(inputs, options)):
            one = [{name: column[row : row + 1].tolist()[0] for name, column in named.items()} for named in rows]
            found = {name: np.array([value]) for name, value in model.predict_one(*one).items()}
            assert same(found, {name: column[row : row + 1] for name, column in answers.items()})

    agree()


def test_an_explanation_is_json(use_case, model, data):
    """It goes to the wire as it is."""
    inputs, options = ({name: column[:1] for name, column in named.items()} for named in use_case.example(data))

    assert json.dumps(use_case.explain(model, inputs, options))


@pytest.fixture(scope="module")
def registry_settings(tmp_path_factory, new_settings):
    """A registry for the module."""
    return new_settings(tmp_path_factory.mktemp("models"))
