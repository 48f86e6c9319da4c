"""All figures are drawn, and those that cannot be are explained."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from PIL import Image

from model_store.bundle import Bundle
from outcrop import find_petals, read_spectra
from scoring.scorer import Scorer
from training.plots import style
from training.plots.figures import figures

ALWAYS = [
    "top_outliers.png",
    *(f"top_outliers_{rank:02d}.png" for rank in range(1, 11)),
    "top_wmse.png",
    "top_nof.png",
    "histogram_wmse.png",
    "histogram_nof.png",
    "top100.png",
    "reconstructions_quiescent.png",
    "reconstructions_emission_line.png",
    "latents.png",
    "track_galaxies.png",
    "traversal.png",
]
"""Figures of any sky with enough galaxies; quasars and stars are rare."""


def test_everything_that_is_always_drawn_is_there(drawn: list[Path]) -> None:
    names = {path.name for path in drawn}
    assert set(ALWAYS) | {"index.html", "table1.md", "table1.csv"} <= names
    assert all(path.is_file() for path in drawn)


def test_pictures_are_of_a_page_s_width_and_not_blank(drawn: list[Path]) -> None:
    for path in drawn:
        if path.suffix == ".png":
            assert path.stat().st_size < 500_000, path.name
            with Image.open(path) as image:
                if path.name != "latents.png":
                    assert image.width == round(style.PAGE * style.DPI), path.name
                assert np.asarray(image.convert("L")).std() > 5, path.name


def test_a_figure_that_cannot_be_drawn_is_explained(drawn: list[Path]) -> None:
    # A petal holds fewer quasars than a track needs.
    assert "track_quasars.png" not in {path.name for path in drawn}
    assert "No track of quasars: " in drawn[0].read_text(encoding="utf-8")


def test_the_page_says_what_a_p_value_and_a_reconstruction_are(
    drawn: list[Path], bundle: Path
) -> None:
    page = drawn[0].read_text(encoding="utf-8")
    finest = Bundle.open(bundle).manifest.finest_p
    assert "A p_value is that among inliers of like S/N and class." in page
    assert f"Below {finest:.2g} it is extrapolated." in page
    assert "Panels show the robust reconstruction" in page


def test_a_petal_of_one_spectrum_has_its_figures_too(
    bundle: Path, odd_sky: Path, tmp_path: Path
) -> None:
    petal = find_petals(odd_sky)[0]
    shutil.copy(petal.coadd, tmp_path)
    scores = Scorer.open(bundle).score(read_spectra(petal.coadd, petal.redrock))
    row = int(np.flatnonzero(scores.eligible & (scores.snr > 5))[0])
    with fits.open(petal.redrock) as hdus:
        table: Any = hdus["REDSHIFTS"]
        table.data = table.data[row : row + 1]
        hdus[:2].writeto(tmp_path / petal.redrock.name)

    written = figures(bundle, tmp_path, tmp_path / "figures")
    names = {path.name for path in written}
    assert {"top_outliers.png", "histogram_wmse.png", "traversal.png"} <= names
    assert "latents.png" not in names
    assert "No corner plot of 1 spectra; 20 are needed." in written[0].read_text(encoding="utf-8")


def test_the_page_says_that_the_sky_is_simulated(drawn: list[Path]) -> None:
    assert "nothing here measures performance on DESI" in drawn[0].read_text(encoding="utf-8")
