"""The page shows every picture, links every outlier to its position, and escapes all text."""

from pathlib import Path

import numpy as np

from scoring.scorer import Scorer
from tests.training.plots.helpers import HtmlPage, make_sample
from training.plots.page import PageTable, Picture, write_page
from training.plots.sources import score_petals


def test_the_page_shows_every_picture_and_nothing_from_elsewhere(drawn: list[Path]) -> None:
    page = HtmlPage(drawn[0])
    assert sorted(page.pictures) == sorted(p.name for p in drawn if p.suffix == ".png")
    assert not page.tags & {"script", "link", "iframe"}


def test_the_page_links_each_outlier_to_its_position(
    drawn: list[Path], scorer: Scorer, odd_sky: Path
) -> None:
    top = score_petals(scorer, odd_sky).most_anomalous("p_value", 10)
    expected = [
        f"https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"
        for ra, dec in zip(top.ra, top.dec, strict=True)
    ]
    assert [link for link in HtmlPage(drawn[0]).links if link.startswith("http")] == expected
    text = drawn[0].read_text(encoding="utf-8")
    assert all(str(one) in text for one in top.targetid)


def test_text_is_escaped(tmp_path: Path) -> None:
    top = make_sample(np.ones((1, 10)), kind=np.array(["<script>"]))
    page = write_page(
        tmp_path / "index.html",
        "a < b",
        ["<script>"],
        top,
        [Picture(None, "<script>", "<script>"), Picture(Path('"x".png'), "b & c", '"<script>"')],
        [PageTable("<script>", "<script>", [["<script>"], ["<script>"]])],
    )
    text = page.read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "<h1>a &lt; b</h1>" in text
    assert "<h2>b &amp; c</h2>" in text
    assert HtmlPage(page).pictures == ['"x".png']


def test_a_spectrum_without_position_has_no_link(tmp_path: Path) -> None:
    top = make_sample(np.ones((2, 10)), ra=np.array([np.nan, 180.0]))
    page = write_page(tmp_path / "index.html", "", [], top, [], [])
    assert page.read_text(encoding="utf-8").count("no position") == 1
    assert len(HtmlPage(page).links) == 1


def test_a_heading_is_printed_once_for_all_its_pictures(tmp_path: Path) -> None:
    pictures = [Picture(None, heading, f"caption {i}") for i, heading in enumerate("ABA")]
    page = write_page(tmp_path / "index.html", "", [], make_sample(np.ones((1, 10))), pictures, [])
    text = page.read_text(encoding="utf-8")
    order = ["<h2>A</h2>", "caption 0", "caption 2", "<h2>B</h2>", "caption 1"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.count("<h2>A</h2>") == 1
