"""How fast the page is with a night of 150,000 rows: `make benchmark-review` prints it.

The night is a simulated petal, three hundred times under other names, with other p-values. What is
measured depends on the machine, so that nothing is asserted of it.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pytest
from astropy.io import fits
from playwright.sync_api import Browser

from review.night import ReviewNight
from tests.review.browser.conftest import ReviewProcess
from tests.review.browser.looking import Looking

ROWS: Final = 150_000
KEYS: Final = 100
PAUSE: Final = 250
"""Milliseconds on a spectrum: nobody looks at one for less."""
PRESS: Final = """async () => {
  const figure = document.getElementById("spectrum");
  const before = figure.dataset.row;
  const start = performance.now();
  const painted = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
      if (figure.dataset.row === before) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start), 0));
    }).observe(figure, { attributes: true });
  });
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "n", bubbles: true }));
  return painted;
}"""
CHANGES: Final = {
    "map, coloured by cause": "set({ mapColour: 'density' }); set({ mapColour: 'cause' })",
    "a filter": "set({ filters: { flagged: [1] } })",
    "a lasso": "set({ filters: { lasso: [[-50, -50], [0, -50], [0, 50], [-50, 50]] } })",
    "a label": "(await import('/static/labels.js')).label({ interest: 3 })",
}


def large(made: Path, night: ReviewNight, folder: Path) -> None:
    """Write a night of 150,000 rows; its coadds are links to one."""
    (table,) = night.tables
    random = np.random.default_rng(1)
    opened: Any = fits.open(table.path)
    with opened as file:
        column = file["OUTLIERS"].data["P_VALUE"]
        p_value = column.copy()
        for number in range(ROWS // len(night)):
            name = f"{number:03d}"
            (folder / "night" / name).mkdir(parents=True)
            column[:] = p_value * random.uniform(0.3, 1, len(p_value))
            file.writeto(folder / "night" / name / "outliers-0.fits")
            (folder / "sky" / name).mkdir(parents=True)
            for path in (made / "sky" / "tile").iterdir():
                os.link(path, folder / "sky" / name / path.name)


def percentiles(milliseconds: list[float]) -> str:
    """Return median and 95th percentile."""
    return "{:.0f} / {:.0f} ms".format(*np.percentile(milliseconds, (50, 95)))


def pressed(looking: Looking) -> list[float]:
    """Press n a hundred times; return the milliseconds until each spectrum was painted."""
    found: list[float] = []
    for _ in range(KEYS):
        found.append(looking.page.evaluate(PRESS))
        looking.page.wait_for_timeout(PAUSE)
    return found


def changed(looking: Looking, change: str) -> float:
    """Return the milliseconds that a change of the page's state takes, drawing included."""
    return looking.page.evaluate(
        f"async () => {{ const {{ set, state }} = await import('/static/store.js');"
        f" const start = performance.now(); {change}; return performance.now() - start; }}"
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_speed(
    browser: Browser,
    made: Path,
    night: ReviewNight,
    bundle: Path,
    once: Callable[..., Path],
    tmp_path: Path,
) -> None:
    folder = once("large_night", lambda folder: large(made, night, folder))
    begun = time.monotonic()
    server = ReviewProcess(folder, bundle, tmp_path / "labels.sqlite", ready="/api/columns")
    measured = {"server: start until it answers": f"{time.monotonic() - begun:.1f} s"}
    try:
        looking = Looking(browser.new_page(viewport={"width": 1500, "height": 950}), server.address)
        begun = time.monotonic()
        looking.page.goto(looking.address)
        looking.page.wait_for_selector("body[data-ready]")
        measured[f"page ready, {ROWS} rows"] = f"{time.monotonic() - begun:.2f} s"
        looking.wait()
        measured["first spectrum drawn, right after the start"] = (
            f"{time.monotonic() - begun:.2f} s"
        )

        measured["key press to next spectrum, coadds being read"] = percentiles(pressed(looking))
        first = looking.rows.index(looking.row)
        for row in looking.rows[first : first + KEYS + 5]:
            looking.page.request.get(f"{looking.address}/api/spectrum/{row}")
        measured["key press to next spectrum, coadds known"] = percentiles(pressed(looking))
        assert looking.row == looking.rows[2 * KEYS]
        for name, change in CHANGES.items():
            measured[name] = f"{changed(looking, change):.0f} ms"

        memory = psutil.Process(server.pid).memory_info().rss / 1e6
        measured["server: memory"] = f"{memory:.0f} MB"
    finally:
        server.kill()
    for name, value in measured.items():
        print(f"{name:50} {value:>16}")  # noqa: T201 (what it is for)
