"""Labels: given, kept when the page is opened again, and when the server is away."""

import json

import pytest
from playwright.sync_api import Dialog, Route, expect

from tests.review.browser.conftest import ReviewProcess
from tests.review.browser.looking import Looking

HOSTILE = "<img src=x onerror=alert(1)>"


def _refuse_writes(route: Route) -> None:
    """Answer as a server that has no room for a label."""
    if route.request.method == "POST":
        route.fulfill(status=503, json={"error": "the disk is full", "request_id": "1"})
    else:
        route.continue_()


def test_the_form_says_all_that_a_label_has(looking: Looking) -> None:
    row = looking.row
    page = looking.page
    page.locator("#issues input[value=R]").check()
    page.locator("#issues input[value=S]").check()
    page.locator("#best-z").fill("0.25")
    page.locator("#best-spectype").select_option("QSO")
    page.locator("#comment").fill("DLA")
    page.locator("#comment").blur()

    stored = looking.stored()[row]
    assert {name: stored[name] for name in ("issues", "z", "spectype", "comment")} == {
        "issues": "RS",
        "z": 0.25,
        "spectype": "QSO",
        "comment": "DLA",
    }


def test_what_was_said_can_be_unsaid(looking: Looking) -> None:
    row = looking.row
    looking.page.locator("#comment").fill("BAL")
    looking.page.locator("#comment").blur()
    looking.page.locator("#comment").fill("")
    looking.page.locator("#comment").blur()
    assert not looking.stored().get(row, {}).get("comment")


def test_a_reload_in_mid_work_loses_nothing(looking: Looking) -> None:
    first, second = looking.rows[:2]
    looking.press("4", "s")
    looking.expect_drawn(second)
    looking.expect_labels_sent()
    looking.page.wait_for_url(f"**row={second}")
    looking.page.reload()
    looking.wait()

    assert looking.row == second
    looking.press("b")
    looking.expect_drawn(first)
    assert looking.pressed("interest") == ["4"]
    expect(looking.page.locator("#history li")).not_to_have_count(0)


@pytest.mark.parametrize(
    ("status", "said"), [(None, "does not answer"), (503, "the disk is full"), (401, "log in")]
)
def test_labels_wait_while_the_server_is_away(
    looking: Looking, status: int | None, said: str
) -> None:
    first, second, third, fourth = looking.rows[:4]

    def fail(route: Route) -> None:
        if status is None:
            route.abort()
        else:
            route.fulfill(status=status, json={"error": "the disk is full", "request_id": "1"})

    looking.answer("/api/labels", fail)
    looking.press("1", "2", "3")
    looking.expect_drawn(fourth)
    away = looking.page.locator("#away")
    expect(away).to_contain_text("3 labels wait")
    expect(away).to_contain_text(said)

    looking.mend()
    expect(away).to_be_hidden()
    stored = looking.stored()
    assert [stored[row]["interest"] for row in (first, second, third)] == [1, 2, 3]


def test_labels_that_wait_outlive_a_reload(looking: Looking) -> None:
    first, second, third = looking.rows[:3]
    looking.page.on("dialog", lambda dialog: dialog.accept())
    looking.answer("/api/labels", _refuse_writes)
    looking.press("4", "2")
    away = looking.page.locator("#away")
    expect(away).to_contain_text("2 labels wait")
    looking.page.wait_for_url(f"**row={third}")
    looking.page.reload()
    looking.wait()

    expect(away).to_contain_text("2 labels wait")
    assert looking.row == third
    assert looking.state(f"[state.columns.label[{first}], state.columns.label[{second}]]") == [4, 2]
    looking.mend()
    expect(away).to_be_hidden()
    stored = looking.stored()
    assert [stored[row]["interest"] for row in (first, second)] == [4, 2]
    looking.page.reload()
    looking.wait()
    looking.expect_labels_sent()
    expect(away).to_be_hidden()


def test_a_label_that_waited_for_a_reload_can_be_taken_back(looking: Looking) -> None:
    first, second = looking.rows[:2]
    looking.page.on("dialog", lambda dialog: dialog.accept())
    looking.answer("/api/labels", _refuse_writes)
    looking.press("4", "2")
    expect(looking.page.locator("#away")).to_contain_text("2 labels wait")
    looking.page.reload()
    looking.wait()
    expect(looking.page.locator("#away")).to_contain_text("2 labels wait")
    looking.press("u")
    looking.expect_drawn(second)
    looking.mend()
    stored = looking.stored()
    assert stored[first]["interest"] == 4
    assert stored.get(second, {}).get("interest") is None


def test_labels_are_given_where_the_browser_keeps_nothing(looking: Looking) -> None:
    looking.page.add_init_script(
        """Object.defineProperty(window, "sessionStorage", {
          get() { throw new DOMException("blocked", "SecurityError"); } });"""
    )
    looking.open()
    first, second = looking.rows[:2]
    looking.press("3")
    looking.expect_drawn(second)
    assert looking.stored()[first]["interest"] == 3


def test_labels_of_another_night_stay_in_the_tab_and_are_named(looking: Looking) -> None:
    kept = json.dumps([{"content": {"row": 0, "interest": 5}, "tries": 1}])
    write = "text => sessionStorage.setItem('outcrop labels another abc', text)"
    looking.page.evaluate(write, kept)
    looking.page.reload()
    looking.wait()
    looking.expect_notice("Labels of another night or scanner wait")
    assert looking.stored() == {}
    read = "() => sessionStorage.getItem('outcrop labels another abc')"
    assert looking.page.evaluate(read) == kept


def test_a_full_disk_is_one_sentence_and_its_labels_wait(
    looking: Looking, server: ReviewProcess
) -> None:
    first, second, third = looking.rows[:3]
    looking.press("1")
    looking.expect_labels_sent()
    with server.full_disk():
        looking.press("2", "3")
        away = looking.page.locator("#away")
        expect(away).to_contain_text("the disk is full")
        expect(away).to_contain_text("2 labels wait")

    stored = looking.stored()
    assert [stored[row]["interest"] for row in (first, second, third)] == [1, 2, 3]
    expect(away).to_be_hidden()


def test_a_killed_server_loses_no_label(looking: Looking, server: ReviewProcess) -> None:
    first, second, third = looking.rows[:3]
    looking.press("1")
    looking.expect_labels_sent()
    server.kill()
    looking.press("2", "3")
    expect(looking.page.locator("#away")).to_contain_text("2 labels wait")

    server.start()
    stored = looking.stored()
    assert [stored[row]["interest"] for row in (first, second, third)] == [1, 2, 3]
    expect(looking.page.locator("#away")).to_be_hidden()


def test_labels_never_go_to_another_night(looking: Looking) -> None:
    def other(route: Route) -> None:
        night = route.fetch().json()
        route.fulfill(json=night | {"identity": "another", "csrf": "another"})

    def forbid(route: Route) -> None:
        route.fulfill(status=403, json={"error": "X-CSRF-Token", "request_id": "1"})

    looking.answer("/api/labels", forbid)
    looking.answer("/api/night", other)
    looking.press("4")
    expect(looking.page.locator("#away")).to_contain_text("another night")
    expect(looking.page.locator("#away")).to_contain_text("1 label waits")


def test_a_label_that_waits_can_be_taken_back(looking: Looking) -> None:
    first, second = looking.rows[:2]
    looking.answer("/api/labels", lambda route: route.abort())
    looking.press("1", "2")
    expect(looking.page.locator("#away")).to_contain_text("2 labels wait")
    looking.press("u")
    looking.mend()
    expect(looking.page.locator("#away")).to_be_hidden()

    stored = looking.stored()
    assert stored[first]["interest"] == 1
    assert second not in stored


@pytest.mark.parametrize("lost", ["label", "undo"])
def test_a_lost_answer_neither_doubles_a_label_nor_an_undo(looking: Looking, lost: str) -> None:
    first, second = looking.rows[:2]
    looking.press("1")
    looking.expect_labels_sent()
    paths = {"label": "/api/labels", "undo": "/api/labels/undo"}
    dropped: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method == "POST" and not dropped:
            dropped.append(route.fetch().text())
            route.abort()
        else:
            route.continue_()

    looking.answer(paths[lost], lose)
    looking.press("2")
    if lost == "label":
        expect(looking.page.locator("#away")).to_contain_text("1 label waits")
        looking.expect_labels_sent()
    looking.press("u")
    looking.expect_labels_sent()
    assert dropped
    stored = looking.stored()
    assert stored[first]["interest"] == 1
    assert stored.get(second, {}).get("interest") is None


def test_a_spectrum_that_cannot_be_had_is_shown_when_the_server_is_back(looking: Looking) -> None:
    last = looking.rows[-1]
    looking.answer("/api/spectrum/*", lambda route: route.abort())
    looking.page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    looking.page.locator(f"#row-{last}").click()
    expect(looking.page.locator("#away")).to_contain_text("cannot be shown")

    looking.mend()
    looking.expect_drawn(last)
    expect(looking.page.locator("#away")).to_be_hidden()


def test_a_refused_label_is_taken_off_the_page(looking: Looking) -> None:
    first = looking.row
    refusal = {"error": "interest 3 is refused", "request_id": "1"}

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=422, json=refusal)
        else:
            route.continue_()

    looking.answer("/api/labels", refuse)
    looking.press("3")
    looking.expect_notice("interest 3 is refused")
    looking.expect_state("state.labels.size === 0")
    assert looking.state(f"state.columns.label[{first}]") == -1


def test_markup_in_a_comment_is_text(looking: Looking) -> None:
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    looking.page.on("dialog", dismiss)
    looking.page.locator("#comment").fill(HOSTILE)
    looking.page.locator("#comment").blur()
    looking.expect_labels_sent()
    looking.press("n", "b")

    expect(looking.page.locator("#history")).to_contain_text(HOSTILE)
    assert looking.page.locator("img").count() == 0
    assert dialogs == []
