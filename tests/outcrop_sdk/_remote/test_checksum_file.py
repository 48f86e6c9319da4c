"""Checksum files: as DESI's releases have them in each folder."""

import hashlib
from pathlib import Path

import pytest

from outcrop import InputError
from outcrop._constants import REMOTE_PIECE
from outcrop._remote.checksum_file import announced_sha256
from outcrop._remote.requests import Requests
from outcrop._remote.source import open_source
from tests.outcrop_sdk.file_server import FileServer

SHA256 = hashlib.sha256(b"coadd").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def announced(files: FileServer, folder: Path, **checksums: bytes) -> str:
    links = "".join(f'<a href="{name}.sha256sum">' for name in checksums)
    files.add("/dr1/", links.encode())
    for name, content in checksums.items():
        files.add(f"/dr1/{name}.sha256sum", content)
    address = files.add("/dr1/coadd-1.fits", b"coadd")
    return announced_sha256(Requests(open_source(address), folder / "connections", 4))


@pytest.mark.parametrize("name", [b"coadd-1.fits", b"./coadd-1.fits", b"*coadd-1.fits"])
def test_the_checksum_of_the_file_is_found(files: FileServer, tmp_path: Path, name: bytes) -> None:
    name = b" " + name if not name.startswith(b"*") else name
    lines = [f"{OTHER}  coadd-12.fits".encode(), SHA256.encode() + b" " + name]
    assert announced(files, tmp_path, dr1=b"\n".join(lines) + b"\n") == SHA256


def test_it_may_be_in_another_of_several_files(files: FileServer, tmp_path: Path) -> None:
    content = f"{SHA256}  coadd-1.fits".encode()
    assert announced(files, tmp_path, a=b"\xff\x00 no list", b=content) == SHA256


@pytest.mark.parametrize(
    "content", [b"", f"{OTHER}  xcoadd-1.fits\n".encode(), f"{OTHER[:63]}  coadd-1.fits".encode()]
)
def test_a_file_that_is_not_listed_is_an_error(
    files: FileServer, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(InputError, match=r"none of dr1\.sha256sum in its folder names it"):
        announced(files, tmp_path, dr1=content or b" ")


def test_a_folder_without_checksums_is_an_error(files: FileServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no \*\.sha256sum in its folder"):
        announced(files, tmp_path)


def test_a_checksum_file_is_not_large(files: FileServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is it a checksum file"):
        announced(files, tmp_path, dr1=bytes(REMOTE_PIECE + 1))
