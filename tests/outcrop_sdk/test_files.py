"""Files are written completely or not at all."""

import gzip
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outcrop import InputError, check_output
from outcrop._files import write_atomically


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "o.fits"
    output.write_text("precious")
    with pytest.raises(InputError, match=r"o\.fits exists; choose another name or overwrite it"):
        write_atomically(output, b"new", overwrite=False)
    assert output.read_text() == "precious"
    write_atomically(output, b"new", overwrite=True)
    assert output.read_text() == "new"
    assert list(tmp_path.iterdir()) == [output]


def test_an_output_that_cannot_be_written_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its folder .*absent does not exist; make it first"):
        check_output(tmp_path / "absent" / "o.fits")
    with pytest.raises(InputError, match="is a folder; name a file"):
        check_output(tmp_path, overwrite=True)
    check_output(tmp_path / "o.fits")


def test_a_gzipped_name_gives_a_gzipped_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "o.fits.gz", b"content", overwrite=False)
    assert gzip.decompress((tmp_path / "o.fits.gz").read_bytes()) == b"content"


def test_the_umask_sets_the_mode_of_the_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "o.fits", b"content", overwrite=False)
    finally:
        os.umask(before)
    assert (tmp_path / "o.fits").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("size", [0, 3000, 8000])
def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path: Path, size: int) -> None:
    output, content = tmp_path / "o.fits", bytes(9000)
    with full_disk(size), pytest.raises(InputError, match=r"o\.fits cannot be written: "):
        write_atomically(output, content, overwrite=False)
    assert list(tmp_path.iterdir()) == []
    output.write_text("precious")
    with full_disk(size), pytest.raises(InputError, match="cannot be written"):
        write_atomically(output, content, overwrite=True)
    assert output.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [output]
