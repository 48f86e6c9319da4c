"""Synthetic spectra and samples with known properties, and the parser of the HTML page."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.resample import RestGrid
from training.plots.sample import PlotSample, RestSpectra

WAVE = RestGrid().wave


class HtmlPage(HTMLParser):
    """Pictures, links and tags of an HTML page."""

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


def gaussian_line(centre: float, width: float, area: float) -> NDArray[np.float64]:
    """Return a Gaussian line (M,) with an equivalent width `area` in Å over a continuum of 1."""
    profile = np.exp(-0.5 * ((WAVE - centre) / width) ** 2)
    return area * profile / (width * np.sqrt(2 * np.pi))


def make_sample(flux: NDArray[np.floating], **columns: Any) -> PlotSample:
    """Return a sample of spectra (N, M) that are their own reconstructions, with unit noise.

    All are galaxies at z = 0.1 with S/N 10, wmse 1, nof −1 and p_value 0.5 unless columns say
    otherwise.
    """
    count, bins = flux.shape
    spectra = RestSpectra(
        flux.astype(np.float32),
        np.ones((count, bins), np.float32),
        flux.astype(np.float32),
    )

    given: dict[str, Any] = {
        "targetid": np.arange(1, count + 1),
        "z": np.full(count, 0.1),
        "ra": np.full(count, 180.0),
        "dec": np.full(count, 30.0),
        "spectype": np.full(count, "GALAXY"),
        "kind": np.full(count, ""),
        "snr": np.full(count, 10, np.float32),
        "wmse": np.ones(count, np.float32),
        "nof": -np.ones(count, np.float32),
        "norm": np.linalg.norm(flux, axis=1).astype(np.float32),
        "p_value": np.full(count, 0.5),
        "anomaly": np.zeros(count, np.bool_),
        "latent": np.zeros((count, 4), np.float32),
        "spectrum_row": np.arange(count),
        "spectra": spectra,
    }
    return PlotSample(**given | columns)
