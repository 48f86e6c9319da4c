"""Spectra refuse arrays that do not fit together; folding and choosing rows lose nothing."""

import dataclasses

import numpy as np
import pytest

from outcrop import WAVE, Band, Spectra
from outcrop.inputs import Inputs
from outcrop.spectra import repeated
from tests.outcrop_sdk.sample import some_spectra


def test_the_grids_are_those_of_desi() -> None:
    ends = {name: (len(wave), wave[0], round(wave[-1], 6)) for name, wave in WAVE.items()}
    assert ends == {
        "b": (2751, 3600.0, 5800.0),
        "r": (2326, 5760.0, 7620.0),
        "z": (2881, 7520.0, 9824.0),
        "brz": (7781, 3600.0, 9824.0),
    }


def test_the_grids_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        WAVE["b"][0] = 1.0


@pytest.mark.parametrize(
    ("targetid", "expected"),
    [
        ([], []),
        ([7], [False]),
        ([7, 5, 7, 6, 5, 7], [True, True, True, False, True, True]),
        ([0, -3, 0, -3], [False, True, False, True]),
    ],
)
def test_repeated_targetids_are_found_wherever_they_are_and_0_is_none(
    targetid: list[int], expected: list[bool]
) -> None:
    assert repeated(np.array(targetid, np.int64)).tolist() == expected


def test_folding_zeroes_flux_and_ivar_under_the_mask_and_nothing_else() -> None:
    flux = np.arange(6, dtype=np.float32).reshape(2, 3) + 1
    flux[0, 0] = np.nan
    mask = np.array([[1, 0, 0], [0, 0, 2**11]], np.int32)
    folded = Band(flux, flux + 10, mask).folded()
    np.testing.assert_array_equal(folded.flux, [[0, 2, 3], [4, 5, 0]])
    np.testing.assert_array_equal(folded.ivar, [[0, 12, 13], [14, 15, 0]])
    assert folded.mask is None
    assert np.isnan(flux[0, 0])


def test_folding_without_a_mask_copies_nothing() -> None:
    band = some_spectra(2).bands["r"]
    assert band.folded() is band


def test_big_endian_flux_is_refused_with_the_remedy() -> None:
    flux = np.zeros((1, 2326), ">f4")
    with pytest.raises(ValueError, match="ascontiguousarray"):
        Band(flux, flux)


@pytest.mark.parametrize("names", [[], ["r", "b"], ["brz", "b"], ["x"]])
def test_bands_in_another_order_or_of_another_name_are_refused(names: list[str]) -> None:
    empty = np.zeros((0, 1), np.float32)
    with pytest.raises(ValueError, match="bands are"):
        Spectra(
            {name: Band(empty, empty) for name in names},
            z=np.zeros(0),
            targetid=np.zeros(0, np.int64),
        )


def test_a_column_of_another_length_is_refused_by_name() -> None:
    spectra = some_spectra(2)
    with pytest.raises(ValueError, match="targetid has shape"):
        Spectra(spectra.bands, z=spectra.z, targetid=np.zeros(3, np.int64))


def test_rows_choose_from_every_column() -> None:
    chosen = some_spectra(4)[np.array([2, 0])]
    assert chosen.targetid.tolist() == [3, 1]
    assert chosen.status.tolist() == [2, 0]
    assert chosen.bands["r"].flux[:, 0].tolist() == [3, 1]


def test_slices_masks_and_single_rows_choose_spectra() -> None:
    spectra = some_spectra(4)
    mask = spectra.targetid % 2 == 0
    chosen = {"first": spectra[:2], "last": spectra[-1], "even": spectra[mask], "none": spectra[[]]}
    ids = {name: one.targetid.tolist() for name, one in chosen.items()}
    assert ids == {"first": [1, 2], "last": [4], "even": [2, 4], "none": []}
    assert [len(one.bands["r"]) for one in chosen.values()] == [2, 1, 2, 0]
    assert [one.targetid.tolist() for one in spectra] == [[1], [2], [3], [4]]
    with pytest.raises(IndexError):
        spectra[4]
    with pytest.raises(IndexError):
        spectra[mask[:3]]


def test_the_repr_counts() -> None:
    spectra = some_spectra(3, bands=("b", "r"))
    assert repr(spectra) == ("<Spectra: 3 spectra, bands b, r; status: 1 NO_DATA, 1 NO_REDSHIFT>")
    assert repr(spectra.bands["r"]) == "<Band: 3 spectra of 2326 pixels, no mask>"


def test_chosen_spectra_keep_their_origin() -> None:
    inputs = Inputs(cards={"TILEID": 80613})
    assert dataclasses.replace(some_spectra(2), inputs=inputs)[:1].inputs == inputs
