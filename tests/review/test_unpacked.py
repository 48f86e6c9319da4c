"""Gzipped coadds are unpacked once, and what is kept of them is bounded."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from outcrop import Band, find_petals
from outcrop.fingerprint import FileFingerprint
from review.coadds import Coadds
from review.night import ReviewNight
from review.unpacked import UnpackedCoadds

PIXELS = 100


class Reader:
    """Reads bands of ones, and counts how often."""

    def __init__(self, spectra: int) -> None:
        self.spectra, self.times = spectra, 0

    def __call__(self) -> dict[str, Band]:
        self.times += 1
        flux = np.arange(self.spectra * PIXELS, dtype=np.float32).reshape(-1, PIXELS)
        return {"b": Band(flux, np.ones_like(flux), np.zeros(flux.shape, np.int32))}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"coadd-{number}.fits.gz" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(gzip.compress(bytes(number)))
    return paths


def test_the_least_recently_used_is_given_up(files: list[Path]) -> None:
    first, second, third = files
    readers = {path: Reader(10) for path in files}
    # Room for two: flux, ivar and mask of ten spectra have 12,000 bytes.
    kept = UnpackedCoadds(25_000)
    for path, times in ((first, 1), (second, 1), (first, 1), (third, 1), (first, 1), (second, 2)):
        bands = kept.read(path, np.array([4]), readers[path])
        np.testing.assert_array_equal(bands["b"].flux, np.arange(400, 500)[None])
        assert readers[path].times == times, path


def test_a_coadd_that_changed_is_read_again(files: list[Path]) -> None:
    kept, reader = UnpackedCoadds(), Reader(10)
    kept.read(files[0], np.array([0]), reader)
    files[0].write_bytes(gzip.compress(bytes(100)))
    kept.read(files[0], np.array([0]), reader)
    assert reader.times == 2


def test_only_gzipped_coadds_that_are_not_too_large_are_kept(
    files: list[Path], tmp_path: Path
) -> None:
    kept = UnpackedCoadds()
    assert kept.keeps(files[0], 500)
    assert not kept.keeps(files[0], 5000)
    (tmp_path / "coadd.fits").write_bytes(b"SIMPLE  =")
    assert not kept.keeps(tmp_path / "coadd.fits", 500)


def test_a_gzipped_coadd_has_the_same_spectra(
    made: Path, night: ReviewNight, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    coadd = find_petals(tmp_path / "sky")[0].coadd
    coadd.write_bytes(gzip.compress(coadd.read_bytes(), 1))
    size, mtime = FileFingerprint.of(coadd).size, FileFingerprint.of(coadd).mtime
    table = next((tmp_path / "night").rglob("outliers*.fits"))
    with fits.open(table, mode="update") as file:
        header: Any = file[0]
        header.header.update(INSIZ000=size, INMTI000=mtime)

    plain = Coadds(night, made / "sky")
    packed = Coadds(ReviewNight.read(tmp_path / "night"), tmp_path / "sky")
    for row in (0, 1, 0):
        expected, found = plain.read(row), packed.read(row)
        for name, band in expected.bands.items():
            np.testing.assert_array_equal(found.bands[name].flux, band.flux)
            np.testing.assert_array_equal(found.bands[name].ivar, band.ivar)
            np.testing.assert_array_equal(found.bands[name].mask, band.mask)
