"""Every key of the page, wherever the focus is."""

import pytest
from playwright.sync_api import expect

from tests.review.browser.looking import Looking

ELSEWHERE = ("#list", "#order", "#undo", "#smoothing", "#issues input", "#filters summary")


@pytest.mark.parametrize("focused", ELSEWHERE)
def test_n_and_b_walk_through_the_list_wherever_the_focus_is(
    looking: Looking, focused: str
) -> None:
    first, second = looking.rows[:2]
    looking.page.locator(focused).first.focus()
    looking.press("n")
    looking.expect_drawn(second)

    looking.press("b")
    looking.expect_drawn(first)


def test_the_ends_of_the_list_are_said(looking: Looking) -> None:
    looking.press("b")
    looking.expect_notice("first of the list")
    last = looking.rows[-1]
    looking.open(f"?row={last}")
    looking.press("n")
    looking.expect_notice("end of the list")


@pytest.mark.parametrize("interest", range(6))
def test_a_digit_is_the_interest_and_moves_on(looking: Looking, interest: int) -> None:
    first, second = looking.rows[:2]
    looking.press(f"{interest}")
    looking.expect_drawn(second)
    assert looking.stored()[first]["interest"] == interest


@pytest.mark.parametrize(
    ("keys", "quality"), [(("Shift+Digit4",), 4), (("Shift+Digit0",), 0), (("q", "3"), 3)]
)
def test_the_quality_is_shift_or_q_and_a_digit_and_stays(
    looking: Looking, keys: tuple[str, ...], quality: int
) -> None:
    first = looking.row
    looking.press(*keys)
    assert looking.row == first
    assert looking.pressed("quality") == [f"{quality}"]
    stored = looking.stored()[first]
    assert stored["vi_quality"] == quality
    assert stored.get("interest") is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [(("6",), "6 is no interest"), (("q", "5"), "5 is no VI quality")],
)
def test_other_digits_say_nothing_about_the_spectrum(
    looking: Looking, keys: tuple[str, ...], said: str
) -> None:
    before, row = looking.stored(), looking.row
    looking.press(*keys)
    looking.expect_notice(said)
    assert looking.row == row
    assert looking.stored() == before


def test_another_key_after_q_ends_it(looking: Looking) -> None:
    first, second, third = looking.rows[:3]
    looking.press("q", "n", "2")
    looking.expect_drawn(third)
    assert looking.stored()[second]["interest"] == 2
    assert first not in looking.stored()


def test_u_takes_the_last_label_back_and_shows_its_spectrum(looking: Looking) -> None:
    first = looking.row
    looking.press("3")
    looking.stored()
    looking.press("u")
    looking.expect_drawn(first)
    assert looking.pressed("interest") == []
    assert first not in looking.stored()

    looking.press("u")
    looking.expect_notice("no label of this page")


def test_u_restores_what_was_said_before(looking: Looking) -> None:
    first = looking.row
    looking.press("2", "b", "5", "u")
    looking.expect_drawn(first)
    assert looking.pressed("interest") == ["2"]
    assert looking.stored()[first]["interest"] == 2


def test_space_goes_to_the_next_without_a_label(looking: Looking) -> None:
    first, second, third = looking.rows[:3]
    looking.press("n", "1", "b", "b", "Space")
    assert looking.row == third
    assert looking.stored().keys() == {second}
    assert first != third


def test_s_and_d_smooth_more_and_less(looking: Looking) -> None:
    before = looking.state("state.smoothing")
    looking.press("s", "s")
    assert looking.state("state.smoothing") == before + 2
    looking.press(*["d"] * (before + 4))
    expect(looking.page.locator("#smoothing-shown")).to_have_text("0 pixels")


def test_z_writes_a_redshift_that_the_lines_follow(looking: Looking) -> None:
    looking.press("z")
    looking.page.keyboard.type("0.5")
    looking.expect_state("state.fit.z === 0.5")
    assert looking.state("state.shownZ") == 0.5

    row = looking.row
    looking.press("Enter", "n")
    assert looking.row != row


def test_arrows_change_the_redshift(looking: Looking) -> None:
    z = looking.state("state.shownZ")
    looking.press("ArrowRight", "ArrowRight", "Shift+ArrowRight", "ArrowLeft")
    assert looking.state("state.shownZ") == pytest.approx(z + 0.0101, abs=2e-6)


def test_t_tries_the_next_redshift_and_a_keeps_it(looking: Looking) -> None:
    row = looking.state("[...state.rows].find((row) => state.columns.cause[row] > 0)")
    looking.open(f"?row={row}")
    buttons = looking.page.locator("#candidates button")
    tried = [float(value) for value in buttons.evaluate_all("all => all.map((one) => one.value)")]
    looking.press("t")
    expected = tried[1 % len(tried)]
    assert looking.state("state.shownZ") == expected

    looking.press("a")
    assert looking.stored()[row]["z"] == pytest.approx(expected)
    looking.press("T")
    assert looking.state("state.shownZ") == tried[0]


def test_l_chooses_the_lines_and_f_the_frame(looking: Looking) -> None:
    chosen = []
    for _ in range(5):
        looking.press("l")
        chosen.append(looking.page.locator("#lines").input_value())
    assert chosen == ["all", "emission", "absorption", "none", "major"]

    looking.press("f")
    expect(looking.page.locator("#frame")).to_have_value("rest")


def test_zoom_and_pan(looking: Looking) -> None:
    def shown() -> tuple[float, float]:
        least, most = looking.page.evaluate(
            "async () => (await import('/static/spectrum.js')).shownWavelengths()"
        )
        return least, most

    whole = shown()
    looking.press("+")
    zoomed = shown()
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    looking.press(".")
    assert shown()[0] > zoomed[0]
    looking.press(",", "r")
    assert shown() == whole


def test_the_help_lists_every_key(looking: Looking) -> None:
    looking.press("?")
    help_ = looking.page.locator("#help")
    expect(help_).to_be_visible()
    shown = set(help_.locator("kbd").all_inner_texts())
    assert {"n", "b", "0", "5", "u", "s", "d", "z", "l", "t", "space", "?"} <= shown

    row = looking.row
    looking.press("n")
    assert looking.row == row
    looking.press("?")
    expect(help_).to_be_hidden()


def test_a_text_field_takes_what_is_written(looking: Looking) -> None:
    row = looking.row
    looking.press("c")
    looking.page.keyboard.type("bun 5")
    assert looking.row == row
    looking.press("Escape", "n")
    assert looking.row != row
    assert looking.stored()[row]["comment"] == "bun 5"
