"""Real DESI files are read as they are."""

from pathlib import Path

import numpy as np
import pytest

from outcrop import Status, correct_noise, find_petals, read_spectra, write_scores
from tests.outcrop_sdk.sample import open_fits, read_table, some_model, some_scores

TARGET = Status(0)
GIVEN = {
    # OBJTYPE is TGT in rows 1 and 4; the fiber of row 1 is broken (bit 9).
    "coadd-5-169-thru20210419.fits": [
        Status.NOT_TARGET | Status.BAD_FIBER,
        Status.BAD_FIBER,
        Status.NOT_TARGET | Status.BAD_FIBER,
        Status.NOT_TARGET | Status.BAD_FIBER,
        TARGET,
    ],
    "coadd-sv3-dark-26065.fits": [
        Status.NOT_TARGET | Status.BAD_FIBER,
        Status.NOT_TARGET | Status.BAD_FIBER,
        TARGET,
        Status.NOT_TARGET | Status.BAD_FIBER,
        TARGET,
    ],
}


def test_petals_are_found(real: Path) -> None:
    assert [petal.redrock.name for petal in find_petals(real)] == [
        "redrock-4-80613-thru20210324.fits",
        "redrock-special-dark-27247.fits",
    ]


@pytest.mark.parametrize("name", ["coadd-5-169-thru20210419.fits", "coadd-sv3-dark-26065.fits"])
def test_files_without_sky_fibers_that_work_keep_their_noise(real: Path, name: str) -> None:
    spectra = read_spectra(real / name, z=0.1)
    corrected = correct_noise(spectra)
    assert (corrected.inputs.noise["NSKY"], corrected.inputs.noise["SKYCORR"]) == (0, False)
    assert corrected.bands is spectra.bands


@pytest.mark.parametrize(
    ("name", "targetid", "z", "fiber"),
    [
        ("4-80613-thru20210324.fits", 39633345008634465, 0.36874355, (2233, 4, 80613)),
        # A healpix file: fiber, petal and tile are those of the first exposure.
        ("special-dark-27247.fits", 39089837499744649, 0.00726967, (931, 1, 83288)),
    ],
)
def test_a_petal_is_read(
    real: Path, name: str, targetid: int, z: float, fiber: tuple[int, int, int]
) -> None:
    spectra = read_spectra(real / f"coadd-{name}", real / f"redrock-{name}")
    columns = spectra.columns()
    assert spectra.targetid.tolist() == [targetid]
    assert spectra.status.tolist() == [0]
    np.testing.assert_allclose(spectra.z, [z], atol=1e-8)
    assert columns["spectype"].tolist() == ["GALAXY"]
    assert columns["zwarn"].tolist() == [0]
    assert tuple(int(columns[c][0]) for c in ("fiber", "petal", "tileid")) == fiber
    assert list(spectra.bands) == ["b", "r", "z"]


@pytest.mark.parametrize(
    ("name", "desi", "bgs", "objtype"),
    [
        # Validation's first part: a target of the Bright Galaxy Survey.
        ("4-80613-thru20210324.fits", [1 << 60], [4112], ["TGT"]),
        # A secondary target.
        ("special-dark-27247.fits", [1 << 62], [0], ["TGT"]),
        # Validation's third part, in dark time; the bit of sky is the main survey's.
        ("5-169-thru20210419.fits", [0, 2594, 0, 0, 4674], [0] * 5, ["", "TGT", "", "", "TGT"]),
        (
            "sv3-dark-26065.fits",
            [0, 0, 2162697, 1 << 32, 2162697],
            [0] * 5,
            ["", "", "TGT", "SKY", "TGT"],
        ),
    ],
)
def test_target_bits_are_read(
    real: Path, name: str, desi: list[int], bgs: list[int], objtype: list[str]
) -> None:
    columns = read_spectra(real / f"coadd-{name}", z=0.1).columns()
    assert columns["desi_target"].tolist() == desi
    assert columns["bgs_target"].tolist() == bgs
    assert columns["mws_target"].tolist() == [0] * len(desi)
    assert columns["objtype"].tolist() == objtype


@pytest.mark.parametrize("name", GIVEN)
def test_a_coadd_is_read_with_redshifts_given(real: Path, name: str) -> None:
    spectra = read_spectra(real / name, z=0.1)
    assert [Status(s) for s in spectra.status.tolist()] == GIVEN[name]
    assert spectra.z.tolist() == [0.1] * 5


def test_pixels_are_those_that_astropy_reads(real: Path) -> None:
    paths = sorted(real.glob("coadd-*.fits"))
    assert len(paths) == 4
    for path in paths:
        spectra = read_spectra(path, z=0.1)
        with open_fits(path) as hdus:
            for name, band in spectra.bands.items():
                np.testing.assert_array_equal(band.flux, hdus[f"{name}_FLUX"].data)
                np.testing.assert_array_equal(band.ivar, hdus[f"{name}_IVAR"].data)
                assert band.mask is not None
                np.testing.assert_array_equal(band.mask, hdus[f"{name}_MASK"].data)


def test_a_table_is_written_for_each(real: Path, tmp_path: Path) -> None:
    for path in sorted(real.glob("coadd-*.fits")):
        spectra = read_spectra(path, z=0.1)
        write_scores(tmp_path / path.name, spectra, some_scores(spectra), some_model())
        table = read_table(tmp_path / path.name)
        np.testing.assert_array_equal(table["TARGETID"], spectra.targetid)
