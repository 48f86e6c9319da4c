"""What a label may say."""

import math
from typing import Any

import pytest

from outcrop import InputError
from outcrop.label import FIELDS, Label, check_fields, check_scanner, check_targetid


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("interest", 0, 0),
        ("interest", 5, 5),
        ("interest", None, None),
        ("vi_quality", 4, 4),
        ("issues", "SCR", "RCS"),
        ("issues", None, ""),
        ("z", -0.001, -0.001),
        ("z", 2, 2.0),
        ("spectype", "QSO", "QSO"),
        ("spectype", None, ""),
        ("comment", " Hα, broad ", "Hα, broad"),
        ("comment", "x" * 100, "x" * 100),
    ],
)
def test_a_value_is_kept(name: str, value: Any, kept: Any) -> None:
    assert check_fields({name: value}) == {name: kept}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("interest", value) for value in (-1, 6, 2.0, True, "3")],
        *[("vi_quality", value) for value in (-1, 5, False)],
        *[("issues", value) for value in ("X", "RCSR", "r", 1, ["R"])],
        *[("z", value) for value in (-1, 10, math.nan, math.inf, "0.1", True)],
        *[("spectype", value) for value in ("galaxy", 1)],
        *[("comment", value) for value in ("x" * 101, "two\nlines", "bell\a", 3)],
        ("quality", 3),
    ],
)
def test_another_value_is_refused_by_field_value_and_remedy(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}.*; \w+") as caught:
        check_fields({name: value})
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("scanner", ["A", "ABC", "Desi Arnaz", "a.b-c_d"])
def test_a_scanner_has_a_name(scanner: str) -> None:
    assert check_scanner(scanner) == scanner


@pytest.mark.parametrize(
    "scanner", ["", " ", "A ", "=1+1", "-A", "A,B", 'A"', "elevenchars", "Åsa", "A\n", "@x"]
)
def test_no_name_of_a_scanner(scanner: str) -> None:
    with pytest.raises(InputError, match=r"scanner .* is no name; write 1 to 10"):
        check_scanner(scanner)


def test_a_targetid_has_64_bits() -> None:
    assert check_targetid(2**63 - 1) == 2**63 - 1
    with pytest.raises(InputError, match=f"TARGETID {2**63} has more than 64 bits"):
        check_targetid(2**63)


def test_the_fields_are_those_that_have_a_value() -> None:
    assert Label(1, "ABC", interest=0, z=0.0).fields == {"interest": 0, "z": 0.0}
    assert list(FIELDS) == ["interest", "vi_quality", "issues", "z", "spectype", "comment"]
