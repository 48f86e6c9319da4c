"""Every damaged FITS file is refused with its name."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from outcrop import InputError
from outcrop._fits import FitsFile
from tests.outcrop_sdk.sample import image, table, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of an image and a table."""
    hdus = [
        image(np.arange(12, dtype=np.float32).reshape(3, 4), "FLUX"),
        table(
            "ROWS",
            ID=("K", [3, -1]),
            Z=("D", [0.1, 0.2]),
            GOOD=("L", [True, False]),
            KIND=("8A", ["STAR", "QSO"]),
        ),
    ]
    return write(tmp_path / "some.fits", hdus)


def test_columns_are_native_arrays_without_padding(path: Path) -> None:
    with FitsFile(path) as file:
        rows = file.table("ROWS")
    assert ("KIND" in rows, "OTHER" in rows, len(rows)) == (True, False, 2)
    assert rows.integers("ID").tolist() == [3, -1]
    assert rows.floats("Z").tolist() == [0.1, 0.2]
    assert rows.booleans("GOOD").tolist() == [True, False]
    assert rows.strings("KIND").tolist() == ["STAR", "QSO"]
    assert rows.integers("ID").dtype.isnative


def test_images_are_contiguous_native_arrays(path: Path) -> None:
    with FitsFile(path) as file:
        flux = file.image("FLUX", "f", np.float32, 2)
    np.testing.assert_array_equal(flux, np.arange(12).reshape(3, 4))
    assert flux.dtype.isnative
    assert flux.flags.c_contiguous


def test_a_column_of_another_kind_is_refused(path: Path) -> None:
    with FitsFile(path) as file:
        rows = file.table("ROWS")
    with pytest.raises(InputError, match=r"some\.fits: column KIND of HDU ROWS holds .*integer"):
        rows.integers("KIND")
    with pytest.raises(InputError, match="HDU ROWS has no column OTHER; it has ID, Z, GOOD, KIND"):
        rows.floats("OTHER")


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_a_pipe(path: Path) -> None:
    # Opening it would wait for a writer.
    path.unlink()
    os.mkfifo(path)


def into_a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def into_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def with_card(keyword: bytes, card: bytes) -> Callable[[Path], None]:
    """Overwrite the first card of a keyword."""

    def damage(content: bytes) -> bytes:
        at = next(at for at in range(0, len(content), 80) if content.startswith(keyword, at))
        return content[:at] + card.ljust(80) + content[at + 80 :]

    return rewritten(damage)


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return damage


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (Path.unlink, "does not exist"),
    (into_a_folder, "is not a regular file"),
    (into_a_pipe, "is not a regular file"),
    (into_a_device, "is not a regular file"),
    (into_itself, "cannot be read: .*symbolic links"),
    (rewritten(lambda _: b""), "is not a FITS file: it begins with b''"),
    (rewritten(lambda _: b"<!DOCTYPE html>" * 400), "is not a FITS file: it begins with b'<!DOCT'"),
    (rewritten(lambda content: content[:10_000]), "not a multiple of 2880"),
    (rewritten(lambda content: content[:-2880]), "is cut off: HDU ROWS ends at byte"),
    (rewritten(lambda content: content + bytes(2880)), "cannot be read|2880 bytes after HDU"),
    (rewritten(lambda content: gzip.compress(content)[:-30]), "cannot be read"),
    (rewritten(lambda content: gzip.compress(content[:-2880])), "is cut off"),
    (with_card(b"NAXIS   ", b"NAXIS   =            999999999"), "NAXIS is 999999999; expected"),
    (with_card(b"NAXIS1  ", b"NAXIS1  =            999999999"), "is cut off: HDU FLUX ends at"),
    (with_card(b"NAXIS1  ", b"NAXIS1  =                   -4"), "NAXIS1 is -4; expected"),
    (with_card(b"NAXIS1  ", b"NAXIS1  =                  4.0"), "NAXIS1 is 4.0; expected"),
    (with_card(b"TFIELDS ", b"TFIELDS =            999999999"), "TFIELDS is 999999999; expected"),
    (with_card(b"BITPIX  ", b"BITPIX  =                   12"), "BITPIX is 12; expected one of"),
    (with_card(b"EXTEND  ", b"EXTEND  = T\xf8"), "byte b'.xf8', which is not printable ASCII"),
    (with_card(b"EXTEND  ", b"NIGHT   = 2021'03"), "the header of HDU PRIMARY cannot be read"),
    (with_card(b"END     ", b""), "it has no END|not FITS|is damaged"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES, ids=range(len(DAMAGES)))
# astropy warns of some damage before the file is refused.
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_a_damaged_file_is_refused_when_it_is_opened(
    path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(path)
    with pytest.raises(InputError, match=rf"some\.fits.*({reason})|({reason}).*some\.fits"):
        FitsFile(path)


def test_a_string_that_is_not_ascii_is_refused_when_it_is_read(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"STAR", b"ST\xf8R"))
    with FitsFile(path) as file:
        rows = file.table("ROWS")
        with pytest.raises(InputError, match=r"some\.fits: column KIND of HDU ROWS cannot be read"):
            rows.strings("KIND")
        assert rows.integers("ID").tolist() == [3, -1]


def test_of_a_repeated_keyword_the_first_is_returned(path: Path) -> None:
    with_card(b"EXTEND  ", b"NIGHT   = 1")(path)
    content = path.read_bytes()
    later = b"NIGHT   = 2".ljust(80) + b"END".ljust(80)
    path.write_bytes(content.replace(b"END".ljust(160), later, 1))
    with FitsFile(path) as file:
        assert file.header("PRIMARY")["NIGHT"] == 1


def test_two_hdus_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "twice.fits", [image(np.zeros(3), "FLUX"), image(np.ones(3), "FLUX")])
    with pytest.raises(InputError, match=r"twice\.fits has two HDUs named FLUX; expected one"):
        FitsFile(path)
