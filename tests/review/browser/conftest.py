"""A browser, and the page of a simulated night in it: `make test-browser`.

Playwright drives Debian's chromium-headless-shell, or what OUTCROP_CHROMIUM names.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from review.app import PACKAGES
from tests.conftest import ROOT
from tests.review.browser.looking import Looking
from tests.service.conftest import free_port

ACTION = 15_000
"""Milliseconds that an action and what is expected of it may take; two cores may be busy."""
START = 60
"""Seconds within which the review answers."""
# Violations of the policy are kept where the page cannot lose them.
_LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


def find_chromium() -> str | None:
    """Return the path of the browser, None where there is none."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(name) for name in names)
    return os.environ.get("OUTCROP_CHROMIUM") or next(filter(None, found), None)


class ReviewProcess:
    """A review of a night, in a process of its own.

    Parameters
    ----------
    made : Path
        Of folders night and sky.
    model : str or Path
        A bundle, or the address of a service.
    labels : Path
    ready : str
        Path of the first request; the process is ready when it is answered.
    more : sequence of str
        Further options.

    Attributes
    ----------
    address : str
    """

    def __init__(
        self,
        made: Path,
        model: str | Path,
        labels: Path,
        ready: str = "/api/spectrum/0",
        more: Sequence[str] = (),
    ) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        options: dict[str, str | Path | int] = {
            "--model" if isinstance(model, Path) else "--url": model,
            "--coadds": made / "sky",
            "--labels": labels,
            "--scanner": "abc",
            "--port": port,
        }
        texts = [str(one) for pair in options.items() for one in pair]
        self._ready = ready
        self._command = [sys.executable, "-m", "review", str(made / "night"), *texts, *more]
        self.start()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL)
        end = time.monotonic() + START
        while time.monotonic() < end:
            assert self._process.poll() is None, "the review ended"
            try:
                # A spectrum waits for the model, for which the first test would wait otherwise.
                httpx2.get(f"{self.address}{self._ready}", timeout=START).raise_for_status()
                return
            except httpx2.ConnectError:
                time.sleep(0.1)
        pytest.fail(f"the review does not answer within {START} s")

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let no file of the process grow."""
        process = psutil.Process(self.pid)
        before = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (1, before[1]))
        try:
            yield
        finally:
            process.rlimit(psutil.RLIMIT_FSIZE, before)

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self._process.kill()
        self._process.wait(30)


@pytest.fixture(scope="session")
def server(
    made: Path, exposures: list[int], bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReviewProcess]:
    server = ReviewProcess(made, bundle, tmp_path_factory.mktemp("labels") / "labels.sqlite")
    yield server
    server.kill()


@pytest.fixture
def address(server: ReviewProcess) -> str:
    """Address of the review, which has no labels."""
    api = f"{server.address}/api"
    token = {"X-CSRF-Token": httpx2.get(f"{api}/night").json()["csrf"]}
    while httpx2.get(f"{api}/labels").json()["labels"]:
        httpx2.post(f"{api}/labels/undo", json={}, headers=token).raise_for_status()
    return server.address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("there is no Chromium; apt-get install chromium-headless-shell")
    if not PACKAGES.is_dir():
        pytest.skip(f"{PACKAGES} is absent; run make review-packages")
    expect.set_options(timeout=ACTION)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1500, "height": 950})
    context.set_default_timeout(ACTION)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """An empty page; afterwards it had no errors, nor anything that its policy forbids."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(_LISTEN)

    yield page
    assert not errors
    if page.url != "about:blank":
        assert page.evaluate("window.violations") == []


@pytest.fixture
def looking(page: Page, address: str) -> Looking:
    """The page of the night, its first spectrum drawn."""
    looking = Looking(page, address)
    looking.open()
    return looking
