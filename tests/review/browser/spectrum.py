"""What is drawn of a spectrum: a closer look, and nothing in the place of what cannot be had."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.review.browser.conftest import ReviewProcess
from tests.review.browser.looking import Looking
from tests.service.conftest import free_port

WITH_SEGMENTS = "[...state.rows].find((row) => state.columns.cause[row] > 0)"


def open_explained(looking: Looking) -> None:
    """Open a spectrum with segments."""
    row = looking.state(WITH_SEGMENTS)
    looking.open(f"?row={row}")
    assert looking.state("state.spectrum.meta.segments.length") > 0


def test_i_looks_closer_at_one_stretch_after_the_other(looking: Looking) -> None:
    open_explained(looking)
    inset = looking.page.locator("#inset")
    expect(inset).to_be_hidden()
    segments = looking.state("state.spectrum.meta.segments.length")
    peaks = looking.page.evaluate(
        "async () => (await import('/static/spectrum.js')).peaksBeyond().length"
    )
    names: list[str] = []
    for _ in range(peaks + segments):
        looking.press("i")
        expect(inset).to_be_visible()
        names.append(looking.page.locator("#inset-name").inner_text())
        looking.expect_notice(names[-1])
    assert len([name for name in names if name.startswith("segment")]) == segments
    assert len(set(names)) == len(names)

    looking.press("i")
    expect(inset).to_be_hidden()
    looking.press("I")
    expect(looking.page.locator("#inset-name")).to_have_text(names[-1])
    looking.press("Escape")
    expect(inset).to_be_hidden()


def test_a_peak_beyond_the_axis_is_within_the_inset(looking: Looking) -> None:
    # One pixel of a thousand times the flux.
    looking.page.evaluate(
        """async () => {
          const { set, state } = await import("/static/store.js");
          const { spectrum } = state;
          const flux = spectrum.flux.slice();
          const ivar = spectrum.ivar.fill(1e4);
          const mask = spectrum.mask.fill(0);
          flux[4000] = 1000 * Math.max(...flux.map(Math.abs));
          set({ smoothing: 0, spectrum: { ...spectrum, flux, ivar, mask } });
        }"""
    )
    wave, value = looking.state("[state.spectrum.wave[4000], state.spectrum.flux[4000]]")
    looking.press("i")
    expect(looking.page.locator("#inset-name")).to_contain_text(f"at {wave:.0f} Å")
    first, last = looking.state("[state.inset.first, state.inset.last]")
    assert first < wave < last
    top = looking.page.evaluate("async () => (await import('/static/inset.js')).shownValues()[1]")
    assert top >= value


def test_an_open_inset_follows_the_pointer_and_closes_with_the_spectrum(looking: Looking) -> None:
    open_explained(looking)
    looking.page.locator("#open-inset").click()
    plot = looking.page.locator("#flux-plot .u-over")
    plot.hover(position={"x": 100, "y": 50})
    expect(looking.page.locator("#inset-name")).to_contain_text("around")
    early = looking.state("state.inset.first")
    plot.hover(position={"x": 300, "y": 50})
    looking.expect_state(f"state.inset.first > {early}")
    looking.press("n")
    expect(looking.page.locator("#inset")).to_be_hidden()


def test_a_masked_pixel_says_why_below_the_pointer(looking: Looking) -> None:
    names = looking.state("state.night.mask_bits")
    # Four pixels that are masked, without ivar, masked in one camera only, and used.
    looking.page.evaluate(
        """async () => {
          const { set, state } = await import("/static/store.js");
          const { spectrum } = state;
          const mask = spectrum.mask.fill(0);
          const mask_bits = spectrum.mask_bits.fill(0);
          mask[1000] = mask[2000] = 1;
          mask_bits[1000] = 3;
          mask_bits[3000] = 2;
          set({ spectrum: { ...spectrum, mask, mask_bits } });
        }"""
    )
    why = """async (pixel) => {
      const { state } = await import("/static/store.js");
      return (await import("/static/mask.js")).maskedAt(state.spectrum.wave[pixel]);
    }"""
    first, second = names[:2]
    said = [looking.page.evaluate(why, pixel) for pixel in (1000, 2000, 3000, 4000)]
    assert said == [
        f"not used: {first}, {second}",
        "not used: no inverse variance",
        f"used, but masked in one of two cameras: {second}",
        "",
    ]
    legend = looking.page.locator("#legend")
    expect(legend).to_contain_text(f"2 of 7781 pixels are not used: {first} 1, {second} 1")


def test_the_readout_names_a_masked_pixel(looking: Looking) -> None:
    looking.page.evaluate(
        """async () => {
          const { set, state } = await import("/static/store.js");
          const { spectrum } = state;
          const [mask, mask_bits] = [spectrum.mask.fill(1), spectrum.mask_bits.fill(1)];
          set({ spectrum: { ...spectrum, mask, mask_bits } });
        }"""
    )
    looking.page.locator("#flux-plot .u-over").hover(position={"x": 200, "y": 50})
    name = looking.state("state.night.mask_bits[0]")
    expect(looking.page.locator("#readout")).to_contain_text(f"not used: {name}")


def test_e_shows_the_exposures_over_the_shown_wavelengths(looking: Looking) -> None:
    panel = looking.page.locator("#exposures")
    drawn = panel.locator("canvas")
    expect(drawn).to_have_count(0)
    looking.press("e")
    expect(drawn).to_have_count(2)
    expect(panel.locator("figcaption").first).to_contain_text("Exposure")
    whole = looking.picture(drawn.first)
    looking.press("+", "+")
    looking.expect_redrawn(drawn.first, whole)

    looking.open(f"?row={looking.rows[-1]}")
    looking.press("e")
    expect(panel).to_contain_text("There are none in a spectra-*.fits")
    expect(drawn).to_have_count(0)


def test_k_shows_the_neighbours_and_leads_to_those_of_the_night(looking: Looking) -> None:
    looking.press("k")
    training = looking.page.locator("#neighbour-list figure")
    night = looking.page.locator("#similar-list figure")
    expect(training).to_have_count(5)
    expect(night).to_have_count(5)
    known = looking.state("state.spectrum.meta.neighbours.map(({ targetid }) => targetid)")
    for figure, targetid in zip(training.all(), known, strict=True):
        expect(figure).to_contain_text(targetid)
        assert figure.locator("canvas").evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)"
        )

    button = night.first.get_by_role("button")
    targetid = button.inner_text()
    button.click()
    expect(looking.page.locator("#title")).to_contain_text(targetid)
    expect(night.first.get_by_role("button")).not_to_have_text(targetid)


def test_a_service_that_is_away_is_said_and_everything_else_goes_on(
    page: Page, made: Path, exposures: list[int], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    server = ReviewProcess(made, url, tmp_path / "labels.sqlite")
    try:
        looking = Looking(page, server.address)
        looking.open()
        first, second = looking.rows[:2]
        missing = page.locator("#missing")
        expect(missing).to_contain_text("There is no reconstruction")
        expect(missing).to_contain_text(f"the service at {url} is away")
        expect(page.locator("#map-legend")).to_contain_text("--model")
        looking.press("k", "e")
        expect(page.locator("#no-neighbours")).to_contain_text("--model")
        expect(page.locator("#exposures canvas")).to_have_count(2)

        looking.press("5")
        looking.expect_drawn(second)
        assert looking.stored()[first]["interest"] == 5
    finally:
        server.kill()


@pytest.mark.parametrize(("key", "part"), [("e", "exposures"), ("k", "neighbours")])
def test_what_a_panel_cannot_have_is_said(looking: Looking, key: str, part: str) -> None:
    refusal = {"error": "spectra-0.fits is damaged", "request_id": "1"}
    looking.answer(f"/api/spectrum/*/{part}", lambda route: route.fulfill(status=409, json=refusal))
    looking.press(key)
    expect(looking.page.locator(f"#no-{part}")).to_contain_text("spectra-0.fits is damaged")
    looking.press(key)
    expect(looking.page.locator(f"#no-{part}")).to_be_hidden()


def test_a_coadd_that_moved_is_said_and_no_other_spectrum_is_in_its_place(
    looking: Looking,
) -> None:
    first, second, third = looking.rows[:3]
    canvas = looking.page.locator("#flux-plot canvas")
    drawn = looking.picture(canvas)
    moved = {"error": "coadd-0.fits is not there any more", "request_id": "1"}
    looking.open(f"?row={first}")
    looking.answer(f"/api/spectrum/{second}", lambda route: route.fulfill(status=409, json=moved))
    looking.page.reload()
    looking.wait()
    looking.press("n")
    failure = looking.page.locator("#failure")
    expect(failure).to_contain_text("coadd-0.fits is not there any more")

    targetid = looking.state(f"state.columns.targetid[{second}].toString()")
    expect(looking.page.locator("#title")).to_contain_text(targetid)
    expect(looking.page.locator("#segments tr")).to_have_count(0)
    expect(looking.page.locator("#sentence")).to_have_text("")
    looking.expect_redrawn(canvas, drawn)
    z = looking.state("state.shownZ")
    looking.press("a", "ArrowRight", "t")
    assert looking.state("state.shownZ") == z
    assert second not in looking.stored()

    looking.press("5")
    looking.expect_drawn(third)
    expect(failure).to_be_hidden()
    assert looking.stored()[second]["interest"] == 5


def test_a_spectrum_that_is_not_there_yet_is_named_and_its_redshift_not_taken(
    looking: Looking,
) -> None:
    last = looking.rows[-1]
    held: list[Route] = []
    looking.answer(f"/api/spectrum/{last}", held.append)
    looking.page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    looking.page.locator(f"#row-{last}").click()
    targetid = looking.state(f"state.columns.targetid[{last}].toString()")
    expect(looking.page.locator("#title")).to_contain_text(targetid)
    expect(looking.page.locator("#spectrum")).to_have_attribute("aria-busy", "true")
    looking.press("a")
    looking.expect_notice("no redshift was taken")

    held[0].continue_()
    looking.expect_drawn(last)
    expect(looking.page.locator("#spectrum")).to_have_attribute("aria-busy", "false")
    assert last not in looking.stored()


def test_how_it_is_drawn_is_kept_by_the_address(looking: Looking) -> None:
    looking.press("s", "s", "l", "f")
    looking.page.locator("#map-colour").select_option("label")
    looking.page.wait_for_url(re.compile("mapColour=label"))
    kept = "[state.smoothing, state.lines, state.frame, state.mapColour, state.row]"
    before = looking.state(kept)
    looking.page.reload()
    looking.wait()
    assert looking.state(kept) == before
    expect(looking.page.locator("#lines")).to_have_value("all")
    expect(looking.page.locator("#frame")).to_have_value("rest")


@pytest.mark.parametrize("query", ["?smoothing=99&lines=x&frame=y", "?smoothing=-1&mapColour="])
def test_a_view_that_cannot_be_read_is_the_usual_one(looking: Looking, query: str) -> None:
    kept = "[state.smoothing, state.lines, state.frame, state.mapColour]"
    usual = looking.state(kept)
    looking.open(query)
    assert looking.state(kept) == usual
