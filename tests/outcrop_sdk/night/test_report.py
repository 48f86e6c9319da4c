"""A night's report is one file: it holds what the night found, and fetches nothing."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from outcrop import InputError, find_petals
from outcrop.client import Client
from outcrop.night.report import check_report, write_report
from tests.outcrop_sdk.fault_server import FaultInjectingServer
from tests.outcrop_sdk.night.test_run import add_petal, night, toplist

pytestmark = pytest.mark.long


class Page(HTMLParser):
    """The text, pictures and addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.pictures += [value or "" for name, value in attrs if name == "src"]
        self.addresses += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_report_holds_counts_causes_petals_and_portraits(
    server: FaultInjectingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        add_petal(tmp_path / "tree", number, first=11 + 10 * number)
    output = tmp_path / "out"
    assert night(tmp_path / "tree", output, server.url, "--report") == 0

    assert str(output / "report.html") in capsys.readouterr().out
    page = Page(output / "report.html")
    assert "2 petals, 2 scored." in " ".join(page.words.split())
    listed = [str(targetid) for targetid in toplist(output)["TARGETID"]]
    assert len(listed) == 2
    assert all(targetid in page.words for targetid in listed)
    # A portrait of each, and the instrument.
    assert len(page.pictures) == 3
    for name in ("coadd-0-80613-thru20210324.fits", "coadd-1-80613-thru20210324.fits"):
        assert name in page.words


def test_a_report_fetches_nothing_and_runs_nothing(
    server: FaultInjectingServer, tmp_path: Path
) -> None:
    add_petal(tmp_path / "tree")
    assert night(tmp_path / "tree", tmp_path / "out", server.url, "--report") == 0

    path = tmp_path / "out" / "report.html"
    page = Page(path)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(source.startswith("data:image/png;base64,") for source in page.pictures)
    assert not re.search(r"url\(|@import|\son[a-z]+=", path.read_text(encoding="utf-8"))
    assert all(address.startswith("https://www.legacysurvey.org/") for address in page.addresses)


def test_names_of_files_are_text(server: FaultInjectingServer, tmp_path: Path) -> None:
    root = tmp_path / "<img src=x onerror=alert(1)>"
    add_petal(root)
    assert night(root, tmp_path / "out", server.url, "--report") == 0
    page = Page(tmp_path / "out" / "report.html")
    assert root.name in page.words
    assert "x" not in page.pictures


def test_a_service_that_is_away_leaves_out_the_portraits(
    server: FaultInjectingServer, closed_port: str, tmp_path: Path
) -> None:
    add_petal(tmp_path / "tree")
    output = tmp_path / "out"
    assert night(tmp_path / "tree", output, server.url) == 0
    with Client(closed_port, timeout=1) as client:
        path = write_report(output, find_petals(tmp_path / "tree"), client)
    page = Page(path)
    assert "A portrait is missing" in page.words
    assert str(toplist(output)["TARGETID"][0]) in page.words


def test_a_night_without_flagged_spectra_says_so(
    server: FaultInjectingServer, tmp_path: Path
) -> None:
    # ANOMALY is where the TARGETID is a multiple of 3.
    add_petal(tmp_path / "tree", rows=1)
    assert night(tmp_path / "tree", tmp_path / "out", server.url, "--report") == 0
    assert "No spectrum is in the top list" in Page(tmp_path / "out" / "report.html").words


def test_a_missing_package_is_named_before_any_work(
    tmp_path: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match="pip install jinja2 matplotlib"):
        check_report()
    add_petal(tmp_path / "tree")
    assert night(tmp_path / "tree", tmp_path / "out", closed_port, "--report") == 1
    assert not (tmp_path / "out").exists()


def test_a_damaged_summary_is_named(server: FaultInjectingServer, tmp_path: Path) -> None:
    add_petal(tmp_path / "tree")
    output = tmp_path / "out"
    assert night(tmp_path / "tree", output, server.url) == 0
    (output / "toplist.ecsv").write_bytes(b"\xff\xfe nothing")
    with Client(server.url) as client, pytest.raises(InputError, match=r"toplist\.ecsv cannot"):
        write_report(output, find_petals(tmp_path / "tree"), client)
    assert not (output / "report.html").exists()
