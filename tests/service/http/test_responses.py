"""A response model is sent as JSON that every reader takes."""

import json

import pytest

from service.http.responses import ResponseModel


class Numbers(ResponseModel):
    values: list[float]
    note: str | None = None


def test_nan_and_infinities_are_null_and_unset_fields_are_left_out() -> None:
    response = Numbers(values=[1.5, float("nan"), float("inf")]).response()
    assert json.loads(bytes(response.body)) == {"values": [1.5, None, None]}
    assert json.loads(bytes(Numbers(values=[], note=None).response().body)) == {
        "values": [],
        "note": None,
    }


def test_a_value_of_another_type_is_noticed() -> None:
    with pytest.warns(UserWarning, match="Expected `float`"):
        Numbers.model_construct(values=["x"]).response()
