"""Who can use the page: by screen reader, in the dark, on a phone; nothing comes from outside."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.review.browser.looking import Looking

PHONE = {"width": 390, "height": 844}


def serious(looking: Looking) -> list[str]:
    """Return what axe finds serious or critical."""
    found: list[dict[str, Any]] = Axe().run(looking.page).response["violations"]
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html']:.200})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1500, PHONE["width"]])
def test_axe_finds_nothing_serious(browser: Browser, address: str, theme: Any, width: int) -> None:
    # The policy of the page forbids what axe is injected with.
    context = browser.new_context(
        bypass_csp=True, color_scheme=theme, viewport={"width": width, "height": 900}
    )
    looking = Looking(context.new_page(), address)
    looking.open()
    looking.press("e", "k", "i", "m", "Space")
    expect(looking.page.locator("#exposures canvas")).to_have_count(2)
    expect(looking.page.locator("#similar-list figure")).to_have_count(5)
    for group in looking.page.locator("#filters summary").all():
        if not group.evaluate("one => one.parentElement.open"):
            group.click()
    assert serious(looking) == []
    looking.press("?")
    assert serious(looking) == []
    context.close()


def test_segments_are_in_a_table_for_screen_readers(looking: Looking) -> None:
    row = looking.state("[...state.rows].find((row) => state.columns.cause[row] > 0)")
    looking.open(f"?row={row}")
    count = looking.state("state.spectrum.meta.segments.length")
    expect(looking.page.locator("#segments tr")).to_have_count(count)
    figure = looking.page.get_by_role("figure", name=f"with {count} segments")
    expect(figure).to_be_visible()


def test_a_phone_shows_everything_in_its_width(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    looking = Looking(context.new_page(), address)
    looking.open()
    looking.press("e", "k", "i")
    expect(looking.page.locator("#similar-list figure")).to_have_count(5)
    assert looking.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()


def test_every_control_is_reached_by_tab_and_shows_its_focus(looking: Looking) -> None:
    looking.press("e", "k")
    expect(looking.page.locator("#similar-list button")).to_have_count(5)
    controls = """() => [...document.querySelectorAll(
      "a[href], button, input, select, summary, [tabindex='0']")].filter((one) =>
        one.checkVisibility() && !one.disabled && !one.closest("dialog")).length"""
    expected = looking.page.evaluate(controls)
    looking.page.evaluate("() => document.activeElement.blur()")
    marked = """() => { const one = document.activeElement;
      const style = getComputedStyle(one);
      one.dataset.seen = "";
      return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1; }"""
    unmarked: list[str] = []
    for _ in range(expected):
        looking.press("Tab")
        if not looking.page.evaluate(marked):
            unmarked.append(looking.page.evaluate("document.activeElement.outerHTML.slice(0, 99)"))
    assert unmarked == []
    assert looking.page.locator("[data-seen]").count() == expected


def test_a_screen_reader_is_not_told_every_step(looking: Looking) -> None:
    looking.page.evaluate(
        """() => { window.said = [];
          const regions = "[role=status], [role=alert], [aria-live]";
          for (const region of document.querySelectorAll(regions)) {
            new MutationObserver(() => window.said.push(region.textContent))
              .observe(region, { childList: true, characterData: true, subtree: true });
          } }"""
    )
    last = looking.rows[6]
    looking.press(*["n"] * 6)
    looking.expect_drawn(last)
    assert looking.page.evaluate("window.said") == []
    looking.press("3")
    looking.expect_labels_sent()
    assert looking.page.evaluate("window.said") == ["Interest 3"]


def test_a_change_of_theme_draws_the_spectrum_anew(looking: Looking) -> None:
    canvas = looking.page.locator("#flux-plot canvas")
    before = looking.picture(canvas)
    looking.page.emulate_media(color_scheme="dark")
    looking.expect_redrawn(canvas, before)


def test_nothing_is_fetched_from_elsewhere(looking: Looking) -> None:
    asked: list[str] = []
    looking.page.on("request", lambda request: asked.append(request.url))
    looking.open()
    looking.press("n", "t", "3")
    looking.expect_labels_sent()
    assert asked
    assert [url for url in asked if not url.startswith((looking.address, "data:"))] == []


def test_the_policy_forbids_scripts_of_the_document(looking: Looking) -> None:
    looking.page.evaluate(
        """() => { const script = document.createElement("script");
                   script.textContent = "window.ran = true";
                   document.body.append(script); }"""
    )
    assert looking.page.evaluate("window.ran") is None
    found = looking.page.evaluate("window.violations")
    assert len(found) == 1
    assert found[0].startswith("script-src")
    # The fixture expects none.
    looking.page.evaluate("() => { window.violations = []; }")
