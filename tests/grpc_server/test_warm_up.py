"""A model's first answers, about what the snapshot holds."""

from dataclasses import replace

import numpy as np
import pytest

from grpc_server.warm_up import warm_up
from training.artifact import ArtifactError
from training.constant import ConstantModel


def test_every_model_is_warmed_up_by_calls_that_nobody_sees(state, tmp_path):
    """It answers about customers or products of the lake, and nothing is logged."""
    for model in state.models.values():
        warm_up(model, state)

    assert not (tmp_path / "spool").exists()


def test_a_model_that_answers_no_number_does_not_go_live(state):
    """Golden rows of its training cannot show that."""
    model = ConstantModel("clv", output="clv_180d", value=np.nan, defaults={"monetary": 7.0})

    with pytest.raises(ArtifactError, match="no number about a customer"):
        warm_up(replace(state.models["clv"], model=model), state)
