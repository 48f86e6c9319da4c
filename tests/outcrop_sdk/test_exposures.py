"""Exposures are read from the spectra file beside a coadd: the wanted rows, the harmless ones."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from outcrop.errors import InputError
from outcrop.exposures import Exposures, find_exposures, read_exposures
from outcrop.spectra import WAVE

IDS = np.array([39627866878511337, -5, 7, 39627866878511337, -5, 7])
EXPIDS = np.array([85503, 85503, 85503, 85502, 85502, 85502])
NIGHTS = np.array([20210420, 20210420, 20210420, 20210419, 20210419, 20210419])
FIBERSTATUS = np.array([0, 8, 512, 0, 0, 0])


def write_spectra(path: Path, without: str = "", compressed: bool = True, cut: int = 0) -> Path:
    """Write a spectra file as DESI's, whose masks are compressed; flux is the number of the row."""
    columns = {"TARGETID": IDS, "EXPID": EXPIDS, "NIGHT": NIGHTS, "FIBERSTATUS": FIBERSTATUS}
    fibermap = fits.BinTableHDU.from_columns(
        [
            fits.Column(name, "K" if name == "TARGETID" else "J", array=values)
            for name, values in columns.items()
            if name != without
        ],
        name="FIBERMAP",
    )
    hdus: list[fits.PrimaryHDU | fits.BinTableHDU | fits.ImageHDU | fits.CompImageHDU] = [
        fits.PrimaryHDU(),
        fibermap,
    ]
    image = fits.CompImageHDU if compressed else fits.ImageHDU
    for camera in ("b", "r", "z"):
        rows, pixels = len(IDS) - cut, len(WAVE[camera])
        flux = np.arange(rows, dtype=np.float32)[:, None] + np.zeros(pixels, np.float32)
        mask = np.zeros((rows, pixels), np.int32)
        mask[:, 10] = 4
        prefix = camera.upper()
        hdus.append(fits.ImageHDU(WAVE[camera], name=f"{prefix}_WAVELENGTH"))
        hdus.append(fits.ImageHDU(flux, name=f"{prefix}_FLUX"))
        hdus.append(fits.ImageHDU(np.ones_like(flux), name=f"{prefix}_IVAR"))
        hdus.append(image(mask, name=f"{prefix}_MASK"))
    fits.HDUList(hdus).writeto(path)
    return path


def rows_of(exposures: Exposures) -> list[float]:
    return exposures.bands["z"].flux[:, 0].tolist()


@pytest.mark.parametrize("compressed", [True, False])
def test_the_rows_of_the_targets_are_read_in_the_order_of_time(
    tmp_path: Path, compressed: bool
) -> None:
    path = write_spectra(tmp_path / "spectra-1.fits", compressed=compressed)
    found = read_exposures(path, np.array([IDS[0], 123]))
    assert found.targetid.tolist() == [IDS[0]] * 2
    assert found.expid.tolist() == [85502, 85503]
    assert found.night.tolist() == [20210419, 20210420]
    assert rows_of(found) == [3, 0]
    assert rows_of(found[1:]) == [0]
    for band in found.bands.values():
        assert (band.ivar[:, 10] == 0).all()
        assert (np.delete(band.ivar, 10, axis=1) == 1).all()


def test_an_exposure_with_a_bad_fiber_status_is_left_out(tmp_path: Path) -> None:
    path = write_spectra(tmp_path / "spectra-1.fits")
    found = read_exposures(path, np.array([-5, 7]))
    assert found.expid.tolist() == [85502, 85502, 85503]
    assert found.targetid.tolist() == [-5, 7, -5]


def test_a_target_without_exposures_has_none(tmp_path: Path) -> None:
    found = read_exposures(write_spectra(tmp_path / "spectra-1.fits"), np.array([1]))
    assert len(found) == 0
    assert found.bands["b"].flux.shape == (0, 2751)


def test_the_spectra_file_lies_beside_the_coadd(tmp_path: Path) -> None:
    coadd = tmp_path / "coadd-1.fits.gz"
    assert find_exposures(coadd) is None
    plain = write_spectra(tmp_path / "spectra-1.fits")
    packed = tmp_path / "spectra-1.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert find_exposures(coadd) == plain
    plain.unlink()
    assert find_exposures(coadd) == packed
    assert len(read_exposures(packed, IDS)) == 5


@pytest.mark.parametrize("column", ["TARGETID", "EXPID", "NIGHT", "FIBERSTATUS"])
def test_a_file_without_a_column_is_refused_by_name(tmp_path: Path, column: str) -> None:
    path = write_spectra(tmp_path / "spectra-1.fits", without=column)
    with pytest.raises(InputError, match=f"{path}: HDU FIBERMAP has no column {column}"):
        read_exposures(path, IDS)


def test_images_with_fewer_rows_than_the_fibermap_are_refused(tmp_path: Path) -> None:
    path = write_spectra(tmp_path / "spectra-1.fits", cut=1)
    with pytest.raises(InputError, match="HDU B_FLUX has 5 rows, row 5 is wanted"):
        read_exposures(path, np.array([7]))


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_spectra(tmp_path / "spectra-1.fits")
    path.write_bytes(path.read_bytes()[: 2880 * 20])
    with pytest.raises(InputError, match="cut off"):
        read_exposures(path, IDS)
