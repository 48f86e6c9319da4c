"""Every damaged FITS file is refused with its name."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

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
    (with_card(b"END     ", b""), "it has no END|not FITS|is damaged"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_file_is_refused_when_it_is_opened(
    path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(path)
    with pytest.raises(InputError, match=rf"some\.fits.*({reason})|({reason}).*some\.fits"):
        FitsFile(path)


def test_a_damaged_value_is_refused_when_it_is_read(path: Path) -> None:
    with_card(b"EXTEND  ", b"NIGHT   = 2021'03")(path)
    with FitsFile(path) as file:
        header = file.header("PRIMARY")
        with pytest.raises(InputError, match=r"some\.fits: NIGHT in the header of HDU PRIM"):
            header["NIGHT"]
        assert header["NAXIS"] == 0


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


def every_column() -> list[fits.Column]:
    """Columns of all kinds that can be read, and some that only must be passed over."""
    return [
        fits.Column("TARGETID", "K", array=np.array([2**63 - 1, -1, 0])),
        fits.Column("STATUS", "J", array=np.array([1, 2, 3])),
        fits.Column("BITS", "11X", array=np.ones((3, 11), np.bool_)),
        fits.Column("SHORT", "I", array=np.array([-(2**15), 0, 2**15 - 1])),
        fits.Column("BYTE", "B", array=np.array([0, 1, 255])),
        fits.Column("SIGNED", "B", bzero=-128, array=np.array([-128, 0, 127])),
        fits.Column("UINT", "J", bzero=2**31, array=np.array([0, 1, 2**32 - 1], np.uint32)),
        fits.Column("P_VALUE", "D", array=np.array([1e-300, np.nan, 0.5])),
        fits.Column("SCALED", "E", bscale=0.5, bzero=10.0, array=np.array([10.0, 10.5, -3.0])),
        fits.Column("LATENT", "4E", array=np.arange(12, dtype=np.float32).reshape(3, 4)),
        fits.Column("ANOMALY", "L", array=np.array([True, False, True])),
        fits.Column("MANY", "PJ()", array=np.array([[1], [1, 2], []], np.object_)),
        fits.Column("CAUSE", "18A", array=np.array(["cosmic_ray", "", " rare"])),
    ]


@pytest.fixture
def columns(tmp_path: Path) -> Path:
    """A file with columns of all kinds."""
    made = fits.BinTableHDU.from_columns(every_column(), name="ROWS")
    made.header["MODEL"], made.header["PLEVEL"], made.header["OLD"] = "it's", 0.01, True
    made.header["INFIL000"] = "https://example.org/" + "long/" * 30 + "coadd.fits"
    made.writeto(tmp_path / "columns.fits")
    return tmp_path / "columns.fits"


def test_columns_are_those_of_astropy(columns: Path) -> None:
    with FitsFile(columns) as file:
        rows = file.table("ROWS")
    expected: Any = fits.getdata(columns, "ROWS")

    for name in ("TARGETID", "STATUS", "SHORT", "BYTE", "SIGNED", "UINT"):
        np.testing.assert_array_equal(rows.integers(name), expected[name])
    for name in ("P_VALUE", "SCALED", "UINT"):
        np.testing.assert_array_equal(rows.floats(name), expected[name])
    np.testing.assert_array_equal(rows.vectors("LATENT"), expected["LATENT"])
    np.testing.assert_array_equal(rows.booleans("ANOMALY"), expected["ANOMALY"])
    assert rows.strings("CAUSE").tolist() == ["cosmic_ray", "", "rare"]
    assert rows[np.array([2, 0])].integers("STATUS").tolist() == [3, 1]


def test_a_header_has_the_values_of_astropy(columns: Path) -> None:
    with FitsFile(columns) as file:
        header = file.header("ROWS")
    expected = fits.getheader(columns, "ROWS")
    assert {name: header[name] for name in header} == dict(expected)
    assert "OTHER" not in header
    assert header.get("OTHER") is None


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (b"TFORM1  = 'Z       '", "TFORM1 is Z"),
        (b"TFORM1  = '999999999999999999K'", "does not fit"),
        (b"TFORM1  = '9999999K'", "its columns do not fill its rows"),
        (b"TTYPE1  = 'STATUS  '", "STATUS"),
    ],
)
def test_a_damaged_column_is_refused_when_its_table_is_read(
    columns: Path, card: bytes, reason: str
) -> None:
    with_card(card[:8], card)(columns)
    with FitsFile(columns) as file, pytest.raises(InputError, match=f"HDU ROWS cannot.*{reason}"):
        file.table("ROWS")


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.int16, np.uint16, np.uint32, np.uint8]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_images_are_those_of_astropy(tmp_path: Path, dtype: str, compressed: bool) -> None:
    data = np.arange(7 * 5).reshape(7, 5).astype(dtype)
    kind = fits.CompImageHDU if compressed else fits.ImageHDU
    fits.HDUList([fits.PrimaryHDU(), kind(data, name="MASK")]).writeto(tmp_path / "image.fits")
    with FitsFile(tmp_path / "image.fits") as file:
        whole = file.image("MASK", "fiu", np.float64, 2)
        some = file.image("MASK", "fiu", np.float64, 2, np.array([6, 0]))
    np.testing.assert_array_equal(whole, data)
    np.testing.assert_array_equal(some, data[[6, 0]])


@pytest.mark.parametrize("blank", [False, True])
def test_scaled_images_are_those_of_astropy(tmp_path: Path, blank: bool) -> None:
    scaled = fits.ImageHDU(np.array([[1.5, 2.0], [-3.0, 2.5]]), name="FLUX")
    scaled.scale("int16", bscale=0.5, bzero=1.0)
    if blank:
        scaled.header["BLANK"] = 2
    fits.HDUList([fits.PrimaryHDU(), scaled]).writeto(tmp_path / "image.fits")
    with FitsFile(tmp_path / "image.fits") as file:
        flux = file.image("FLUX", "f", np.float32, 2)
    np.testing.assert_array_equal(flux, fits.getdata(tmp_path / "image.fits", "FLUX"))
    assert np.isnan(flux).any() == blank
