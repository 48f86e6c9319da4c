"""Recalibration keeps the networks and takes thresholds and p-values from other petals."""

import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from explanation.reference import Reference
from explanation.segments import SegmentScan
from model_store.bundle import Bundle, BundleError
from outcrop import Scores, Status, correct_noise, find_petals, read_spectra
from outcrop.scores import INELIGIBLE, MIN_SNR
from scoring.calibration import Calibration
from scoring.canary import MARGIN, Canary
from scoring.drift import Drift
from scoring.scorer import Scorer
from training import TrainingError
from training.__main__ import main
from training.model.calibrate import (
    calibrate_bundle,
    decile_edges,
    decile_shares,
    looks_contaminated,
)
from training.model.card import CARD
from training.sky.petals import simulate

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def own_sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two other petals with anomalies, and without truth.csv."""
    folder = tmp_path_factory.mktemp("own")
    simulate(folder, petals=2, seed=8, anomalies=0.1)
    (folder / "truth.csv").unlink()
    return folder


@pytest.fixture(scope="module")
def own(bundle: Path, own_sky: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("models") / "own"
    assert main(["calibrate", str(bundle), str(own_sky), "--output", str(output)]) == 0
    return output


def scores_of(bundle: Path, sky: Path) -> Scores:
    """Scores of all that calibrate; the range of S/N differs between bundles."""
    scorer = Scorer.open(bundle)
    petals = [correct_noise(read_spectra(p.coadd, p.redrock)) for p in find_petals(sky)]
    scores = Scores.concatenate([scorer.score(petal) for petal in petals])
    bits = int(INELIGIBLE & ~Status.EXTRAPOLATED)
    return scores[((scores.status & bits) == 0) & (scores.snr >= MIN_SNR)]


def test_networks_eigenspectra_and_density_are_the_same_files(bundle: Path, own: Path) -> None:
    before, after = Bundle.open(bundle).manifest, Bundle.open(own).manifest
    same = {name for name, file in before.files.items() if after.files[name] == file}
    assert same == {
        "encoder.onnx",
        "decoder.onnx",
        "eigenspectra.npz",
        "density.npz",
        "galaxies.npz",
        "training_targetids.npz",
    }


def test_the_manifest_has_the_samples_of_both_parts(bundle: Path, own: Path) -> None:
    before, after = Bundle.open(bundle), Bundle.open(own)
    assert after.manifest.sample == before.manifest.sample
    assert after.manifest.calibrated_from == before.sha256
    assert before.manifest.calibrated_from is None
    assert set(after.manifest.calibration.tiles).isdisjoint(before.manifest.calibration.tiles)
    assert after.manifest.version != before.manifest.version
    assert before.sha256 in after.bytes(CARD).decode()


def test_at_most_one_in_a_hundred_of_the_calibration_spectra_is_flagged(
    bundle: Path, own: Path, own_sky: Path
) -> None:
    before, after = scores_of(bundle, own_sky), scores_of(own, own_sky)
    np.testing.assert_array_equal(before.wmse, after.wmse)
    # A tenth of them are anomalies, which the old calibration flags more often than the new one.
    assert before.anomaly.mean() > 0.016
    # With so many in the sample too few are flagged rather than too many; how many depends on the
    # fit, whose sums have no fixed order.
    assert 0.001 < after.anomaly.mean() < 0.014
    bright = after.snr >= 5
    assert after.wmse_anomaly[bright].mean() == pytest.approx(0.01, abs=0.003)
    assert after.nof_anomaly[bright].mean() == pytest.approx(0.01, abs=0.003)


def test_flagged_shares_before_and_after_are_told_with_a_warning_of_contamination(
    bundle: Path, own: Path, own_sky: Path, tmp_path: Path, command: Command
) -> None:
    done = command("-m", "training", "calibrate", bundle, own_sky, "--output", tmp_path / "own")
    before, after = (int(scores_of(path, own_sky).anomaly.sum()) for path in (bundle, own))
    told = re.search(r"of (\d+) spectra (\d+) \(.* %\) are flagged before and (\d+) ", done.stderr)
    assert told, done.stderr
    # Some are beyond the old calibration's range of S/N, and have no p-value where they are served.
    assert int(told[2]) == pytest.approx(before, abs=4)
    assert int(told[3]) == pytest.approx(after, abs=2)
    share = 100 * int(told[2]) / int(told[1])
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert f"flags {share:.1f} % of this sample, expected 1 %" in warning
    assert "keep the old bundle" in warning


def test_a_clean_sample_gives_no_warning(
    bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tmp_path / "sky", petals=2, seed=10)
    caplog.set_level(logging.INFO)
    calibrate_bundle(bundle, [tmp_path / "sky"], tmp_path / "clean")
    (told,) = [one for one in caplog.records if "are flagged before" in one.getMessage()]
    assert told.levelno == logging.INFO
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("flagged", "count", "calibrated_on", "expected"),
    [
        (68, 928, 1166, True),
        (16, 906, 1166, False),
        # Three times the level, but within the scatter of few spectra.
        (3, 100, 1000, False),
        # The old calibration has a scatter too.
        (50, 2000, 100, False),
        (50, 2000, 10_000, True),
        # Certainly above the level, but not far.
        (1500, 100_000, 100_000, False),
        (2100, 100_000, 100_000, True),
    ],
)
def test_a_sample_looks_contaminated_if_its_flagged_share_is_far_above_the_level(
    flagged: int, count: int, calibrated_on: int, expected: bool
) -> None:
    assert looks_contaminated(flagged, count, calibrated_on, 0.01) == expected


def test_the_drift_reference_is_that_of_the_calibration_spectra(
    bundle: Path, own: Path, own_sky: Path
) -> None:
    before, after = (
        Drift.from_arrays(Bundle.open(path).arrays("drift.npz")) for path in (bundle, own)
    )
    np.testing.assert_array_equal(before.edges, after.edges)
    shares = decile_shares(scores_of(own, own_sky).latent, before.edges)
    np.testing.assert_allclose(after.shares, shares, atol=2e-3)


def test_the_reference_spectra_stay_and_what_inliers_are_like_is_that_of_the_new_sample(
    bundle: Path, own: Path, own_sky: Path
) -> None:
    before, after = (Bundle.open(path).arrays("explanation.npz") for path in (bundle, own))
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert {"targetid", "z", "spectype", "place"} <= same
    assert not same & {"nearest", "segments_thresholds"}

    scorer = Scorer.open(own)
    distance, _ = scorer.density.nearest(scores_of(own, own_sky).latent, 1)
    quantile = Reference.from_arrays(after).quantile(distance[:, 0])
    assert np.median(quantile) == pytest.approx(0.5, abs=0.02)


def test_inliers_seldom_have_a_segment(bundle: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "sky", petals=1, seed=10)
    scorer, opened = Scorer.open(bundle), Bundle.open(bundle)
    scan = SegmentScan.from_arrays(opened.arrays("explanation.npz"), opened.manifest.grid)
    (petal,) = find_petals(tmp_path / "sky")
    spectra = correct_noise(read_spectra(petal.coadd, petal.redrock))
    scores = scorer.score(spectra, reconstruction=True)

    rows = np.flatnonzero(scores.eligible & (scores.snr >= 5))
    flux, ivar, model = (
        getattr(scores, name)[rows] for name in ("rest_flux", "rest_ivar", "reconstruction")
    )
    found = [
        scan.segments(*one)
        for one in zip(flux, ivar, model, spectra.z[rows], scores.snr[rows], strict=True)
    ]
    assert len(found) > 200
    assert np.mean([bool(one) for one in found]) < 0.05


def test_training_spectra_do_not_calibrate(bundle: Path, sky: Path, tmp_path: Path) -> None:
    again = Bundle.open(calibrate_bundle(bundle, [sky], tmp_path / "again")).manifest
    counts = Bundle.open(bundle).manifest.sample.counts
    assert again.calibration.counts["calibration"] == counts["unique"] - counts["training"]


def test_an_existing_output_is_not_overwritten(bundle: Path, own: Path, own_sky: Path) -> None:
    before = Bundle.open(own).sha256
    with pytest.raises(TrainingError, match="exists already"):
        calibrate_bundle(bundle, [own_sky], own)
    assert Bundle.open(own).sha256 == before


def test_a_bundle_of_an_earlier_format_is_refused_with_the_remedy(
    bundle: Path, own_sky: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(bundle, old)
    manifest = json.loads((old / "manifest.json").read_text()) | {"format_version": 7}
    (old / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        BundleError, match=r"format_version 7; this software reads 9: .* train again"
    ):
        calibrate_bundle(old, [own_sky], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_description_of_the_new_bundle_is_that_of_its_own_calibration(
    bundle: Path, own: Path
) -> None:
    before, after = Bundle.open(bundle), Bundle.open(own)
    calibration = Calibration.from_arrays(after.arrays("calibration.npz"))
    assert after.manifest.finest_p == calibration.finest
    assert after.manifest.finest_p != before.manifest.finest_p
    assert after.manifest.population == before.manifest.population
    low, high = calibration.snr_range
    assert f"S/N from {low:.3g} to {high:.3g}: " in after.bytes(CARD).decode()


def test_the_canary_keeps_away_from_the_ends_of_the_calibrated_range(
    bundle: Path, own: Path
) -> None:
    for path in (bundle, own):
        scorer, opened = Scorer.open(path), Bundle.open(path)
        canary = Canary.from_arrays(opened.arrays("canary.npz"))
        snr = scorer.score(canary.spectra).snr
        low, high = scorer.calibration.snr_range
        assert low * (1 + MARGIN) < snr.min() <= snr.max() < high * (1 - MARGIN)


def test_a_folder_without_petals_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no pair of coadd"):
        calibrate_bundle(bundle, [tmp_path], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_each_decile_of_its_own_sample_holds_a_tenth() -> None:
    latent = np.random.default_rng(1).normal(size=(10_000, 3)).astype(np.float32)
    edges = decile_edges(latent)
    assert edges.shape == (3, 9)
    np.testing.assert_allclose(decile_shares(latent, edges), 0.1, atol=1e-3)
    np.testing.assert_allclose(decile_shares(latent + 100, edges)[:, -1], 1)
