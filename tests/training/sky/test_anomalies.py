"""Injected anomalies have the strengths of the truth, and are visible in the observed spectra."""

from pathlib import Path

import numpy as np
import pytest

from outcrop import read_spectra
from outcrop.petals import find_petals
from scoring.preprocess import to_rest_frame
from scoring.resample import RestGrid
from tests.training.sky.helpers import table
from training.sky.anomalies import STRENGTHS

LINE_WAVES = np.array([3728.5, 4341.7, 4862.7, 4960.3, 5008.2, 6549.9, 6564.6, 6585.3, 6718.3])


@pytest.mark.long
def test_strengths_and_redshifts_are_in_their_ranges(
    truth: dict[int, dict[str, str]], injected: Path
) -> None:
    given: dict[int, float] = {}
    for petal in find_petals(injected):
        rows = table(petal.redrock, "REDSHIFTS")
        given |= dict(zip(rows["TARGETID"].tolist(), rows["Z"].tolist(), strict=True))

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


def test_injected_anomalies_are_visible(truth: dict[int, dict[str, str]], injected: Path) -> None:
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
