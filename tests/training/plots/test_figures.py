"""The pictures: which there are, that they can be read, and that what they say is computed."""

import itertools
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import onnx
import pytest
from astropy.io import fits
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from outcrop import Petal, Spectra, write_scores
from scoring.network import OnnxVAE
from scoring.resample import RestGrid
from scoring.scorer import Scorer
from training import TrainingError
from training.plots import style
from training.plots.figures import figures
from training.plots.indices import NAMES, Indices
from training.plots.lines import label_lines
from training.plots.responses import responses, symbol, table_rows
from training.plots.sources import read_sample, score_sample
from training.plots.spectrum import flux_limits
from training.plots.tracks import track

WAVE = RestGrid().wave
RANKS = [f"top_outliers_{rank:02d}.png" for rank in range(1, 11)]
ALWAYS = [
    "top_outliers.png",
    *RANKS,
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


class Page(HTMLParser):
    """What a page shows and links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(given["src"])
        if tag == "a":
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def drawn(bundle: Path, odd_sky: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All files drawn of the odd sky."""
    return figures(bundle, odd_sky, tmp_path_factory.mktemp("figures") / "new")


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> Scorer:
    return Scorer.open(bundle)


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


def test_the_page_shows_every_picture_and_nothing_from_elsewhere(drawn: list[Path]) -> None:
    page = Page(drawn[0])
    assert sorted(page.pictures) == sorted(p.name for p in drawn if p.suffix == ".png")
    assert not page.tags & {"script", "link", "iframe"}


def test_the_page_links_each_outlier_to_its_place_on_the_sky(
    drawn: list[Path], scorer: Scorer, odd_sky: Path
) -> None:
    top = score_sample(scorer, odd_sky).most_anomalous("p_value", 10)
    expected = [
        f"https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"
        for ra, dec in zip(top.ra, top.dec, strict=True)
    ]
    assert [link for link in Page(drawn[0]).links if link.startswith("http")] == expected
    text = drawn[0].read_text(encoding="utf-8")
    assert all(str(one) in text for one in top.targetid)


def test_a_score_table_gives_the_same_sample_as_scoring(
    scorer: Scorer, odd_sky: Path, petal: Petal, spectra: Spectra, tmp_path: Path
) -> None:
    scores = scorer.score(spectra, reconstruction=True)
    write_scores(tmp_path / "o.fits", spectra, scores, scorer.model)
    scored, read = score_sample(scorer, odd_sky), read_sample(scorer, odd_sky, tmp_path / "o.fits")
    for name in ("targetid", "z", "ra", "dec", "spectype", "kind", "anomaly"):
        np.testing.assert_array_equal(getattr(read, name), getattr(scored, name))
    np.testing.assert_allclose(read.p_value, scored.p_value, rtol=1e-5)
    np.testing.assert_allclose(read.images.model, scored.images.model, rtol=1e-4, atol=1e-4)
    assert set(scored.kind) > {"inlier"}


def test_a_table_without_spectra_or_of_another_model_is_refused(
    scorer: Scorer, odd_sky: Path, spectra: Spectra, tmp_path: Path
) -> None:
    plain, other = tmp_path / "plain.fits", tmp_path / "other.fits"
    write_scores(plain, spectra, scorer.score(spectra), scorer.model)
    with pytest.raises(TrainingError, match="holds no spectra; write it again with"):
        read_sample(scorer, odd_sky, plain)
    write_scores(other, spectra, scorer.score(spectra, reconstruction=True), scorer.model)
    with fits.open(other, mode="update") as hdus:
        hdus["OUTLIERS"].header["MODELSHA"] = "0" * 64
    with pytest.raises(TrainingError, match="written by the model 000000000000"):
        read_sample(scorer, odd_sky, other)
    with pytest.raises(TrainingError, match="cannot be read as a score table"):
        read_sample(scorer, odd_sky, Path(__file__))


def test_a_folder_without_petals_is_refused(scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no pair of coadd-\*\.fits and redrock-\*\.fits"):
        score_sample(scorer, tmp_path)


@pytest.mark.parametrize("inches", [2.2, 3.3, 7.0])
@pytest.mark.parametrize("limits", [(3600, 7556), (6500, 6780), (3880, 4020), (4280, 4380)])
def test_names_of_lines_never_overlap(inches: float, limits: tuple[float, float]) -> None:
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(inches + 0.6, 3), dpi=style.DPI)
        canvas = FigureCanvasAgg(figure)
        width = inches / (inches + 0.6)
        axes = figure.add_axes((0.5 * (1 - width), 0.1, width, 0.5))
        axes.set_xlim(*limits)
        labels = label_lines(axes)
        boxes = [label.get_window_extent(canvas.get_renderer()) for label in labels]
    assert len(labels) >= 2
    for one, two in itertools.pairwise(boxes):
        assert one.x1 <= two.x0
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(box.y1 <= figure.bbox.height for box in boxes)


def test_a_spike_does_not_flatten_the_spectrum_but_a_line_is_shown() -> None:
    flux = np.ones(1000, np.float32)
    ivar = np.ones(1000, np.float32)
    flux[500:503] = 4.0
    low, high = flux_limits(flux, ivar, flux)
    assert low <= 0
    assert 4 < high < 5
    flux[200:202] = 300.0
    assert flux_limits(flux, ivar, np.ones_like(flux))[1] < 5
    # A step over many bins is never cut off, however far it goes.
    flux[700:] = -20.0
    assert flux_limits(flux, ivar, np.ones_like(flux))[0] < -20


def test_bad_bins_do_not_set_the_limits() -> None:
    flux = np.ones(1000, np.float32)
    ivar = np.ones(1000, np.float32)
    flux[300:400], ivar[300:400] = 1e6, 0
    assert flux_limits(flux, ivar, np.ones_like(flux))[1] < 2


def _line(centre: float, width: float, area: float) -> np.ndarray:
    """Return a Gaussian line of an area in Å over a continuum of 1."""
    profile = np.exp(-0.5 * ((WAVE - centre) / width) ** 2)
    return area * profile / (width * np.sqrt(2 * np.pi))


def test_an_equivalent_width_is_that_of_the_line() -> None:
    flux = 1 + _line(6564.6, 4.0, 10.0)
    measured = Indices(WAVE)(np.array([flux, 3 * flux, 1 - _line(6564.6, 4.0, 2.0)]))
    np.testing.assert_allclose(measured["Hα"], [10, 10, -2], rtol=0.1)
    np.testing.assert_allclose(measured["[O III]"], 0, atol=1e-9)
    assert set(measured) == set(NAMES)


def test_only_broad_lines_have_wings() -> None:
    narrow, broad = 1 + _line(6564.6, 4.0, 50.0), 1 + _line(6564.6, 40.0, 50.0)
    wings = Indices(WAVE)(np.array([narrow, broad]))["broad Hα"]
    assert abs(wings[0]) < 0.1
    assert wings[1] > 10


def test_an_index_outside_the_grid_is_unknown() -> None:
    wave = RestGrid(3600, 5500, 480).wave
    measured = Indices(wave)(np.ones((2, 480)))
    assert np.isnan(measured["Hα"]).all()
    assert np.isnan(measured["colour"]).all()
    np.testing.assert_allclose(measured["Hβ"], 0, atol=1e-9)
    np.testing.assert_allclose(measured["D4000"], (4051 / 3901) ** 2, rtol=0.01)


def _decoder(directions: np.ndarray) -> OnnxVAE:
    """Return a model that decodes to 1 plus the latents times directions (L, M)."""
    size, bins = directions.shape

    def graph(
        name: str, given: str, result: dict[str, int], weights: np.ndarray, bias: float
    ) -> bytes:
        nodes, constants = [], [numpy_helper.from_array(np.array(bias, np.float32), "bias")]
        for output in result:
            constants.append(numpy_helper.from_array(weights.astype(np.float32), f"{output}_w"))
            nodes.append(helper.make_node("MatMul", [given, f"{output}_w"], [f"{output}_0"]))
            nodes.append(helper.make_node("Add", [f"{output}_0", "bias"], [output]))

        def tensor(name: str, width: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])

        made = helper.make_graph(
            nodes,
            name,
            [tensor(given, len(weights))],
            [tensor(output, width) for output, width in result.items()],
            constants,
        )
        opset = [helper.make_opsetid("", 18)]
        return helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()

    encoder = {"latent": size, "log_variance": size}
    return OnnxVAE(
        graph("encoder", "flux", encoder, np.zeros((bins, size)), 0.0),
        graph("decoder", "latent", {"flux": bins}, directions, 1.0),
    )


def test_table_1_finds_what_each_latent_of_a_known_decoder_does() -> None:
    tilt = 0.05 * (WAVE - WAVE.mean()) / np.ptp(WAVE)
    oxygen = _line(5008.2, 4.0, 2.0) - _line(3728.5, 4.0, 2.0)
    vae = _decoder(np.array([_line(6564.6, 4.0, 1.0), -tilt, oxygen, np.zeros_like(WAVE)]))
    latents = np.random.default_rng(3).normal(size=(4000, 4)).astype(np.float32)
    table = responses(vae, latents, WAVE)
    arrows = {
        name: [symbol(value) for value in column]
        for name, column in zip(NAMES, table.T, strict=True)
    }
    assert arrows["Hα"] == ["↑", "–", "–", "–"]
    assert arrows["colour"] == ["–", "↓", "–", "–"]
    assert arrows["[O III]"] == ["–", "–", "↑", "–"]
    assert arrows["[O II]"] == ["–", "–", "↓", "–"]
    # An index that one dimension sets alone responds with about 1, one that none touches with 0.
    assert table[0, NAMES.index("Hα")] == pytest.approx(1, abs=0.1)
    assert table[1, NAMES.index("colour")] == pytest.approx(-1, abs=0.1)
    np.testing.assert_allclose(table[3], 0, atol=1e-3)


def test_table_1_says_where_the_grid_holds_no_line() -> None:
    wave = RestGrid(3600, 5500, 480).wave
    vae = _decoder(np.ones((2, 480)) * 0.01)
    latents = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    rows = table_rows(responses(vae, latents, wave))
    assert [row[0] for row in rows] == ["", "latent 1", "latent 2"]
    assert rows[1][rows[0].index("Hα")] == "?"


def test_a_track_goes_straight_from_end_to_end_and_shows_no_spectrum_twice() -> None:
    latents = np.array([[0, 0], [0.1, 0], [2, 0.1], [4, 0], [9, 9]], np.float32)
    found = track(latents, np.zeros(2), np.array([4.0, 0.0]), steps=3, neighbours=2)
    np.testing.assert_allclose(found.points, [[0, 0], [2, 0], [4, 0]])
    assert found.nearest.tolist() == [0, 2, 3]
    assert found.neighbours[0].tolist() == [0, 1]
    close = track(latents, np.zeros(2), np.array([0.01, 0.0]), steps=3, neighbours=2)
    assert len(set(close.nearest.tolist())) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.0123"),
        (-4.284, "−4.28"),
        (1530.2, "1530"),
        (1.2e-7, "1.2 × 10⁻⁷"),
        (np.nan, "–"),
    ],
)
def test_numbers_are_printed_in_three_digits(value: float, text: str) -> None:
    assert style.number(value) == text
