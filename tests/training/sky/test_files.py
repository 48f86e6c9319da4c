"""Petal files have the HDUs, columns and types of DESI's."""

from pathlib import Path

import numpy as np

from outcrop.desi import is_simulated
from outcrop.petals import find_petals
from outcrop.spectra import WAVE
from tests.training.sky.helpers import header, pixels, table


def test_files_have_the_paths_of_desi(injected: Path) -> None:
    names = [path.relative_to(injected).parts for path in sorted(injected.rglob("*.fits"))]
    assert len(names) == 4
    for *folders, tile, night, name in names:
        assert folders == ["tiles", "cumulative"]
        assert name.split("-", 1)[1] in (f"0-{tile}-thru{night}.fits", f"1-{tile}-thru{night}.fits")
    assert not [path for path in injected.rglob("*") if path.name.endswith(".part")]


def test_a_coadd_has_the_images_of_three_cameras(injected: Path) -> None:
    coadd = find_petals(injected)[0].coadd
    for camera in ("B", "R", "Z"):
        wave = pixels(coadd, f"{camera}_WAVELENGTH")
        np.testing.assert_allclose(wave, WAVE[camera.lower()], atol=1e-4)
        assert wave.dtype == np.dtype(">f8")

        images = {part: pixels(coadd, f"{camera}_{part}") for part in ("FLUX", "IVAR", "MASK")}
        for part, dtype in (("FLUX", ">f4"), ("IVAR", ">f4"), ("MASK", ">i4")):
            assert images[part].shape == (500, len(wave))
            assert images[part].dtype == np.dtype(dtype)

        assert np.isfinite(images["FLUX"]).all()
        assert (images["IVAR"] >= 0).all()
        assert header(coadd, f"{camera}_FLUX")["BUNIT"] == "10**-17 erg/(s cm2 Angstrom)"


def test_a_coadd_lists_targets_and_sky_fibers(injected: Path) -> None:
    coadd = find_petals(injected)[0].coadd
    fibermap = table(coadd, "FIBERMAP")
    assert len(fibermap) == len(table(coadd, "SCORES")) == 500
    target = fibermap["OBJTYPE"] == b"TGT"
    surveys = fibermap["DESI_TARGET"][target] & (3 << 60 | 1)
    assert set(surveys.tolist()) <= {1 << 60, 1 << 61, 1}
    assert set(fibermap["OBJTYPE"][~target]) == {b"SKY"}
    assert 0.02 < np.mean(~target) < 0.12


def test_files_say_that_they_are_simulated(injected: Path) -> None:
    petal = find_petals(injected)[0]
    assert header(petal.coadd, 0)["SIMULATD"] is True
    assert header(petal.redrock, 0)["SIMULATD"] is True
    assert is_simulated(petal.coadd)


def test_redrock_rows_match_the_coadds(injected: Path) -> None:
    for petal in find_petals(injected):
        fibermap = table(petal.coadd, "FIBERMAP")
        for name in ("REDSHIFTS", "FIBERMAP", "TSNR2"):
            np.testing.assert_array_equal(
                table(petal.redrock, name)["TARGETID"], fibermap["TARGETID"]
            )

        rows = table(petal.redrock, "REDSHIFTS")
        assert rows["COEFF"].shape == (500, 10)
        assert set(rows["SPECTYPE"]) <= {b"GALAXY", b"QSO", b"STAR"}
        star = (rows["SPECTYPE"] == b"STAR") & (fibermap["OBJTYPE"] == b"TGT")
        assert star.any()
        assert (np.abs(rows["Z"][star]) < 0.002).all()
