"""People log in with a token, and out again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from review.throttle import FREE
from tests.review.browser.conftest import ReviewProcess
from tests.review.browser.looking import Looking

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def guarded(made: Path, bundle: Path, tmp_path: Path) -> Iterator[str]:
    """Address of a review with tokens."""
    (tmp_path / "tokens").write_text(TOKEN)
    more = ("--tokens", str(tmp_path / "tokens"))
    server = ReviewProcess(made, bundle, tmp_path / "labels.sqlite", "/readyz", more)
    yield server.address
    server.kill()


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Your name").fill("XYZ")
    page.get_by_label("Token").fill(token)
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()


def test_a_scanner_logs_in_labels_and_logs_out(page: Page, guarded: str) -> None:
    page.goto(guarded)
    assert page.url == f"{guarded}/login"
    log_in(page, "not the token")
    expect(page.get_by_role("alert")).to_contain_text("no token of this review")
    log_in(page, TOKEN)
    looking = Looking(page, guarded)
    looking.wait()
    expect(page.locator("#night")).to_contain_text("scanner XYZ")

    looking.press("4")
    looking.expect_labels_sent()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile("/login$"))
    page.goto(guarded)
    assert page.url == f"{guarded}/login"


def test_who_logs_out_stays_until_all_labels_are_sent(page: Page, guarded: str) -> None:
    page.goto(guarded)
    log_in(page, TOKEN)
    looking = Looking(page, guarded)
    looking.wait()
    first = looking.row
    looking.answer("/api/labels", lambda route: route.abort())
    looking.press("4")
    page.get_by_role("button", name="Log out").click()
    looking.expect_notice("Some labels wait to be sent")

    looking.mend()
    assert looking.stored()[first]["interest"] == 4
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile("/login$"))


def test_whoever_guesses_waits(page: Page, guarded: str) -> None:
    page.goto(guarded)
    said: list[str] = []
    # The first wait is a second, which is over when a slow machine tries again; the next doubles.
    while len(said) < 12 and not (said and "wait" in said[-1]):
        log_in(page, "not the token")
        said.append(page.get_by_role("alert").inner_text())
    assert len(said) > FREE
    assert "too many wrong tokens; wait" in said[-1]
