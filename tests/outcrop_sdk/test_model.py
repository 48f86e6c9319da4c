"""What a model says of itself survives the way over HTTP."""

import dataclasses
import json

import numpy as np
import pytest

from outcrop import Model
from tests.outcrop_sdk.sample import some_model


def test_json_gives_the_model_back() -> None:
    model = some_model()
    again = Model.from_json(json.loads(json.dumps(model.to_json())))
    for field in dataclasses.fields(Model):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(model, field.name))


@pytest.mark.parametrize("sample", ["simulated", "simulated (seed 1)", "desi edr"])
def test_a_simulated_sky_is_recognised(sample: str) -> None:
    assert some_model(sample).simulated == sample.startswith("simulated")
