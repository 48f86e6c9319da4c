"""What is planned is there, and what is not there is named."""

import gzip
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop import ConnectionFailed, InputError
from outcrop.plan import PlannedPetal
from release.plan.files import ask_server, find_files, find_tree
from release.plan.layouts import of_pixel, of_tile
from release.plan.selection import PlanSelection
from tests.release.plan.helpers import row, tile_row, touch, write_catalogue

PETALS = [
    of_pixel("healpix", "main", "bright", 27247, 2),
    of_pixel("healpix", "main", "dark", 27247, 3),
    of_tile("main", "bright", 80613, 4, 20210324, 500),
]


class Ranges(http.server.BaseHTTPRequestHandler):
    """A server of ranges of the files below a folder."""

    root: Path

    def do_GET(self) -> None:
        path = self.root / self.path.removeprefix("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start, _, stop = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = content[int(start) : int(stop) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header(
            "Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
        )
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = type("Handler", (Ranges,), {"root": tmp_path})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def coadds(petals: list[PlannedPetal]) -> list[tuple[str, int]]:
    return [(petal.coadd, petal.size) for petal in petals]


def test_files_below_a_folder_have_their_sizes(tmp_path: Path) -> None:
    touch(tmp_path, PETALS, size=17)
    found = find_files(tmp_path, PETALS)
    assert coadds(found.petals) == [(petal.coadd, 17) for petal in PETALS]
    assert not found.missing


def test_missing_files_are_named_and_not_planned(tmp_path: Path) -> None:
    touch(tmp_path, PETALS)
    (tmp_path / PETALS[0].redrock).unlink()
    (tmp_path / PETALS[2].coadd).unlink()
    found = find_files(tmp_path, PETALS)
    assert coadds(found.petals) == [(PETALS[1].coadd, 10)]
    assert found.missing == [
        f"{PETALS[0].redrock}\tit does not exist",
        f"{PETALS[2].coadd}\tit does not exist",
    ]


def test_gzipped_files_are_planned_by_their_names(tmp_path: Path) -> None:
    touch(tmp_path, PETALS[:1])
    path = tmp_path / PETALS[0].coadd
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(b""))
    path.unlink()
    (petal,) = find_files(tmp_path, PETALS[:1]).petals
    assert petal.coadd == f"{PETALS[0].coadd}.gz"
    assert petal.redrock == PETALS[0].redrock
    assert petal.size > 0


def test_a_folder_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder; name the one that holds healpix or"):
        find_files(tmp_path / "none", PETALS)


def test_a_server_is_asked_for_each_file(tmp_path: Path, server: str) -> None:
    touch(tmp_path, PETALS, size=99)
    (tmp_path / PETALS[1].redrock).unlink()
    found = ask_server(f"{server}/", PETALS)
    assert coadds(found.petals) == [(PETALS[0].coadd, 99), (PETALS[2].coadd, 99)]
    (missing,) = found.missing
    assert missing.startswith(f"{PETALS[1].redrock}\t{server}/{PETALS[1].redrock}")


def test_a_server_that_is_not_there_is_no_list_of_missing_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("outcrop._remote.requests.REMOTE_TRIES", 1)
    with socket.socket() as taken:
        # Bound but not listening: every connection is refused.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailed):
            ask_server(f"http://127.0.0.1:{taken.getsockname()[1]}", PETALS[:1])


def tree(root: Path) -> None:
    """Write redrock tables of three coadds, and files that do not pair up."""
    touch(root, PETALS)
    for petal, rows in zip(
        PETALS,
        [[row(1), row(2, Z=0.5)], [row(1), row(3), row(4)], [tile_row(1, 4)]],
        strict=True,
    ):
        write_catalogue(root / petal.redrock, rows, name="REDSHIFTS")


def test_a_tree_is_planned_from_its_redrock_files(tmp_path: Path) -> None:
    tree(tmp_path)
    found = find_tree(tmp_path, PlanSelection())
    assert sorted((one.coadd, one.spectra, one.size) for one in found.petals) == [
        (PETALS[0].coadd, 2, 10),
        (PETALS[1].coadd, 3, 10),
        (PETALS[2].coadd, 1, 10),
    ]
    assert (found.selected, found.coadds, found.missing) == (6, 3, [])


def test_a_tree_is_selected_by_rows_and_programs(tmp_path: Path) -> None:
    tree(tmp_path)
    found = find_tree(tmp_path, PlanSelection(z_range=(0.4, 0.6)))
    assert [(one.coadd, one.spectra) for one in found.petals] == [(PETALS[0].coadd, 2)]
    assert (found.selected, found.coadds) == (1, 1)

    # The tile's petal is of an unknown program.
    with pytest.raises(InputError, match=r"program of tiles/.* is not known"):
        find_tree(tmp_path, PlanSelection(programs=("dark",)))
    found = find_tree(tmp_path / "healpix", PlanSelection(programs=("dark",)))
    assert [one.spectra for one in found.petals] == [3]


def test_damaged_and_single_files_of_a_tree_are_named(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / PETALS[0].redrock).write_bytes(b"not FITS")
    (tmp_path / PETALS[1].redrock).unlink()
    found = find_tree(tmp_path, PlanSelection())
    assert [one.coadd for one in found.petals] == [PETALS[2].coadd]
    assert [line.split("\t")[0] for line in found.missing] == [PETALS[0].redrock, PETALS[1].coadd]
    assert found.missing[1].endswith("\tit has no redrock file")


@pytest.mark.parametrize("below", ["healpix", "healpix/main", "healpix/main/bright"])
def test_the_pixel_of_a_coadd_is_known_below_any_folder(tmp_path: Path, below: str) -> None:
    tree(tmp_path)
    found = find_tree(tmp_path / below, PlanSelection(programs=("bright",)))
    assert [(one.healpix, one.tileid) for one in found.petals] == [(27247, -1)]
