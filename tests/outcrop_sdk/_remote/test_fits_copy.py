"""FITS copy: the HDUs that are needed, byte for byte, and none that is damaged."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from outcrop import InputError
from outcrop._remote.fits_copy import copy_fits, is_needed
from outcrop._remote.requests import Requests
from outcrop._remote.source import open_source
from outcrop._remote.stream import RemoteStream
from tests.outcrop_sdk.file_server import FileServer
from tests.outcrop_sdk.sample import band_hdus, fibermap, table, write_redrock

IDS = [11, 12, 13]

Copy = Callable[[bytes], bytes]


@pytest.fixture
def copy(files: FileServer, tmp_path: Path) -> Copy:
    """A function that serves a file and returns its copy."""

    def make(content: bytes) -> bytes:
        address = files.add("/coadd-1.fits", content)
        out, lengths = io.BytesIO(), list[int]()
        copy_fits(
            RemoteStream(Requests(open_source(address), tmp_path / "connections", 4)),
            out,
            lengths.append,
        )
        # The room that is made is exactly what is needed.
        assert lengths == sorted(lengths)
        assert lengths[-1] == len(out.getvalue())
        return out.getvalue()

    return make


def as_bytes(hdus: list[Any]) -> bytes:
    out = io.BytesIO()
    fits.HDUList(hdus).writeto(out, checksum=True)
    return out.getvalue()


def coadd() -> list[Any]:
    bands = [hdu for band in ("b", "r", "z") for hdu in band_hdus(band, IDS)]
    return [fits.PrimaryHDU(), fibermap(IDS), *bands, table("SCORES", SUM=("E", [1.0, 2.0, 3.0]))]


def opened(content: bytes) -> Any:
    return fits.open(io.BytesIO(content))


def pieces(content: bytes) -> dict[str, bytes]:
    """Return the bytes of each HDU, as astropy finds them."""
    with opened(content) as hdus:
        places = [(str(hdu.name), hdu.fileinfo()) for hdu in hdus]
    return {
        name: content[info["hdrLoc"] : info["datLoc"] + info["datSpan"]] for name, info in places
    }


def test_all_but_the_resolution_is_copied_byte_for_byte(copy: Copy) -> None:
    content = as_bytes(coadd())
    whole, kept = pieces(content), pieces(copy(content))
    assert set(whole) - set(kept) == {"B_RESOLUTION", "R_RESOLUTION", "Z_RESOLUTION"}
    assert kept == {name: whole[name] for name in kept}


def test_a_redrock_file_is_copied_as_a_whole(copy: Copy, tmp_path: Path) -> None:
    content = write_redrock(tmp_path / "redrock.fits", IDS).read_bytes()
    assert copy(content) == content


def test_real_files_are_copied(copy: Copy, real: Path) -> None:
    for path in sorted(real.glob("*.fits")):
        content = path.read_bytes()
        whole, kept = pieces(content), pieces(copy(content))
        assert {name.rpartition("_")[2] for name in set(whole) - set(kept)} <= {"RESOLUTION"}
        assert kept == {name: whole[name] for name in kept}


@pytest.mark.parametrize(
    ("name", "xtension", "needed"),
    [
        ("PRIMARY", "", True),
        ("B_FLUX", "'IMAGE   '", True),
        ("BRZ_MASK", "'IMAGE   '", True),
        ("B_RESOLUTION", "'IMAGE   '", False),
        ("B_MODEL", "'IMAGE   '", False),
        ("7", "'IMAGE   '", False),
        ("EXP_FIBERMAP", "'BINTABLE'", True),
        ("REDSHIFTS", "'BINTABLE'", True),
    ],
)
def test_what_no_reader_uses_is_not_needed(name: str, xtension: str, needed: bool) -> None:
    assert is_needed(name, {"XTENSION": xtension}) is needed


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def place(content: bytes, name: str, what: str) -> int:
    with opened(content) as hdus:
        return int(hdus[name].fileinfo()[what])


@pytest.mark.parametrize("name", ["R_FLUX", "FIBERMAP", "SCORES"])
def test_a_flipped_bit_of_the_data_is_refused(copy: Copy, name: str) -> None:
    content = as_bytes(coadd())
    with pytest.raises(
        InputError, match=f"HDU {name} has the sum .* of its DATASUM; it is damaged"
    ):
        copy(flipped(content, place(content, name, "datLoc")))


def test_a_flipped_bit_of_a_header_is_refused(copy: Copy) -> None:
    content = as_bytes(coadd())
    at = content.index(b"TARGET_RA")
    with pytest.raises(InputError, match="HDU FIBERMAP does not have the CHECKSUM"):
        copy(flipped(content, at))


def test_a_flipped_bit_of_what_is_not_needed_is_not_noticed(copy: Copy) -> None:
    content = as_bytes(coadd())
    copy(flipped(content, place(content, "B_RESOLUTION", "datLoc")))


def test_files_without_checksums_are_copied(copy: Copy) -> None:
    out = io.BytesIO()
    fits.HDUList(coadd()).writeto(out)
    assert set(pieces(copy(out.getvalue()))) >= {"B_FLUX", "SCORES"}


def test_an_empty_checksum_is_none(copy: Copy) -> None:
    hdu = fits.ImageHDU(np.ones(3), name="B_FLUX")
    hdu.header["DATASUM"], hdu.header["CHECKSUM"] = "", ""
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
    assert "B_FLUX" in pieces(copy(out.getvalue()))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>not here</html>", "begins with b'<html>'"),
        (b"SIMPLE", "is cut off"),
        (as_bytes(coadd())[:-2880], "is cut off: HDU SCORES"),
        (as_bytes(coadd())[:-1], "is cut off"),
        (as_bytes(coadd()) + bytes(2880), "after HDU SCORES are not FITS"),
        (as_bytes([fits.PrimaryHDU()]) + b"\xff" * 2880, "are not FITS"),
    ],
)
def test_damaged_files_are_refused(copy: Copy, content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why) as raised:
        copy(content)
    assert "/coadd-1.fits" in str(raised.value)


def test_a_claim_of_endless_data_is_refused(copy: Copy) -> None:
    content = as_bytes(coadd())
    claimed = b"NAXIS1  = %20d" % (9 * 10**17)
    header = content.replace(b"NAXIS1  = %20d" % 2751, claimed)
    assert header != content
    with pytest.raises(InputError, match="is cut off: HDU B_WAVELENGTH"):
        copy(header)


def test_too_many_hdus_are_refused(copy: Copy) -> None:
    hdu = as_bytes([fits.PrimaryHDU(), fits.ImageHDU(name="X")])
    with pytest.raises(InputError, match="more than 1000 HDUs"):
        copy(hdu + hdu[2880:] * 1000)
