"""A night of one petal, scored and explained in process, and the app that shows it."""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from starlette.testclient import TestClient

from explanation.explainer import Explainer
from outcrop import correct_noise, explain_flagged, find_petals, read_spectra, write_scores
from outcrop.desi import Petal
from outcrop.labels import LabelStore
from review.access import Access
from review.app import make_app
from review.bundled_model import BundledModel
from review.coadds import Coadds
from review.night import ReviewNight
from review.review import Links, Review
from training.sky.petals import simulate

LARGEST = 2**63 - 1
"""TARGETID that JavaScript's numbers do not have."""
EXPOSED = 20
"""Rows with exposures."""
NAME = "<img src=x onerror=alert(1)>"
"""Part of the coadd's name."""


def decoded(body: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and arrays of a body, as the page reads them."""
    (length,) = struct.unpack("<I", body[:4])
    header = json.loads(body[4 : 4 + length])
    arrays = {
        one["name"]: np.frombuffer(body, f"<{one['dtype']}", one["length"], one["offset"])
        for one in header["columns"]
    }
    return header, arrays


def explained(explainer: Explainer, petal: Petal, table: Path) -> None:
    """Score a petal, explain its flagged spectra, and write its table, as a night does."""
    spectra = correct_noise(read_spectra(petal.coadd, petal.redrock))
    scores = explainer.scorer.score(spectra)
    found = explain_flagged(explainer.explain, spectra, scores)
    table.parent.mkdir(parents=True, exist_ok=True)
    write_scores(table, spectra, scores, explainer.scorer.model, explanations=found)


def renamed(path: Path, targetid: int) -> None:
    """Give the target another TARGETID, the largest."""
    opened: Any = fits.open(path, mode="update")
    with opened as file:
        for hdu in file[1:]:
            if hdu.name in ("FIBERMAP", "EXP_FIBERMAP", "REDSHIFTS"):
                column = hdu.data["TARGETID"]
                column[column == targetid] = LARGEST


@pytest.fixture(scope="session")
def made(once: Callable[..., Path], odd_sky: Path, bundle: Path) -> Path:
    """A folder with the coadds in sky/tile, and their table in night/tile."""

    def make(folder: Path) -> None:
        explainer = Explainer.open(bundle)
        petal = find_petals(odd_sky)[0]
        spectra = correct_noise(read_spectra(petal.coadd, petal.redrock))
        first = explainer.scorer.score(spectra)
        tile = folder / "sky" / "tile"
        tile.mkdir(parents=True)
        copy = Petal(tile / f"coadd-{NAME}.fits", tile / f"redrock-{NAME}.fits")
        for source, target in ((petal.coadd, copy.coadd), (petal.redrock, copy.redrock)):
            shutil.copy(source, target)
            renamed(target, int(first.targetid[np.nanargmin(first.p_value)]))

        explained(explainer, copy, folder / "night" / "tile" / f"outliers-{NAME}.fits")
        explainer.close()

    return once("review", make)


@pytest.fixture(scope="session")
def exposures(once: Callable[..., Path], made: Path, night: ReviewNight) -> list[int]:
    """TARGETIDs of the first rows, of which each has two exposures beside the coadd."""
    targetids = night.columns["targetid"][:EXPOSED].tolist()

    def make(folder: Path) -> None:
        # The spectra of the odd sky, which are the same with exposures.
        simulate(folder, petals=1, seed=2, anomalies=0.1, exposures=2)
        (source,) = folder.rglob("spectra-*.fits")
        coadd = Path(night.tables[0].inputs[0])
        original: Any = fits.getdata(find_petals(folder)[0].coadd, "FIBERMAP")
        copied: Any = fits.getdata(made / "sky" / "tile" / coadd, "FIBERMAP")
        pairs = zip(original["TARGETID"].tolist(), copied["TARGETID"].tolist(), strict=True)
        names = dict(pairs)
        opened: Any = fits.open(source)
        with opened as file:
            fibermap = file["FIBERMAP"].data
            fibermap["TARGETID"] = [names[one] for one in fibermap["TARGETID"].tolist()]
            wanted = np.isin(fibermap["TARGETID"], targetids)
            for hdu in file[1:]:
                if hdu.data.shape[0] == len(wanted):
                    hdu.data = hdu.data[wanted]
            file.writeto(made / "sky" / "tile" / coadd.name.replace("coadd", "spectra"))

    once("exposures", make)
    return targetids


@pytest.fixture(scope="session")
def night(made: Path) -> ReviewNight:
    return ReviewNight.read(made / "night")


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[LabelStore]:
    with LabelStore(tmp_path / "labels.sqlite") as store:
        yield store


@pytest.fixture
def review(made: Path, night: ReviewNight, bundle: Path, labels: LabelStore) -> Iterator[Review]:
    coadds, links = Coadds(night, made / "sky"), Links("https://example.org/{targetid}", "")
    found = Review(night, coadds, labels, lambda: BundledModel(bundle, night.model), links)
    yield found
    found.close()


@pytest.fixture
def page(review: Review) -> TestClient:
    """A browser on this machine, without tokens."""
    return TestClient(make_app(review, Access("ABC")), base_url="http://127.0.0.1:8080")


@pytest.fixture
def csrf(page: TestClient) -> dict[str, str]:
    """The header of a write."""
    return {"X-CSRF-Token": page.get("/api/night").json()["csrf"]}
