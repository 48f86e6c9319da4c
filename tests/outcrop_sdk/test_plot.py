"""A portrait shows the observed spectrum, its reconstruction, the residual and what is missing."""

import dataclasses
import subprocess
import sys
from typing import cast

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from outcrop import InputError, Scores, Status, spectra
from outcrop.plot import OVERLAPS, DrawnSpectrum, Portrait, flux_limits
from tests.outcrop_sdk.sample import some_explanation, some_model, some_scores, some_spectra

BINS = 400
SPECTRUM = DrawnSpectrum(
    title="39633345008634465    z 0.2500    p 0.001",
    subtitle="wmse 2",
    wave=np.linspace(3600, 7556, BINS),
    flux=np.linspace(1, 3, BINS, dtype=np.float32),
    ivar=np.where(np.arange(BINS) // 10 == 7, 0, 4).astype(np.float32),
    reconstruction=np.full(BINS, 2, np.float32),
    z=0.25,
)


def curves(figure: Portrait, panel: int) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), float) for line in figure.axes[panel].lines]


def scores_to_draw(n: int = 3) -> Scores:
    scores = some_scores(some_spectra(n), reconstruction=True)
    return dataclasses.replace(scores, z=some_spectra(n).z, rest_wave=some_model().wave)


def test_flux_reconstruction_and_residual_are_drawn_without_the_missing_bins() -> None:
    figure = Portrait(SPECTRUM)
    flux, model = curves(figure, 0)[:2]
    bad = np.arange(BINS) // 10 == 7
    np.testing.assert_array_equal(np.isnan(flux), bad)
    np.testing.assert_array_equal(flux[~bad], SPECTRUM.flux[~bad])
    np.testing.assert_array_equal(model, SPECTRUM.reconstruction)
    residual = next(curve for curve in curves(figure, 1) if len(curve) == BINS)
    np.testing.assert_allclose(residual[~bad], 2 * (SPECTRUM.flux - 2)[~bad], rtol=1e-6)


def test_missing_bins_and_overlaps_are_shaded_in_both_panels() -> None:
    figure = Portrait(SPECTRUM)
    for axes in figure.axes[:2]:
        spans = {
            (to_hex(patch.get_facecolor()), round(patch.get_x()), round(patch.get_width()))
            for patch in cast(list[Rectangle], axes.patches)
        }
        assert {("#cfe8f7", 4608, 32), ("#cfe8f7", 6016, 80)} <= spans
        assert any(colour == "#dadada" and abs(width - 99) <= 1 for colour, _, width in spans)


def shaded(figure: Portrait, colour: str) -> list[tuple[float, float]]:
    """First and last wavelength of what is shaded so in the upper panel."""
    patches = cast(list[Rectangle], figure.axes[0].patches)
    found = [patch for patch in patches if to_hex(patch.get_facecolor()) == colour]
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in found]


def test_segments_are_shaded_and_the_sentence_is_wrapped_above_the_panels() -> None:
    sentence = "Hα stands out of the reconstruction by 12 σ, and so does [O III] 5008. " * 3
    spans = ((4100.0, 4104.0), (6500.0, 6620.0))
    figure = Portrait(dataclasses.replace(SPECTRUM, sentence=sentence, segments=spans))
    np.testing.assert_allclose(shaded(figure, "#f9f3b0"), spans)
    # The flux stays on white: its panel has the segments at its bottom only.
    heights = [[p.get_height() for p in cast(list[Rectangle], a.patches[-2:])] for a in figure.axes]
    assert heights[0] == pytest.approx([0.04, 0.04])
    assert heights[1] == [1, 1]
    assert len(figure.axes[0].patches) == len(Portrait(SPECTRUM).axes[0].patches) + 2

    text = figure.texts[-1]
    assert text.get_text().split() == sentence.split()
    figure.draw_without_rendering()
    place = text.get_window_extent()
    legend = figure.legends[0].get_window_extent()
    assert place.x1 < figure.bbox.x1
    assert figure.texts[1].get_window_extent().y0 > place.y1 > place.y0 > legend.y1
    # The panels are as large as without it.
    size = Portrait(SPECTRUM).axes[0].get_window_extent().size
    np.testing.assert_allclose(figure.axes[0].get_window_extent().size, size, rtol=1e-6)


def test_a_number_stays_with_its_name() -> None:
    sentence = f"{'lines ' * 14}have p = 0.1"
    text = Portrait(dataclasses.replace(SPECTRUM, sentence=sentence)).texts[-1].get_text()
    assert text.splitlines()[-1].split() == ["p", "=", "0.1"]


def test_the_overlaps_are_those_of_the_cameras() -> None:
    assert OVERLAPS == spectra.OVERLAPS
    np.testing.assert_allclose(spectra.MIDDLES, np.mean(OVERLAPS, axis=1))


def test_all_axes_have_units_and_the_title_is_the_given_one() -> None:
    figure = Portrait(SPECTRUM)
    above, below = figure.axes[:2]
    assert "erg s$^{-1}$" in above.get_ylabel()
    assert below.get_ylabel() == "residual / σ"
    assert below.get_xlabel() == "rest-frame wavelength / Å (vacuum)"
    assert SPECTRUM.title in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("z", [np.nan, -1.0])
def test_without_a_redshift_nothing_is_in_the_observed_frame(z: float) -> None:
    figure = Portrait(dataclasses.replace(SPECTRUM, z=z))
    assert len(figure.axes[0].patches) == 1
    assert not figure.axes[0].child_axes
    assert Portrait(SPECTRUM).axes[0].child_axes


def test_limits_hold_lines_but_not_spikes() -> None:
    flux = np.sin(np.arange(1000.0))
    flux[500] = 4
    assert flux_limits(flux)[1] > 4
    flux[500] = 1000
    assert flux_limits(flux)[1] < 3
    flux[500] = -1000
    assert flux_limits(flux)[0] > -3
    assert flux_limits(np.full(5, np.nan)) == (-1, 1)
    low, high = flux_limits(np.full(5, 3.0))
    assert low < 3 < high


def test_a_clipped_spike_is_marked_with_its_value() -> None:
    flux = SPECTRUM.flux.copy()
    flux[200] = 12345
    figure = Portrait(dataclasses.replace(SPECTRUM, flux=flux))
    assert [text.get_text() for text in figure.axes[0].texts] == ["12,345"]


def test_a_spectrum_without_any_good_bin_is_drawn() -> None:
    empty = dataclasses.replace(SPECTRUM, ivar=np.zeros(BINS, np.float32))
    assert Portrait(empty)._repr_png_().startswith(b"\x89PNG")


def test_scores_draw_a_row_with_its_scores_in_the_title() -> None:
    figure = scores_to_draw().plot(-1)
    assert [text.get_text() for text in figure.texts] == [
        "3    z 0.2900    p 0.25",
        "wmse 0.29, NOF -1, S/N 9, coverage 1.00; status: NO_REDSHIFT",
    ]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_row_without_a_p_value_is_drawn_too() -> None:
    figure = scores_to_draw(5).plot(4)
    assert figure.texts[0].get_text() == "5    z 0.2900    no p-value"


def test_scores_draw_a_row_with_its_explanation() -> None:
    scores, explanation = scores_to_draw(), some_explanation(3)
    figure = scores.plot(2, explanation)
    assert figure.texts[2].get_text() == f"sky_residual 0.75: {explanation.sentence}"
    inlier = dataclasses.replace(explanation, cause="unexplained", sentence="It is an inlier")
    assert scores.plot(2, inlier).texts[2].get_text() == "It is an inlier"
    rest = [segment.rest for segment in explanation.segments]
    np.testing.assert_allclose(shaded(figure, "#f9f3b0"), rest)
    with pytest.raises(InputError, match="row 1 is TARGETID 2, the explanation is of 3"):
        scores.plot(1, explanation)


def test_scores_without_a_reconstruction_are_refused() -> None:
    with pytest.raises(InputError, match="score with reconstruction=True"):
        some_scores(some_spectra(2)).plot(0)
    scores = scores_to_draw()
    assert scores.reconstruction is not None
    scores.reconstruction[1] = np.nan
    scores.status[1] = Status.NO_DATA
    with pytest.raises(InputError, match=r"row 1, TARGETID 2, has no reconstruction .*: NO_DATA"):
        scores.plot(1)
    with pytest.raises(IndexError):
        scores.plot(3)


def test_without_matplotlib_the_error_names_it_and_all_else_works() -> None:
    script = """
import sys
sys.modules["matplotlib"] = None
from tests.outcrop_sdk.sample import some_scores, some_spectra
import outcrop
try:
    some_scores(some_spectra(1), True).plot(0)
except outcrop.InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert "plots need matplotlib" in done.stdout
    assert done.stdout.endswith("install it: pip install matplotlib\n")
