"""A population is told by target bits, and what is not known of a spectrum never excludes it."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from model_store.population import BGS, BGS_ANY, Population

MWS_ANY = 1 << 61


def test_one_bit_of_the_population_is_enough() -> None:
    bits = np.array([BGS_ANY, BGS_ANY | MWS_ANY, BGS_ANY | 1, MWS_ANY, 1 << 59, 1 << 62, 0, -1])
    expected = [True, True, True, False, False, False, False, True]
    assert BGS.contains(bits).tolist() == expected
    either = Population("bright", BGS_ANY | MWS_ANY)
    assert either.contains(bits).tolist() == [*[True] * 4, False, False, False, True]


def test_without_bits_every_spectrum_belongs() -> None:
    assert Population().contains(np.array([0, 1, -1])).tolist() == [True] * 3


def test_it_survives_json_with_every_bit() -> None:
    adapter = TypeAdapter(Population)
    for population in (BGS, Population(), Population("all bits", 2**63 - 1)):
        assert adapter.validate_json(adapter.dump_json(population)) == population


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 33},
        {"desi_target": 0},
        {"desi_target": -1},
        {"desi_target": 2**63},
        {"bgs_target": 1},
    ],
)
def test_what_is_no_population_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Population).validate_python({"name": "BGS", "desi_target": 1, **fields})
