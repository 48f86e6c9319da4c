"""Claims about the simulated sky: its files, its noise, its objects and what is injected in it."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from outcrop import Spectra, read_spectra
from outcrop.desi import is_simulated
from outcrop.petals import find_petals
from outcrop.spectra import WAVE, Band
from scoring.preprocess import to_rest_frame
from scoring.resample import RestGrid
from training.sky.anomalies import STRENGTHS
from training.sky.atmospheres import atmospheres
from training.sky.emission import LINES, mixture
from training.sky.frame import OBSERVED, add_line, disperse, redshifted
from training.sky.galaxies import galaxies
from training.sky.grid import WAVE as REST
from training.sky.noise import CAMERAS, SKY, curves, observe, variance
from training.sky.petals import make_petal, simulate
from training.sky.populations import AGES, METALS, populations
from training.sky.stars import stars
from training.sky.targets import draw_redshifts, draw_snr

SEED = 11


LINE_WAVES = np.array([3728.5, 4341.7, 4862.7, 4960.3, 5008.2, 6549.9, 6564.6, 6585.3, 6718.3])


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two petals, half of whose targets are injected."""
    folder = tmp_path_factory.mktemp("injected")
    simulate(folder, petals=2, seed=SEED, anomalies=0.5)
    return folder


@pytest.fixture(scope="module")
def truth(injected: Path) -> dict[int, dict[str, str]]:
    """Rows of truth.csv by TARGETID."""
    with (injected / "truth.csv").open() as file:
        return {int(row["TARGETID"]): row for row in csv.DictReader(file)}


def _table(path: Path, name: str) -> NDArray[np.void]:
    with fits.open(path, memmap=False) as hdus:
        return np.array(hdus[name].data)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.fits"))
    }


def test_files_lie_where_desi_puts_them(injected: Path) -> None:
    names = [path.relative_to(injected).parts for path in sorted(injected.rglob("*.fits"))]
    assert len(names) == 4
    for *folders, tile, night, name in names:
        assert folders == ["tiles", "cumulative"]
        assert name.split("-", 1)[1] in (f"0-{tile}-thru{night}.fits", f"1-{tile}-thru{night}.fits")
    assert not [path for path in injected.rglob("*") if path.name.endswith(".part")]


def test_a_coadd_has_desis_hdus_and_types(injected: Path) -> None:
    coadd = find_petals(injected)[0].coadd
    with fits.open(coadd) as hdus:
        assert hdus[0].header["SIMULATD"] is True
        for camera in ("B", "R", "Z"):
            wave = hdus[f"{camera}_WAVELENGTH"].data
            np.testing.assert_allclose(wave, WAVE[camera.lower()], atol=1e-4)
            assert wave.dtype == np.dtype(">f8")
            shape = (500, len(wave))
            for part, dtype in (("FLUX", ">f4"), ("IVAR", ">f4"), ("MASK", ">i4")):
                data = hdus[f"{camera}_{part}"].data
                assert data.shape == shape
                assert data.dtype == np.dtype(dtype)
            assert np.isfinite(hdus[f"{camera}_FLUX"].data).all()
            assert (hdus[f"{camera}_IVAR"].data >= 0).all()
            assert hdus[f"{camera}_FLUX"].header["BUNIT"] == "10**-17 erg/(s cm2 Angstrom)"
        fibermap = hdus["FIBERMAP"].data
        assert len(fibermap) == len(hdus["SCORES"].data) == 500
        target = fibermap["OBJTYPE"] == "TGT"
        assert (fibermap["DESI_TARGET"][target] & (1 << 60) != 0).all()
        assert set(fibermap["OBJTYPE"][~target]) == {"SKY"}
        assert 0.02 < np.mean(~target) < 0.12
    assert is_simulated(coadd)


def test_redrock_rows_match_the_coadds(injected: Path) -> None:
    for petal in find_petals(injected):
        with fits.open(petal.coadd) as coadd, fits.open(petal.redrock) as redrock:
            assert redrock[0].header["SIMULATD"] is True
            expected = coadd["FIBERMAP"].data["TARGETID"]
            for name in ("REDSHIFTS", "FIBERMAP", "TSNR2"):
                np.testing.assert_array_equal(redrock[name].data["TARGETID"], expected)
            rows = redrock["REDSHIFTS"].data
            assert rows["COEFF"].shape == (500, 10)
            assert set(np.unique(rows["SPECTYPE"])) <= {"GALAXY", "QSO", "STAR"}
            star = (rows["SPECTYPE"] == "STAR") & (coadd["FIBERMAP"].data["OBJTYPE"] == "TGT")
            assert (np.abs(rows["Z"][star]) < 0.002).all()


def test_targetids_are_desis_and_unique(truth: dict[int, dict[str, str]], injected: Path) -> None:
    ids = [_table(petal.coadd, "FIBERMAP")["TARGETID"] for petal in find_petals(injected)]
    assert len(np.unique(ids)) == np.size(ids) == 1000
    assert all(targetid > 2**53 for targetid in truth)


def test_dead_fibres_have_no_data_and_say_so() -> None:
    found = 0
    for number in (0, 1):
        petal, _ = make_petal(SEED, number)
        dead = petal.redshifts["ZWARN"] & (1 << 9) != 0
        found += dead.sum()
        for frame in petal.frames.values():
            assert (frame.ivar[dead] == 0).all()
            assert (frame.ivar[~dead] > 0).any(axis=1).all()
        assert (petal.redshifts["Z"][dead] == 0).all()
        assert (petal.redshifts["SPECTYPE"][dead] == "GALAXY").all()
        assert (petal.fibermap["COADD_FIBERSTATUS"][dead] & ~(1 << 3) != 0).all()
        assert (petal.fibermap["COADD_FIBERSTATUS"][~dead] & ~(1 << 3) == 0).all()
    assert found > 0


def test_a_sky_is_the_same_again_and_grows_at_its_end(injected: Path, tmp_path: Path) -> None:
    simulate(tmp_path, petals=1, seed=SEED, anomalies=0.5)
    before, after = _digests(injected), _digests(tmp_path)
    assert len(after) == 2
    assert after.items() <= before.items()


def test_another_seed_is_another_sky() -> None:
    first, _ = make_petal(1, 0)
    second, _ = make_petal(2, 0)
    assert first.tile != second.tile
    assert not set(first.fibermap["TARGETID"]) & set(second.fibermap["TARGETID"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"petals": 0, "seed": 1}, "petals is 0"),
        ({"petals": 1, "seed": -1}, "seed is -1"),
        ({"petals": 1, "seed": 1, "anomalies": 1.5}, "anomalies is 1.5"),
    ],
)
def test_impossible_arguments_are_refused(
    tmp_path: Path, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(tmp_path / "none", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_truth_lists_every_target_once(truth: dict[int, dict[str, str]], injected: Path) -> None:
    fibermap = np.concatenate([_table(petal.coadd, "FIBERMAP") for petal in find_petals(injected)])
    assert set(truth) == set(fibermap["TARGETID"][fibermap["OBJTYPE"] == b"TGT"].tolist())
    assert list(next(iter(truth.values()))) == ["TARGETID", "KIND", "TRUE_Z", "STRENGTH"]


def test_the_wanted_share_is_injected_in_equal_parts(truth: dict[int, dict[str, str]]) -> None:
    kinds = Counter(row["KIND"] for row in truth.values())
    inlier = kinds.pop("")
    assert abs((len(truth) - inlier) / len(truth) - 0.5) < 0.005
    assert set(kinds) == set(STRENGTHS)
    assert max(kinds.values()) - min(kinds.values()) <= 2


def test_strengths_and_redshifts_are_in_their_ranges(
    truth: dict[int, dict[str, str]], injected: Path
) -> None:
    given: dict[int, float] = {}
    for petal in find_petals(injected):
        table = _table(petal.redrock, "REDSHIFTS")
        given |= dict(zip(table["TARGETID"].tolist(), table["Z"].tolist(), strict=True))
    for targetid, row in truth.items():
        z, true_z, kind = given[targetid], float(row["TRUE_Z"]), row["KIND"]
        if kind == "":
            assert row["STRENGTH"] == ""
            assert abs(z - true_z) < 1e-3 or z == 0
            continue
        low, high = STRENGTHS[kind]
        if kind == "wrong_z":
            assert 0.0199 < abs(z - true_z) < 0.29
            assert 0 < z < 0.3
        elif row["STRENGTH"]:
            assert low * 0.999 <= float(row["STRENGTH"]) <= high * 1.001
        else:
            assert kind == "cv_or_wd"
        if kind == "star_as_galaxy":
            assert abs(true_z) < 0.002
            assert 0.0099 < z < 0.2901
        elif kind == "highz_qso":
            assert 1.6 <= true_z <= 2.6
            assert 0.0499 < z < 0.2951
        elif kind not in ("wrong_z", "cv_or_wd"):
            assert abs(z - true_z) < 1e-3


def test_what_is_injected_can_be_seen(truth: dict[int, dict[str, str]], injected: Path) -> None:
    grid = RestGrid(3600.0, 7556.0, 1000)
    away = np.abs(grid.wave[:, None] - LINE_WAVES).min(axis=1) > 30
    halpha = np.abs(grid.wave - 6564.6) < 25
    width: list[float] = []
    spike: list[float] = []
    floor: list[float] = []
    snr: dict[str, list[float]] = {kind: [] for kind in STRENGTHS}
    for petal in find_petals(injected):
        spectra = read_spectra(petal.coadd, petal.redrock)
        rest = to_rest_frame(spectra, grid, (-0.002, 0.3))
        for i, targetid in enumerate(spectra.targetid.tolist()):
            row = truth.get(targetid, {"KIND": ""})
            if row["KIND"] == "" or rest.coverage[i] < 0.9:
                continue
            flux = np.where(rest.ivar[i] > 0, rest.flux[i], np.nan)
            level = np.nanmedian(flux)
            snr[row["KIND"]].append(float(rest.snr[i]))
            if row["KIND"] == "extreme_halpha":
                measured = np.nansum(flux[halpha] / level - 1) * 3.956
                width.append(measured / float(row["STRENGTH"]))
            elif row["KIND"] == "cosmic":
                spike.append(np.nanmax((flux * np.sqrt(rest.ivar[i]))[away]) / rest.snr[i])
            elif row["KIND"] == "bad_sky":
                smooth = np.convolve(np.nan_to_num(flux, nan=level), np.ones(7) / 7, "valid")
                floor.append(float(smooth.min() / level))
    assert np.median(width) == pytest.approx(1, abs=0.3)
    assert np.median(spike) > 4
    assert np.median(floor) < 0.3
    assert max(snr["lowsnr"]) < 4
    assert min(snr["wrong_z"] + snr["blend"] + snr["highz_qso"]) > 4


def test_the_reported_variance_is_the_scatter() -> None:
    rng = np.random.default_rng(0)
    flux = np.full((400, len(OBSERVED)), 8.0)
    frames = observe(rng, flux, np.ones(400))
    for camera, frame in frames.items():
        good = (frame.ivar > 0) & (frame.mask == 0)
        pull = np.where(good, (frame.flux - 8.0) * np.sqrt(frame.ivar), np.nan)
        scatter = np.nanmedian(np.nanstd(pull, axis=0))
        assert scatter == pytest.approx(1, abs=0.02), camera
        assert abs(np.nanmean(pull)) < 0.05
        assert 0.001 < np.mean(frame.ivar == 0) < 0.02
        assert 0.0005 < np.mean((frame.ivar > 0) & (frame.mask != 0)) < 0.02


def test_noise_has_desis_shape_and_the_objects_own_photons() -> None:
    dark = np.zeros((1, len(OBSERVED)))
    for camera, span in CAMERAS.items():
        faint = variance(dark[:, span], camera, np.ones(1))[0]
        curve = curves()[camera]
        np.testing.assert_allclose(np.sqrt(faint / np.median(faint)), curve.total, rtol=0.01)
        # at ten times the sky's flux the object's photons make ten times the sky's variance
        bright = variance(dark[:, span] + 10 * SKY, camera, np.ones(1))[0]
        np.testing.assert_allclose((bright - faint) / faint, 10 * (curve.floor / curve.total) ** 2)
    line = np.argmin(np.abs(WAVE["b"] - 5578.9))  # the sky's [O I]
    assert curves()["b"].total[line] > 2 * np.median(curves()["b"].total)


def test_the_sky_has_the_papers_proportions_and_a_survey_s_depth() -> None:
    rng = np.random.default_rng(3)
    snr = draw_snr(rng, 20000)
    assert np.median(snr) == pytest.approx(12, rel=0.05)
    assert 0.04 < np.mean(snr < 5) < 0.09
    assert 0.005 < np.mean(snr > 80) < 0.03
    assert snr.max() <= 200
    z = draw_redshifts(rng, snr)
    assert np.mean(z > 0.3) == pytest.approx(0.03, abs=0.005)
    assert 0.15 < np.median(z) < 0.22
    assert np.median(z[snr > 30]) < np.median(z[snr < 8])


def test_the_preprocessor_measures_the_snr_that_was_wanted() -> None:
    petal, targets = make_petal(SEED, 5)
    rows = np.flatnonzero(petal.fibermap["OBJTYPE"] == "TGT")
    near = np.abs(targets.z) < 0.3
    bands = {
        camera: Band(frame.flux[rows], frame.ivar[rows], frame.mask[rows])
        for camera, frame in petal.frames.items()
    }
    spectra = Spectra(bands, targets.z, petal.fibermap["TARGETID"][rows])
    rest = to_rest_frame(spectra, RestGrid(3600.0, 7556.0, 1000), (-0.002, 0.3))
    measured = (rest.snr / targets.snr)[near & (rest.coverage > 0.5)]
    assert np.median(measured) == pytest.approx(1, abs=0.05)
    assert np.percentile(np.abs(measured - 1), 90) < 0.1


def _ratio(flux: NDArray[np.floating], high: tuple[int, int], low: tuple[int, int]) -> float:
    """Mean flux in one range of wavelengths (Å) over that in another, on the templates' grid."""
    bands = [flux[(start < REST) & (end > REST)].mean() for start, end in (high, low)]
    return float(bands[0] / bands[1])


def test_the_4000_angstrom_break_grows_with_age_and_metals() -> None:
    light = populations()[:, :, 0]
    strength = np.array(
        [[_ratio(flux, (4000, 4100), (3850, 3950)) for flux in row] for row in light]
    )
    sun = int(np.flatnonzero(METALS == 0)[0])
    assert strength[0, sun] < 1.05
    assert 1.5 < strength[-1, sun] < 2.2
    old = AGES > 1e9
    assert (np.diff(strength[old][:, sun]) > 0).all()
    assert (np.diff(strength[-1]) > 0).all()


def test_balmer_absorption_is_strongest_at_some_hundred_million_years() -> None:
    light = populations()[:, int(np.flatnonzero(METALS == 0)[0]), 0]
    depth = [_ratio(flux, (4325, 4360), (4380, 4420)) for flux in light]
    assert 1e8 < AGES[int(np.argmin(depth))] < 2e9


def test_cool_dwarfs_have_the_bands_of_titanium_oxide_that_real_ones_have() -> None:
    teff = np.array([3800.0, 3200.0, 2950.0])
    flux = atmospheres(teff, np.full(3, 4.8), np.zeros(3), np.zeros(3))
    # the index TiO5 of dwarfs of about M0, M4 and M5.5 (Reid, Hawley & Gizis 1995 define it)
    tio5 = [_ratio(row, (7128, 7137), (7044, 7048)) for row in flux]
    np.testing.assert_allclose(tio5, [0.80, 0.42, 0.32], atol=0.08)


def test_balmer_lines_are_strongest_in_a_stars_and_broadest_in_white_dwarfs() -> None:
    teff = np.array([4500.0, 5800.0, 9500.0, 25000.0])
    flux = atmospheres(teff, np.full(4, 4.3), np.zeros(4), np.zeros(4))
    depth = [1 - _ratio(row, (4848, 4877), (4900, 4930)) for row in flux]
    assert np.argmax(depth) == 2
    dwarf = atmospheres(teff[2:3] + 2500, np.array([8.0]), np.array([-6.0]), np.zeros(1))[0]
    wing = [_ratio(row, (4800, 4820), (5000, 5040)) for row in (flux[2], dwarf)]
    assert wing[1] < wing[0] - 0.05


def test_inlier_stars_are_finite_positive_and_of_every_colour() -> None:
    flux = stars(np.random.default_rng(0), np.zeros(300))
    assert np.isfinite(flux).all()
    assert flux.min() > 0
    colour = np.log10(flux[:, 500:520].mean(axis=1) / flux[:, 5000:5020].mean(axis=1))
    assert colour.min() < -0.8
    assert colour.max() > 0.3


def test_emission_has_the_widths_of_real_galaxies() -> None:
    width = dict(zip(LINES, mixture().draw(np.random.default_rng(0), 20000).T, strict=True))
    # medians of strong Hα emitters in the reference data
    strong = (width["HALPHA"] > 25) & (width["HALPHA"] < 63)
    assert np.median(width["HBETA"][strong]) == pytest.approx(8.1, rel=0.2)
    assert np.median(width["NII_6584"][strong]) == pytest.approx(11.0, rel=0.2)
    assert np.median(width["OII_DOUBLET"][strong]) == pytest.approx(22.4, rel=0.2)
    assert 0.3 < np.mean(width["HALPHA"] < 3) < 0.55


def test_galaxies_with_strong_lines_are_blue() -> None:
    flux = galaxies(np.random.default_rng(5), np.full(300, 0.1))
    wave = OBSERVED / 1.1
    near = (np.abs(wave - 6575) > 60) & (np.abs(wave - 6575) < 120)
    line = flux[:, np.abs(wave - 6575) < 40].mean(axis=1) / np.median(flux[:, near], axis=1)
    blue = np.median(flux[:, (wave > 3800) & (wave < 3950)], axis=1)
    colour = blue / np.median(flux[:, near], axis=1)
    assert np.median(colour[line > 1.5]) > 1.3 * np.median(colour[line < 1.1])


def test_a_line_keeps_its_flux_and_falls_where_its_redshift_says() -> None:
    flux = np.zeros((2, len(OBSERVED)))
    add_line(flux, np.array([5000.0, 3590.0]), np.array([7.0, 1.0]), np.array([4.0, 1.0]))
    assert flux[0].sum() * 0.8 == pytest.approx(7, rel=1e-6)
    assert OBSERVED[flux[0].argmax()] == pytest.approx(5000, abs=0.41)
    assert flux[1].sum() < 1e-6
    spike = np.ones((1, len(REST)), np.float32)
    spike[0, np.searchsorted(REST, 5000)] = 100
    seen = redshifted(disperse(spike, np.array([100.0])), np.array([0.2]))[0]
    assert OBSERVED[seen.argmax()] == pytest.approx(6000, abs=0.9)
