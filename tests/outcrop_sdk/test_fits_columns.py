"""A column's values are those that its header says."""

import numpy as np
import pytest

from outcrop._fits_columns import FitsColumn, number_of, read_columns, row_type, scaled


def cards(*forms: str) -> dict[str, str]:
    named = {f"TTYPE{n}": f"'c{n}      '" for n in range(1, len(forms) + 1)}
    return named | {f"TFORM{n}": f"'{form:8}'" for n, form in enumerate(forms, start=1)}


@pytest.mark.parametrize(
    ("form", "size", "shape"),
    [
        *[("L", 1, ()), ("B", 1, ()), ("I", 2, ()), ("J", 4, ()), ("K", 8, ()), ("E", 4, ())],
        *[("D", 8, ()), ("3E", 12, (3,)), ("0J", 0, (0,)), ("12A", 12, ()), ("11X", 2, (2,))],
        *[
            ("C", 8, ()),
            ("M", 16, ()),
            ("PE(100)", 8, ()),
            ("1QJ(9)", 16, ()),
            ("20A:SSTR5", 20, ()),
        ],
    ],
)
def test_a_row_has_the_bytes_of_the_standard(form: str, size: int, shape: tuple[int]) -> None:
    column = FitsColumn.of(cards(form), 1)
    assert (column.name, column.stored.itemsize, column.stored.shape) == ("C1", size, shape)


def test_a_column_without_a_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TFORM2 is $"):
        FitsColumn.of(cards("J"), 2)


def test_the_columns_must_fill_the_rows() -> None:
    header = cards("J", "3E") | {"TFIELDS": "2", "NAXIS1": "16"}
    assert row_type(read_columns(header)).itemsize == 16
    for size in ("15", "17", "0"):
        with pytest.raises(ValueError, match="do not fill its rows"):
            read_columns(header | {"NAXIS1": size})


def test_unsigned_integers_are_stored_as_signed() -> None:
    stored = np.array([-(2**31), 0, 2**31 - 1], ">i4")
    assert scaled(stored, 1.0, 2.0**31).tolist() == [0, 2**31, 2**32 - 1]
    assert scaled(np.array([0, 128, 255], np.uint8), 1.0, -128.0).tolist() == [-128, 0, 127]
    assert scaled(stored, 0.5, 1.0).tolist() == [1 - 2.0**30, 1.0, 2.0**30 + 0.5]
    assert scaled(stored, 1.0, 0.0) is stored


def test_an_exponent_may_be_marked_by_d() -> None:
    assert number_of("1.5D3") == 1500
