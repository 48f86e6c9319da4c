"""A model survives the way over HTTP, and is never taken for another."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from outcrop import Model, ModelChanged
from tests.outcrop_sdk.sample import some_model


@pytest.mark.parametrize("noise_correction", [None, True, False])
def test_json_gives_the_model_back(noise_correction: bool | None) -> None:
    model = dataclasses.replace(some_model(), noise_correction=noise_correction)
    again = Model.from_json(json.loads(json.dumps(model.to_json())))
    for field in dataclasses.fields(Model):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(model, field.name))


def test_a_service_that_does_not_tell_packages_and_population_of_its_bundle_is_understood() -> None:
    answer = some_model().to_json()
    del answer["bundle_packages"], answer["population"], answer["noise_correction"]
    model = Model.from_json(answer)
    assert (model.bundle_packages, model.population) == ({}, "any")
    assert model.noise_correction is None


@pytest.mark.parametrize("value", [0, "true", [True]])
def test_a_noise_correction_that_is_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="noise_correction is"):
        Model.from_json(some_model().to_json() | {"noise_correction": value})


@pytest.mark.parametrize("change", [{}, {"finest_p": None}])
def test_a_service_that_does_not_tell_the_finest_rank_is_understood(change: dict[str, Any]) -> None:
    answer = some_model().to_json()
    assert answer.pop("finest_p") == 1e-4
    assert Model.from_json(answer | change).finest_p is None


@pytest.mark.parametrize("value", ["0.1", True, float("nan"), [0.1]])
def test_a_finest_rank_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="finest_p is"):
        Model.from_json(some_model().to_json() | {"finest_p": value})


def test_of_a_model_for_any_spectrum_none_is_outside() -> None:
    every = dataclasses.replace(some_model(), population="any")
    assert every.describe(0, 9) == "model outcrop 20260101, sample desi edr, population any"


@pytest.mark.parametrize("sample", ["simulated", "simulated (seed 1)", "desi edr"])
def test_a_simulated_sky_is_recognised(sample: str) -> None:
    assert some_model(sample).simulated == sample.startswith("simulated")


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"version": "20260202"}, {"sha256": "cd" * 32}]
)
def test_another_name_version_or_checksum_is_another_model(change: dict[str, str]) -> None:
    model, other = some_model(), dataclasses.replace(some_model(), **change)
    model.identity.check_same(some_model().identity)
    with pytest.raises(ModelChanged, match="the service changed its model from outcrop 20260101"):
        model.identity.check_same(other.identity)
