"""Spectra in JSON are read strictly, and every rejection names the field and its value."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop import Spectra, Status
from outcrop.spectra import CAMERAS, WAVE
from service.http.errors import Problem
from service.interfaces.json_models import groups, parse
from tests.service.helpers import encoded, make_spectra, score_request

SHORT = {"wavelength": [3600.0, 3600.8], "flux": [1.0, 2.0], "ivar": [1.0, 1.0]}


def read(body: bytes) -> list[tuple[Any, Spectra]]:
    request, lists = parse(memoryview(body), 1000)
    return list(groups(request, lists, by_half))


def by_half(function: Callable[[slice], None], count: int) -> None:
    for block in (slice(0, count // 2), slice(count // 2, count)):
        function(block)


def parsed(content: Any) -> list[tuple[Any, Spectra]]:
    return read(encoded(content))


def rejection(body: bytes) -> str:
    with pytest.raises(Problem) as raised:
        read(body)
    assert raised.value.status == 400
    return str(raised.value)


def one(**fields: Any) -> Spectra:
    """Parse one spectrum of two pixels, with these fields changed."""
    ((_, spectra),) = parsed({"spectra": [{"z": 0.1, **SHORT, **fields}]})
    return spectra


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 10_000, "the body is not JSON: it is nested too deeply"),
        (b'{"spectra": [{"z": ' + b"[" * 10_000, "the body is not JSON: it is nested too deeply"),
        (b"[]", "the body: expected object, got array"),
        (b"{}", "the body: spectra is missing"),
        (b'{"spectra": []}', "spectra: expected array of length >= 1"),
        (b'{"spectra": {}}', "spectra: expected array, got object"),
        (b'{"spectra": [1]}', "spectra[0]: expected object, got int"),
        (b'{"spectra": [{"z": [0.1]}]}', "spectra[0].z is [0]: expected float or null, got array"),
        (b'{"spectra": [{"z": 0, "targetid": "1[2]3"}]}', "spectra[0].targetid is"),
        (
            b'{"spectra": [{"z": 0, "spectype": "DWARF"}]}',
            "spectra[0].spectype: invalid enum value",
        ),
        (b'{"spectra": [{"z": 0, "spectype": 1}]}', "spectra[0].spectype: expected str or null"),
        (b'{"spectra": [{"z": 0, "spectype": "a:b{"}]}', "spectra[0].spectype: invalid enum value"),
        (b'{"spectra": [{"z": 0, "objtype": "TGT"}]}', "unknown field 'objtype'"),
        (b'{"spectra": [{"z": 0, "flux]": [1]}]}', "unknown field 'flux]'"),
        (b'{"spectra": [{"z": 0}], "x": tru}', "invalid character (byte 30)"),
        (b'{"spectra": [{"z": 0.1}]}', "spectra[0]: wavelength is missing"),
        (b'{"spectra": [{"z": NaN}]}', "write null for a missing value"),
        (b'{"spectra": [{"z": 1e999}]}', "spectra[0].z is 1e999: number out of range"),
        (b'{"spectra": [{"z": "0.1"}]}', 'spectra[0].z is "0.1": expected float or null, got str'),
        (b'{"spectra": [{"z": true}]}', "spectra[0].z is true"),
        (b'{"spectra": [{"z": 0.1, "z": 0.2}]}', "3 colons for 2 fields; give every field once"),
        (b'{"spectra": [{"\\ud800": 1}]}', "the body is not JSON"),
        (b'{"spectra": [{"\xff": 1}]}', "the body is not JSON: a string is not UTF-8"),
        (b'{"spectra": [{"z": 1, "targetid": "\\ud800"}]}', "the body is not JSON"),
        (b'{"spectra": [{"z": "\xff"}]}', "spectra[0].z is"),
        (b'{"spectra": [{"z": ' + b"9" * 5000 + b"}]}", "spectra[0].z is 999"),
        (b'{"spectra": [{"z": 1}], "reconstruction": 1}', "reconstruction: expected bool"),
        (b'{"spectra": [{"z": 0.1, "cameras": {}}]}', "spectra[0].cameras: no camera is given"),
    ],
)
def test_a_rejection_names_field_and_value(body: bytes, words: str) -> None:
    assert words in rejection(body)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"flux": [1.0, "2"]}, 'spectra[0].flux[1] is "2"'),
        ({"flux": [1.0, True]}, "spectra[0].flux[1] is true"),
        (
            {"flux": [[1.0], [2.0]]},
            "spectra[0].flux holds lists or objects; give a list of numbers",
        ),
        ({"flux": [{}, 2.0]}, "spectra[0].flux holds lists or objects; give a list of numbers"),
        ({"flux": [1.0, "]"]}, "the body"),
        ({"flux": [1.0, "["]}, "the body"),
        ({"flux": []}, "flux has 0 values, wavelength has 2"),
        ({"flux": 1.0}, "spectra[0].flux: expected array, got float"),
        ({"flux": "1"}, "spectra[0].flux: expected array, got str"),
        ({"flux": [1.0]}, "flux has 1 values, wavelength has 2; they must agree"),
        ({"mask": [1.5, 0]}, "spectra[0].mask[0] is 1.5"),
        ({"mask": [0]}, "mask has 1 values"),
        ({"wavelength": [3600.0, None]}, "spectra[0].wavelength[1] is null"),
        ({"wavelength": []}, "spectra[0].wavelength"),
        ({"targetid": "12x"}, 'spectra[0].targetid is "12x": expected a 64-bit integer'),
        ({"targetid": 2**63}, f"spectra[0].targetid is {2**63}"),
        ({"targetid": 1.5}, "spectra[0].targetid is 1.5"),
        ({"desi_target": "BGS_ANY"}, 'spectra[0].desi_target is "BGS_ANY": expected a 64-bit'),
        ({"bgs_target": 2**63}, f"spectra[0].bgs_target is {2**63}"),
        ({"mws_target": []}, "spectra[0].mws_target is []"),
        ({"targetid": True}, "spectra[0].targetid is true"),
        ({"colour": 1}, "spectra[0]: unknown field 'colour'"),
        ({"cameras": {"b": SHORT}}, "cameras and wavelength are given; give one or the other"),
        ({"wavelength": [3600.0, 3600.9]}, "spectra[0].wavelength[1] is 3600.9"),
        ({"wavelength": [3600.0, 3601.6]}, "spectra[0].wavelength[1] is 3601.6"),
        ({"wavelength": [3599.2, 3600.0]}, "spectra[0].wavelength[0] is 3599.2"),
        ({"wavelength": [9824.0, 9824.8]}, "expected 3600.0 to 9824.0 Å in steps of 0.8 Å"),
        ({"wavelength": [1e300, 1e300]}, "spectra[0].wavelength[0] is 1e+300"),
    ],
)
def test_a_spectrum_is_read_strictly(fields: dict[str, Any], words: str) -> None:
    assert words in rejection(encoded({"spectra": [{"z": 0.1, **SHORT, **fields}]}))


def test_a_body_of_wrong_values_is_rejected_at_the_first() -> None:
    message = rejection(encoded({"spectra": [{"z": 0.1, **SHORT, "flux": ["x"] * 100_000}]}))
    assert message == 'spectra[0].flux[0] is "x": expected float or null, got str'


def test_an_unknown_field_is_rejected_at_once_and_quoted_in_part() -> None:
    message = rejection(b'{"' + b"0" * 1_000_000 + b'": 1, "spectra": []}')
    assert message == f"the body: unknown field '{'0' * 60}'; leave it out"


def test_more_objects_than_the_spectra_can_have_are_rejected_before_they_are_made() -> None:
    body = encoded({"spectra": [{"z": 0.1}] * 11})
    with pytest.raises(Problem, match=r"holds 11 objects, .* send at most 2 spectra") as raised:
        parse(memoryview(body), 2)
    assert raised.value.status == 413
    cameras = {name: SHORT for name in CAMERAS}
    assert len(
        parse(memoryview(encoded({"spectra": [{"z": 0, "cameras": cameras}]})), 1)[0].spectra
    )


def test_null_for_an_optional_field_leaves_it_out() -> None:
    band = one(mask=None, cameras=None).bands["brz"]
    np.testing.assert_array_equal(band.flux[0, :3], [1, 2, 0])


@pytest.mark.parametrize("value", [7, "7", "-9223372036854775808", 9223372036854775807])
def test_a_targetid_is_a_number_or_its_digits(value: int | str) -> None:
    assert one(targetid=value).targetid.tolist() == [int(value)]
    for field in ("desi_target", "bgs_target", "mws_target"):
        assert one(**{field: value}).columns()[field].tolist() == [int(value)]


def test_target_bits_and_class_are_unknown_where_they_are_not_given() -> None:
    rows = [{}, {"desi_target": None, "spectype": None}, {"bgs_target": 4, "spectype": "QSO"}]
    ((_, spectra),) = parsed({"spectra": [{"z": 0.1, **SHORT, **row} for row in rows]})
    columns = {name: column.tolist() for name, column in spectra.columns().items()}
    assert columns["desi_target"] == columns["mws_target"] == [-1, -1, -1]
    assert columns["bgs_target"] == [-1, -1, 4]
    assert columns["spectype"] == ["", "", "QSO"]
    assert columns["targetid"] == [0, 0, 0]


def test_further_redshifts_are_padded_with_nan() -> None:
    rows = [{}, {"z_candidates": None}, {"z_candidates": [0.7, 1]}, {"z_candidates": []}]
    ((_, spectra),) = parsed({"spectra": [{"z": 0.1, **SHORT, **row} for row in rows]})
    assert spectra.z_candidates is not None
    assert spectra.z_candidates[2, :2].tolist() == [0.7, 1.0]
    assert np.isfinite(spectra.z_candidates).sum() == 2
    assert spectra.z_candidates.shape == (4, 9)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([0.1] * 10, "spectra[0].z_candidates has 10 values; give at most 9"),
        ([[0.1]], "z_candidates"),
        (["0.1"], "z_candidates"),
        ([None], "z_candidates"),
        (0.1, "z_candidates"),
    ],
)
def test_further_redshifts_are_a_short_list_of_numbers(value: Any, words: str) -> None:
    message = rejection(encoded({"spectra": [{"z": 0.1, **SHORT, "z_candidates": value}]}))
    assert words in message


def test_null_is_a_missing_value() -> None:
    spectra = one(z=None, flux=[None, 2.0], ivar=[1.0, None])
    band = spectra.bands["brz"]
    assert np.isnan(spectra.z[0])
    np.testing.assert_array_equal(band.flux[0, :3], np.array([np.nan, 2, 0], np.float32))
    np.testing.assert_array_equal(band.ivar[0, :3], np.array([1, np.nan, 0], np.float32))


def test_masked_pixels_are_zero() -> None:
    band = one(flux=[None, 2.0], mask=[2**40, 0]).bands["brz"]
    np.testing.assert_array_equal(band.flux[0, :2], [0, 2])
    np.testing.assert_array_equal(band.ivar[0, :2], [0, 1])


@given(st.sampled_from(("brz", *CAMERAS)), st.data())
@settings(deadline=None)
def test_a_contiguous_part_of_a_grid_fills_its_pixels(name: str, data: st.DataObject) -> None:
    wave = WAVE[name]
    first = data.draw(st.integers(0, len(wave) - 1))
    count = data.draw(st.integers(1, min(50, len(wave) - first)))
    part = wave[first : first + count] + data.draw(st.floats(-9e-5, 9e-5))
    fields = {"wavelength": part.tolist(), "flux": [3.0] * count, "ivar": [2.0] * count}
    layout = fields if name == "brz" else {"cameras": {name: fields}}
    ((_, spectra),) = parsed({"spectra": [{"z": 0.1, **layout}]})
    band = spectra.bands[name]
    expected = np.zeros(len(wave), np.float32)
    expected[first : first + count] = 1
    np.testing.assert_array_equal(band.flux[0], 3 * expected)
    np.testing.assert_array_equal(band.ivar[0], 2 * expected)


def test_numbers_beyond_float32_become_infinite() -> None:
    assert np.isposinf(one(flux=[1e300, 1.0]).bands["brz"].flux[0, 0])


def test_spectra_of_one_layout_are_grouped_with_their_rows() -> None:
    whole, cameras = make_spectra(3, ("brz",)), make_spectra(3, ("b", "z"), targetid=2000)
    mixed = [
        row
        for pair in zip(
            score_request(whole)["spectra"], score_request(cameras)["spectra"], strict=True
        )
        for row in pair
    ]
    parts = parsed({"spectra": mixed})
    assert [tuple(spectra.bands) for _, spectra in parts] == [("brz",), ("b", "z")]
    for (index, spectra), made in zip(parts, (whole, cameras), strict=True):
        np.testing.assert_array_equal(spectra.targetid, made.targetid)
        np.testing.assert_array_equal(spectra.z, made.z)
        for name, band in made.bands.items():
            np.testing.assert_array_equal(spectra.bands[name].flux, band.flux)
        assert index.tolist() == ([0, 2, 4] if made is whole else [1, 3, 5])


def test_a_repeated_targetid_gets_its_bit_and_a_missing_one_does_not() -> None:
    rows = [{"z": 0.1, **SHORT, **t} for t in ({"targetid": 5}, {}, {"targetid": "5"}, {})]
    ((_, spectra),) = parsed({"spectra": rows})
    duplicate = int(Status.DUPLICATE)
    assert spectra.status.tolist() == [duplicate, 0, duplicate, 0]
    assert spectra.targetid.tolist() == [5, 0, 5, 0]
