"""The coadd agrees with desispec and with the plain formula; bad pixels carry no information."""

import itertools
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from outcrop import Band, Spectra, Status
from outcrop.spectra import CAMERAS, WAVE
from scoring.coadd import OFFSET, PIXELS, camera_arrays, coadd, coadd_row

HERE = Path(__file__).parent
made_cameras = runpy.run_path(str(HERE / "made_cameras.py"))["made_cameras"]


@pytest.fixture
def spectra() -> Spectra:
    bands = {name: Band(*arrays) for name, arrays in made_cameras().items()}
    return Spectra(bands, z=np.zeros(3), targetid=np.arange(3))


def test_agrees_with_desispec(spectra: Spectra) -> None:
    # The expected values were made once with desispec 0.70 (`source` in the file says how):
    # desispec.coaddition.coadd_cameras on these very arrays.
    expected = json.loads((HERE / "data" / "desispec_coadd.json").read_text())
    flux, ivar, _ = coadd(spectra)
    good = np.array(expected["ivar"]) > 0
    np.testing.assert_allclose(ivar[:, expected["pixels"]], expected["ivar"], atol=2e-6)
    np.testing.assert_allclose(
        flux[:, expected["pixels"]][good], np.array(expected["flux"])[good], rtol=2e-6, atol=1e-6
    )
    assert (ivar > 0).sum(axis=1).tolist() == expected["good_pixels"]


def test_agrees_with_the_formula_at_every_pixel(spectra: Spectra) -> None:
    weighted = np.zeros((3, PIXELS))
    weight = np.zeros((3, PIXELS))
    for name, band in spectra.bands.items():
        at = slice(OFFSET[name], OFFSET[name] + band.flux.shape[1])
        used = np.where(band.mask == 0, band.ivar, 0).astype(float)
        weighted[:, at] += used * band.flux
        weight[:, at] += used
    flux, ivar, status = coadd(spectra)
    np.testing.assert_allclose(ivar, weight, rtol=1e-6)
    good = weight > 0
    np.testing.assert_allclose(flux[good], weighted[good] / weight[good], rtol=1e-5, atol=1e-5)
    assert (status == 0).all()


def test_cameras_start_where_their_wavelengths_say() -> None:
    for name, wave in WAVE.items():
        np.testing.assert_allclose(
            WAVE["brz"][OFFSET[name] : OFFSET[name] + len(wave)], wave, atol=1e-9
        )


@pytest.mark.parametrize(
    ("flux", "ivar", "mask", "bits"),
    [
        (np.nan, 1, 0, Status.BAD_PIXELS),
        (np.inf, 1, 0, Status.BAD_PIXELS),
        (1, np.nan, 0, Status.BAD_PIXELS),
        (1, np.inf, 0, Status.BAD_PIXELS),
        (1, -1, 0, Status.BAD_PIXELS),
        (3e38, 1, 0, Status.BAD_PIXELS),
        (np.nan, 1, 1, Status(0)),
        (1, -1, 4, Status(0)),
        (0, 1, 0, Status(0)),
        (1e20, 0, 0, Status(0)),
    ],
)
def test_a_bad_pixel_gets_no_weight(flux: float, ivar: float, mask: int, bits: Status) -> None:
    band = Band(
        np.ones((1, PIXELS), np.float32),
        np.ones((1, PIXELS), np.float32),
        np.zeros((1, PIXELS), np.int32),
    )
    assert band.mask is not None
    band.flux[0, 100], band.ivar[0, 100], band.mask[0, 100] = flux, ivar, mask
    out_flux, out_ivar, status = coadd(Spectra({"brz": band}, np.zeros(1), np.zeros(1, np.int64)))
    assert out_ivar[0, 100] == 0
    assert out_flux[0, 100] == 0
    assert np.all(np.delete(out_ivar, 100) == 1)
    assert status[0] == bits


def test_the_pixels_of_a_missing_camera_have_no_information(spectra: Spectra) -> None:
    partial = Spectra({"b": spectra.bands["b"]}, spectra.z, spectra.targetid)
    _, ivar, _ = coadd(partial)
    assert (ivar[:, :2751] > 0).any()
    assert (ivar[:, 2751:] == 0).all()


def test_a_folded_mask_changes_nothing(spectra: Spectra) -> None:
    folded = Spectra(
        {name: band.folded() for name, band in spectra.bands.items()}, spectra.z, spectra.targetid
    )
    for masked, bare in zip(coadd(spectra), coadd(folded), strict=True):
        np.testing.assert_array_equal(masked, bare)


def test_every_pixel_of_every_layout_is_written_before_it_is_read(spectra: Spectra) -> None:
    layouts = [
        {name: spectra.bands[name] for name in names}
        for count in (1, 2, 3)
        for names in itertools.combinations(CAMERAS, count)
    ]
    flux, ivar, _ = coadd(spectra)
    layouts.append({"brz": Band(flux, ivar)})

    for bands in layouts:
        made = Spectra(bands, z=spectra.z, targetid=spectra.targetid)
        for row in range(len(made)):
            found = []
            for byte in (b"\0", b"\xff"):
                scratch = np.frombuffer(bytearray(byte * 8 * PIXELS), np.float32).reshape(2, PIXELS)
                coadd_row(row, camera_arrays(made), scratch[0], scratch[1])
                found.append(scratch)
            np.testing.assert_array_equal(found[1], found[0], err_msg=str(list(bands)))
            assert np.isfinite(found[0]).all()
