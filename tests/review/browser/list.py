"""List, filters, order, map and the address that keeps them."""

import re

import pytest
from playwright.sync_api import expect

from tests.review.browser.looking import Looking


def filter_by(looking: Looking, name: str, value: int) -> None:
    """Open a filter and choose one of its values."""
    box = looking.page.locator(f"#filter-{name}")
    group = box.locator("xpath=..")
    if not group.evaluate("group => group.open"):
        group.locator("summary").click()
    box.locator(f"input[value='{value}']").check()


def count_of(looking: Looking, name: str, value: int) -> int:
    """Return the count beside a value."""
    box = looking.page.locator(
        f"#filter-{name} label", has=looking.page.locator(f"input[value='{value}']")
    )
    return int(box.locator(".count").inner_text())


@pytest.mark.parametrize("name", ["flagged", "cause", "spectype", "petal"])
def test_a_filter_leaves_as_many_as_it_says(looking: Looking, name: str) -> None:
    value = looking.state(f"state.columns.{name}[0]")
    said = looking.state(f"state.counts.{name}.get({value})")
    expected = looking.state(f"[...state.columns.{name}].filter((one) => one === {value}).length")
    assert said == expected

    filter_by(looking, name, value)
    assert len(looking.rows) == expected
    assert looking.state(f"[...state.rows].every((row) => state.columns.{name}[row] === {value})")
    assert count_of(looking, name, value) == expected
    looking.page.wait_for_url(re.compile(rf"[?&]{name}={value}(&|$)"))


def test_filters_are_kept_by_the_address_and_removed(looking: Looking) -> None:
    every = len(looking.rows)
    filter_by(looking, "flagged", 1)
    looking.page.locator("#filter-snr-least").fill("3")
    looking.page.locator("#filter-snr-least").blur()
    chosen = looking.rows
    assert 0 < len(chosen) < every
    looking.page.wait_for_url(re.compile("snr=3"))

    looking.page.reload()
    looking.wait()
    assert looking.rows == chosen
    expect(looking.page.locator("#filter-snr-least")).to_have_value("3")
    looking.page.locator("#clear-filters").click()
    assert len(looking.rows) == every


def test_labelled_spectra_can_be_listed(looking: Looking) -> None:
    first, second = looking.rows[:2]
    looking.press("5", "0")
    looking.expect_labels_sent()
    looking.open("?label=5")
    assert looking.rows == [first]
    looking.open("?label=0,5")
    assert looking.rows == [first, second]


@pytest.mark.parametrize("query", ["?row=-3", "?row=99999999", "?cause=x&snr=a..b", "?lasso=1,2"])
def test_an_address_that_cannot_be_read_shows_the_night(looking: Looking, query: str) -> None:
    every = len(looking.rows)
    looking.open(query)
    assert len(looking.rows) == every
    assert looking.row == looking.rows[0]


def test_a_list_without_rows_says_so(looking: Looking) -> None:
    looking.page.goto(f"{looking.address}/?z=90..91")
    looking.page.wait_for_selector("body[data-ready]")
    expect(looking.page.locator("#shown")).to_contain_text("0 of")


def test_an_order_ranks_the_rows_and_is_kept(looking: Looking) -> None:
    looking.page.locator("#order").select_option("p_explained")
    looking.page.wait_for_url(re.compile("order=p_explained"))
    expect(looking.page.locator("#refit")).to_be_hidden()
    explained = "[...state.rows].map((row) => state.columns.p_explained[row])"
    ascending = "every((p, i, all) => i === 0 || all[i - 1] <= p)"
    looking.expect_state(f"{explained}.filter(Number.isFinite).{ascending}")
    looking.page.reload()
    looking.wait()
    expect(looking.page.locator("#order")).to_have_value("p_explained")


def test_a_learned_order_can_be_fitted_again(looking: Looking) -> None:
    looking.press("5", "0", "1")
    looking.expect_labels_sent()
    looking.page.locator("#order").select_option("interest")
    expect(looking.page.locator("#refit")).to_be_visible()
    with looking.page.expect_response("**/api/order/interest") as answer:
        looking.page.locator("#refit").click()
    assert answer.value.ok


def test_only_rows_in_sight_are_elements(looking: Looking) -> None:
    every = len(looking.rows)
    shown = looking.page.locator(".row")
    assert shown.count() < min(every, 60)
    looking.page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    last = looking.rows[-1]
    expect(looking.page.locator(f"#row-{last}")).to_be_visible()
    assert shown.count() < min(every, 60)


def test_the_list_is_where_the_spectrum_of_the_address_is(looking: Looking) -> None:
    row = looking.rows[len(looking.rows) // 2]
    looking.open(f"?row={row}")
    chosen = looking.page.locator(f"#row-{row}")
    expect(chosen).to_have_attribute("aria-selected", "true")
    expect(chosen).to_be_in_viewport()


def test_a_click_shows_a_spectrum(looking: Looking) -> None:
    third = looking.rows[2]
    looking.page.locator(f"#row-{third}").click()
    looking.expect_drawn(third)


def test_targetids_are_exact(looking: Looking) -> None:
    row = looking.row
    targetid = looking.state(f"state.columns.targetid[{row}].toString()")
    assert int(targetid) > 2**53
    expect(looking.page.locator(f"#row-{row}")).to_contain_text(targetid)
    expect(looking.page.locator("#title")).to_contain_text(targetid)


def test_a_lasso_on_the_map_filters_the_list(looking: Looking) -> None:
    every = len(looking.rows)
    canvas = looking.page.locator("#map-marks")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    right, bottom = 0.5 * box["width"], box["height"] - 2
    corners = [(1, 1), (right, 1), (right, bottom), (1, bottom), (1, 1)]
    looking.page.mouse.move(box["x"] + 1, box["y"] + 1)
    looking.page.mouse.down()
    for x, y in corners:
        looking.page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    looking.page.mouse.up()

    chosen = looking.rows
    assert 0 < len(chosen) < every
    middle = looking.state(
        "(() => { const x = [...state.columns.map_x].filter(Number.isFinite);"
        " return (Math.min(...x) + Math.max(...x)) / 2; })()"
    )
    east = looking.state("Math.max(...[...state.rows].map((row) => state.columns.map_x[row]))")
    assert east <= middle + 0.1
    looking.page.wait_for_url(re.compile("lasso="))

    looking.page.reload()
    looking.wait()
    assert looking.rows == chosen
    looking.page.locator("#clear-lasso").click()
    assert len(looking.rows) == every


def test_a_box_on_the_map_is_drawn_by_keys(looking: Looking) -> None:
    every = len(looking.rows)
    looking.press("m")
    expect(looking.page.locator("#map-marks")).to_be_focused()
    looking.press(*["ArrowLeft"] * 40, *["ArrowUp"] * 40, "Space")
    expect(looking.page.locator("#map-said")).to_contain_text("A box is begun")
    looking.press(*["ArrowRight"] * 13, *["ArrowDown"] * 40, "Shift+ArrowRight", "Space")
    chosen = looking.rows
    assert 0 < len(chosen) < every
    polygon = looking.state("state.filters.lasso")
    assert len(polygon) == 4
    east = looking.state("Math.max(...[...state.rows].map((row) => state.columns.map_x[row]))")
    assert east <= max(x for x, _ in polygon)
    looking.page.wait_for_url(re.compile("lasso="))
    looking.page.locator("#clear-lasso").click()
    assert len(looking.rows) == every


def test_escape_leaves_the_box_and_the_page_keeps_its_keys(looking: Looking) -> None:
    every, second = len(looking.rows), looking.rows[1]
    z = looking.state("state.shownZ")
    looking.press("m", "Space", "ArrowRight", "ArrowDown", "Escape", "Space", "Space")
    assert len(looking.rows) == every
    assert looking.state("state.shownZ") == z
    looking.press("n")
    looking.expect_drawn(second)


def test_enter_shows_the_spectrum_below_the_cross(looking: Looking) -> None:
    # The one that is loneliest on the map, and how many small steps of the cross lead there.
    row, right, down = looking.page.evaluate(
        """async () => {
          const { state } = await import("/static/store.js");
          const { placeOnMap } = await import("/static/map.js");
          const [x, y] = placeOnMap(state.row);
          const all = [...state.rows].map((row) => [row, ...placeOnMap(row)]);
          const known = all.filter(([, px]) => Number.isFinite(px));
          const alone = ([row, px, py]) =>
            Math.min(...known.filter(([one]) => one !== row)
              .map(([, x, y]) => Math.hypot(x - px, y - py)));
          known.sort((a, b) => alone(b) - alone(a));
          const [row, px, py] = known.find(([row]) => row !== state.row);
          return [row, Math.round((px - x) / 2), Math.round((py - y) / 2)];
        }"""
    )
    looking.press("m")
    looking.press(*["Shift+ArrowRight" if right > 0 else "Shift+ArrowLeft"] * int(abs(right)))
    looking.press(*["Shift+ArrowDown" if down > 0 else "Shift+ArrowUp"] * int(abs(down)))
    targetid = looking.state(f"state.columns.targetid[{row}].toString()")
    expect(looking.page.locator("#map-hint")).to_contain_text(targetid)
    expect(looking.page.locator("#map-said")).to_contain_text(targetid)
    looking.press("Enter")
    looking.expect_drawn(row)


def test_from_a_spectrum_outside_the_list_keys_lead_back_to_where_it_was_left(
    looking: Looking,
) -> None:
    value = looking.state("state.columns.cause[0]")
    looking.open(f"?cause={value}")
    first, second = looking.rows[:2]
    looking.press("n", "b")
    outside = looking.state(f"[...state.columns.cause].findIndex((one) => one !== {value})")
    looking.page.evaluate(
        "async (row) => { (await import('/static/navigation.js')).select(row); }", outside
    )
    looking.expect_drawn(outside)
    looking.press("b")
    looking.expect_drawn(first)
    looking.page.evaluate(
        "async (row) => { (await import('/static/navigation.js')).select(row); }", outside
    )
    looking.expect_drawn(outside)
    looking.press("n")
    looking.expect_drawn(second)


def test_a_click_on_the_map_shows_the_spectrum_below_it(looking: Looking) -> None:
    x, y, row = looking.page.evaluate(
        """async () => {
          const { state } = await import("/static/store.js");
          const { placeOnMap } = await import("/static/map.js");
          const row = state.rows[5];
          return [...placeOnMap(row), row];
        }"""
    )
    canvas = looking.page.locator("#map-marks")
    canvas.scroll_into_view_if_needed()
    canvas.hover(position={"x": x, "y": y})
    targetid = looking.state(f"state.columns.targetid[{row}].toString()")
    expect(looking.page.locator("#map-hint")).to_contain_text(targetid)
    canvas.click(position={"x": x, "y": y})
    looking.expect_drawn(row)


@pytest.mark.parametrize("colour", ["density", "cause", "label", "class", "p"])
def test_the_map_is_drawn_in_every_colour(looking: Looking, colour: str) -> None:
    looking.page.locator("#map-colour").select_option(colour)
    drawn = looking.page.locator("#map-points").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)"
    )
    assert drawn
    expect(looking.page.locator("#map-legend span").first).to_be_visible()
