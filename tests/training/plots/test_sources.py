"""Petals and score tables give the same sample; what cannot be drawn is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from outcrop import Spectra, correct_noise, write_scores
from scoring.scorer import Scorer
from training import TrainingError
from training.plots.sources import read_score_table, score_petals


def test_a_score_table_gives_the_same_sample_as_scoring(
    scorer: Scorer, odd_sky: Path, spectra: Spectra, tmp_path: Path
) -> None:
    corrected = correct_noise(spectra)
    scores = scorer.score(corrected, reconstruction=True)
    write_scores(tmp_path / "o.fits", corrected, scores, scorer.model)
    scored, read = (
        score_petals(scorer, odd_sky),
        read_score_table(scorer, odd_sky, tmp_path / "o.fits"),
    )
    for name in ("targetid", "z", "ra", "dec", "spectype", "kind", "anomaly"):
        np.testing.assert_array_equal(getattr(read, name), getattr(scored, name))
    np.testing.assert_allclose(read.p_value, scored.p_value, rtol=1e-5)
    np.testing.assert_allclose(read.spectra.model, scored.spectra.model, rtol=1e-4, atol=1e-4)
    assert set(scored.kind) > {"inlier"}


def test_a_model_of_uncorrected_petals_is_shown_uncorrected_ones(
    scorer: Scorer, odd_sky: Path, spectra: Spectra
) -> None:
    scores = scorer.score(spectra)
    drawn = score_petals(scorer, odd_sky, corrected=False)
    np.testing.assert_array_equal(drawn.wmse, scores.wmse[scores.eligible])
    assert (score_petals(scorer, odd_sky).wmse.mean() / drawn.wmse.mean()) != 1


def test_a_table_without_spectra_or_of_another_model_is_refused(
    scorer: Scorer, odd_sky: Path, spectra: Spectra, tmp_path: Path
) -> None:
    plain, other = tmp_path / "plain.fits", tmp_path / "other.fits"
    write_scores(plain, spectra, scorer.score(spectra), scorer.model)
    with pytest.raises(TrainingError, match="holds no spectra; write it again with"):
        read_score_table(scorer, odd_sky, plain)

    write_scores(other, spectra, scorer.score(spectra, reconstruction=True), scorer.model)
    with fits.open(other, mode="update") as hdus:
        table: Any = hdus["OUTLIERS"]
        table.header["MODELSHA"] = "0" * 64
    with pytest.raises(TrainingError, match="written by the model 000000000000"):
        read_score_table(scorer, odd_sky, other)

    with pytest.raises(TrainingError, match="cannot be read as a score table"):
        read_score_table(scorer, odd_sky, Path(__file__))


def test_a_folder_without_petals_is_refused(scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no pair of coadd-\*\.fits and redrock-\*\.fits"):
        score_petals(scorer, tmp_path)


def test_a_table_of_other_petals_is_refused(
    scorer: Scorer, sky: Path, spectra: Spectra, tmp_path: Path
) -> None:
    scores = scorer.score(spectra, reconstruction=True)
    write_scores(tmp_path / "scores.fits", spectra, scores, scorer.model)
    with pytest.raises(TrainingError, match="none of the scored spectra is in the petals below"):
        read_score_table(scorer, sky, tmp_path / "scores.fits")
