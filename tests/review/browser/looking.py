"""Looking: what a person does on the page, and what it shows."""

import time
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, Route, expect

WAIT: Final = 15.0
"""Seconds that the page may take; two cores may be busy."""


class Looking:
    """The page of a night in a browser."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self._handlers: dict[str, Callable[[Route], None]] = {}
        # From the start: a route that is added while the page works can miss a request.
        page.route("**/api/**", self._answer)

    def answer(self, path: str, handler: Callable[[Route], None]) -> None:
        """From now on let a handler answer the requests of a path, which may have ``*``."""
        self._handlers[path] = handler

    def mend(self) -> None:
        """Let the server answer all requests again."""
        self._handlers.clear()

    def _answer(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        found = (one for known, one in self._handlers.items() if fnmatch(path, known))
        handler = next(found, None)
        if handler is None:
            route.continue_()
        else:
            handler(route)

    def open(self, query: str = "") -> None:
        """Open the page, and wait until a spectrum is drawn."""
        self.page.goto(f"{self.address}/{query}")
        self.wait()

    def wait(self) -> None:
        """Wait until the page is ready, and the chosen spectrum drawn."""
        self.page.wait_for_selector("body[data-ready]")
        self.wait_for_row(self.row)

    def wait_for_row(self, row: int) -> None:
        """Wait until this row's spectrum is drawn."""
        self.page.wait_for_selector(f'#spectrum[data-row="{row}"]')

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def state(self, expression: str) -> Any:
        """Return a value of the page's state."""
        return self.page.evaluate(
            f"async () => {{ const {{ state }} = await import('/static/store.js');"
            f" return {expression}; }}"
        )

    def expect_state(self, condition: str) -> None:
        """Wait until a condition of the page's state is true."""
        end = time.monotonic() + WAIT
        while not self.state(condition):
            assert time.monotonic() < end, f"{condition}: not within {WAIT} s"
            self.page.wait_for_timeout(20)

    @property
    def row(self) -> int:
        """The row that is looked at."""
        return self.state("state.row")

    @property
    def rows(self) -> list[int]:
        """The rows of the list, in its order."""
        return self.state("[...state.rows]")

    @property
    def notice(self) -> str:
        """The last message."""
        return self.page.locator("#notice").inner_text()

    def expect_labels_sent(self) -> None:
        """Wait until the server has all labels."""
        self.expect_state("state.waiting === 0")

    def stored(self) -> dict[int, dict[str, Any]]:
        """Return the labels that the server has, by row."""
        self.expect_labels_sent()
        answer = self.page.request.get(f"{self.address}/api/labels")
        assert answer.ok, answer.text()
        return {one["row"]: one for one in answer.json()["labels"]}

    def pressed(self, box: str) -> list[str]:
        """Return the digits of a box that are chosen."""
        chosen = self.page.locator(f"#{box} button[aria-pressed=true]")
        return chosen.all_inner_texts()

    def expect_notice(self, text: str) -> None:
        """Wait for a message that contains a text."""
        expect(self.page.locator("#notice")).to_contain_text(text)

    def picture(self, canvas: Locator) -> str:
        """Return what is drawn on a canvas; its background is not."""
        return canvas.evaluate("canvas => canvas.toDataURL()")

    def expect_redrawn(self, canvas: Locator, before: str) -> None:
        """Wait until another picture is drawn on a canvas."""
        end = time.monotonic() + WAIT
        while self.picture(canvas) == before:
            assert time.monotonic() < end, f"not drawn anew within {WAIT} s"
            self.page.wait_for_timeout(20)

    def expect_drawn(self, row: int) -> None:
        """Wait until a row is looked at and drawn."""
        self.wait_for_row(row)
        assert self.row == row
