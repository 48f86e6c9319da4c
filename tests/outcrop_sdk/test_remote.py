"""Remote files: a user's way from an address to a score table and a figure."""

import hashlib
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from outcrop import InputError, Petal, RemoteCache, fetch, fetch_petal, read_spectra
from outcrop.cli import main
from outcrop.fingerprint import FileFingerprint, has_fingerprints
from outcrop.plan import Plan, PlannedPetal
from outcrop.remote import fingerprint, is_remote
from tests.outcrop_sdk.fault_server import FaultInjectingServer
from tests.outcrop_sdk.file_server import FileServer, endless, fails
from tests.outcrop_sdk.sample import (
    open_fits,
    read_header,
    read_table,
    write_coadd,
    write_petal,
    write_redrock,
)

IDS = [39633345008634465, 12, 13, 14, 15]

Put = Callable[[str, bytes], str]

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the environment."""
    monkeypatch.setenv("OUTCROP_REMOTE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def petal(tmp_path: Path) -> Petal:
    coadd = write_coadd(tmp_path / "coadd-1.fits", IDS, TILEID=80613)
    return Petal(coadd, write_redrock(tmp_path / "redrock-1.fits", IDS[::-1]))


def serve(files: FileServer, petal: Petal) -> tuple[str, str]:
    """Return the addresses of a petal."""
    return (
        files.add("/dr1/coadd-1.fits", petal.coadd.read_bytes()),
        files.add("/dr1/redrock-1.fits", petal.redrock.read_bytes()),
    )


def same_spectra(coadd: Path, redrock: Path, petal: Petal) -> None:
    found, expected = read_spectra(coadd, redrock), read_spectra(petal.coadd, petal.redrock)
    for name, band in expected.bands.items():
        np.testing.assert_array_equal(found.bands[name].flux, band.flux)
        np.testing.assert_array_equal(found.bands[name].ivar, band.ivar)
        np.testing.assert_array_equal(found.bands[name].mask, band.mask)
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(found.columns()[name], column)
    assert found.inputs.cards == expected.inputs.cards


def test_a_path_is_returned_as_it_is(petal: Petal, folder: Path) -> None:
    with fetch(str(petal.coadd)) as path:
        assert path == petal.coadd
    with fetch("absent.fits") as path:
        assert path == Path("absent.fits")
    assert not folder.exists()


def test_spectra_of_a_copy_are_those_of_the_file(files: FileServer, petal: Petal) -> None:
    coadd, redrock = serve(files, petal)
    done: list[int] = []
    with fetch(coadd, progress=done.append) as own, fetch(redrock) as redshifts:
        assert own.name == "coadd-1.fits"
        assert own.stat().st_size < petal.coadd.stat().st_size
        same_spectra(own, redshifts, petal)
    assert sum(done) >= own.stat().st_size


def test_real_spectra_of_a_copy_are_those_of_the_file(real: Path, bucket: Put) -> None:
    for path in sorted(real.glob("coadd-*.fits")):
        expected = read_spectra(path, z=0.1)
        with fetch(bucket(f"dr1/{path.name}", path.read_bytes())) as copy:
            # Four fifths are of the resolution; headers make up for much of so few spectra.
            assert copy.stat().st_size < 0.5 * path.stat().st_size
            found = read_spectra(copy, z=0.1)
        for name, band in expected.bands.items():
            np.testing.assert_array_equal(found.bands[name].flux, band.flux)
            np.testing.assert_array_equal(found.bands[name].ivar, band.ivar)
            np.testing.assert_array_equal(found.bands[name].mask, band.mask)
        for name, column in expected.columns().items():
            np.testing.assert_array_equal(found.columns()[name], column)


def test_a_copy_has_the_fingerprint_of_its_origin(files: FileServer, petal: Petal) -> None:
    coadd, _ = serve(files, petal)
    with fetch(coadd) as path:
        found = FileFingerprint.of(path)
    assert (found.name, found.size) == (coadd, petal.coadd.stat().st_size)
    assert found == fingerprint(coadd)
    assert fingerprint(str(petal.coadd)) == FileFingerprint.of(petal.coadd)


def test_a_planned_petal_is_fetched(
    secure: FileServer, trusted: Path, petal: Petal, tmp_path: Path
) -> None:
    # The tests of the SDK share one context.
    ssl.create_default_context().load_verify_locations(trusted)
    serve(secure, petal)
    planned = PlannedPetal("coadd-1.fits", "redrock-1.fits")
    cache = RemoteCache(tmp_path / "own", 1 << 30)
    with fetch_petal(Plan(f"{secure.url}/dr1", (planned,)), planned, cache) as found:
        same_spectra(found.coadd, found.redrock, petal)
        assert found.coadd.is_relative_to(tmp_path / "own")
    with fetch_petal(Plan(str(tmp_path), (planned,)), planned) as found:
        assert found == petal


def checksums(files: FileServer, **changed: str) -> None:
    lines = [
        f"{changed.get(Path(path).stem, hashlib.sha256(content).hexdigest())}  {Path(path).name}\n"
        for path, content in files.files.items()
    ]
    files.add("/dr1/dr1_80613.sha256sum", "".join(lines).encode())
    files.add("/dr1/", b'<a href="dr1_80613.sha256sum">dr1_80613.sha256sum</a>')


def test_the_whole_file_is_checked_on_request(files: FileServer, petal: Petal) -> None:
    coadd, redrock = serve(files, petal)
    checksums(files)
    done: list[int] = []
    with fetch(coadd, sha256=True, progress=done.append) as own:
        # All bytes are read; what is not needed is not kept.
        assert sum(done) == petal.coadd.stat().st_size > own.stat().st_size
        with fetch(redrock, sha256=True) as redshifts:
            same_spectra(own, redshifts, petal)


def test_another_checksum_is_refused(files: FileServer, petal: Petal) -> None:
    coadd, _ = serve(files, petal)
    # One that was fetched without the check does not pass for one with it.
    with fetch(coadd):
        pass
    checksums(files, **{"coadd-1": "0" * 64})
    with (
        pytest.raises(InputError, match=f"not {'0' * 64} as the checksum file"),
        fetch(coadd, sha256=True),
    ):
        pass


def test_a_bit_that_flips_where_it_is_kept_is_noticed(files: FileServer, petal: Petal) -> None:
    with open_fits(petal.coadd) as hdus:
        at = hdus["B_RESOLUTION"].fileinfo()["datLoc"]
    content = bytearray(petal.coadd.read_bytes())
    checksum = hashlib.sha256(content).hexdigest()
    content[at] ^= 1
    coadd = files.add("/dr1/coadd-1.fits", bytes(content))
    checksums(files, **{"coadd-1": checksum})
    with fetch(coadd):
        pass
    with pytest.raises(InputError, match="has the SHA-256"), fetch(coadd, sha256=True):
        pass


def test_readers_refuse_addresses(files: FileServer, petal: Petal) -> None:
    coadd, redrock = serve(files, petal)
    with pytest.raises(InputError, match=r"is an address, not a path; outcrop\.fetch copies"):
        read_spectra(coadd, redrock)
    assert files.ranges == []


def test_addresses_are_told_from_paths() -> None:
    assert is_remote("s3://desidata/a.fits")
    assert not is_remote("desidata/a.fits")


def test_score_takes_addresses(
    files: FileServer,
    server: FaultInjectingServer,
    petal: Petal,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    coadd, redrock = serve(files, petal)
    # The service fails, then the origin; nothing shows in the table.
    files.faults = [fails(503), endless(206)]
    arguments = ["--coadd", coadd, "--redrock", redrock, "--url", server.url]
    assert main(["score", *arguments, "--output", str(tmp_path)]) == 1
    assert "no Content-Range" in capsys.readouterr().err
    assert not (tmp_path / "outliers-1.fits").exists()

    assert main(["score", *arguments, "--output", str(tmp_path)]) == 0
    assert read_table(tmp_path / "outliers-1.fits")["TARGETID"].tolist() == IDS[::-1]
    primary = read_header(tmp_path / "outliers-1.fits", "PRIMARY")
    assert (primary["INFIL000"], primary["INFIL001"]) == (coadd, redrock)
    assert primary["INSIZ000"] == petal.coadd.stat().st_size
    assert primary["TILEID"] == 80613
    assert has_fingerprints(primary, [fingerprint(coadd), fingerprint(redrock)])

    # Once more: the copies are there.
    before = len(files.ranges)
    assert main(["score", *arguments, "--output", str(tmp_path / "b.fits")]) == 0
    assert [first for _, first, _ in files.ranges[before:]] == [0, 0]

    # A new version at the origin is not the one that was scored.
    files.add("/dr1/redrock-1.fits", petal.redrock.read_bytes()[:-2880] + b"\1" * 2880)
    assert not has_fingerprints(primary, [fingerprint(coadd), fingerprint(redrock)])


def test_score_takes_several_addresses_and_pairs_them(
    bucket: Put, server: FaultInjectingServer, petal: Petal, tmp_path: Path
) -> None:
    coadds = [bucket(f"d/coadd-{n}.fits", petal.coadd.read_bytes()) for n in (1, 2)]
    redrocks = [bucket(f"e/redrock-{n}.fits", petal.redrock.read_bytes()) for n in (2, 1)]
    arguments = ["--coadd", *coadds, "--redrock", *redrocks, "--url", server.url]
    assert main(["score", *arguments, "--output", str(tmp_path)]) == 0
    for number in (1, 2):
        primary = read_header(tmp_path / f"outliers-{number}.fits", "PRIMARY")
        assert primary["INFIL000"] == f"s3://desidata/d/coadd-{number}.fits"
        assert primary["INFIL001"] == f"s3://desidata/e/redrock-{number}.fits"


def test_plot_takes_addresses(
    files: FileServer, server: FaultInjectingServer, petal: Petal, tmp_path: Path
) -> None:
    coadd, redrock = serve(files, petal)
    output = tmp_path / "figure.png"
    arguments = ["--coadd", coadd, "--redrock", redrock, "--url", server.url]
    assert main(["plot", *arguments, "--targetid", "13", "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_fetched_is_one_line(
    files: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{files.url}/absent/coadd-1.fits"
    output = tmp_path / "o.fits"
    assert main(["score", "--coadd", address, "--z", "0.1", "--output", str(output)]) == 1
    assert capsys.readouterr().err == (
        f"outcrop: error: {address} does not exist (status 404); check the address\n"
    )
    assert main(["score", "--coadd", "http://a.gov/c.fits", "--z", "0", "-o", str(output)]) == 1
    assert "is not encrypted" in capsys.readouterr().err
    assert not output.exists()


def test_without_the_packages_paths_are_read_and_addresses_are_refused(petal: Petal) -> None:
    script = f"""
import sys
for name in ("fsspec", "aiohttp", "s3fs", "botocore"):
    sys.modules[name] = None
import outcrop
with outcrop.fetch({str(petal.coadd)!r}) as path:
    print(len(outcrop.read_spectra(path, z=0.1)))
try:
    with outcrop.fetch("https://a.gov/c.fits"):
        pass
except outcrop.InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ,
    )
    assert done.stdout.startswith("5\nhttps://a.gov/c.fits cannot be fetched without fsspec")
    assert "pip install fsspec aiohttp s3fs" in done.stdout


def test_a_petal_with_sky_is_the_same_after_its_correction(
    files: FileServer, tmp_path: Path
) -> None:
    from outcrop import correct_noise

    (tmp_path / "sky").mkdir()
    petal = write_petal(tmp_path / "sky")
    coadd, redrock = serve(files, petal)
    with fetch(coadd) as own, fetch(redrock) as redshifts:
        found = correct_noise(read_spectra(own, redshifts))
    expected = correct_noise(read_spectra(petal.coadd, petal.redrock))
    assert found.inputs.noise == expected.inputs.noise
    np.testing.assert_array_equal(found.bands["b"].ivar, expected.bands["b"].ivar)
