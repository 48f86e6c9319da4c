"""Packed FITS gives what astropy gives, and refuses what Outcrop does not write."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from outcrop._fits_packed import PackedFits
from outcrop.errors import InputError


def columns() -> list[fits.Column]:
    return [
        fits.Column("TARGETID", "K", array=np.array([2**63 - 1, -1, 0])),
        fits.Column("STATUS", "J", array=np.array([1, 2, 3])),
        fits.Column("P_VALUE", "D", array=np.array([1e-300, np.nan, 0.5])),
        fits.Column("LATENT", "4E", array=np.arange(12, dtype=np.float32).reshape(3, 4)),
        fits.Column("ANOMALY", "L", array=np.array([True, False, True])),
        fits.Column("CAUSE", "18A", array=np.array(["cosmic_ray", "", " rare"])),
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = fits.BinTableHDU.from_columns(columns(), name="OUTLIERS")
    table.header["MODEL"], table.header["PLEVEL"], table.header["OLD"] = "it's", 0.01, True
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "table.fits")
    return tmp_path / "table.fits"


def test_columns_are_those_of_astropy(path: Path) -> None:
    table = PackedFits(path).table("OUTLIERS")
    expected: Any = fits.getdata(path, "OUTLIERS")

    assert len(table) == 3
    for name in ("TARGETID", "STATUS"):
        np.testing.assert_array_equal(table.integers(name), expected[name])
    np.testing.assert_array_equal(table.floats("P_VALUE"), expected["P_VALUE"])
    np.testing.assert_array_equal(table.vectors("LATENT"), expected["LATENT"])
    np.testing.assert_array_equal(table.booleans("ANOMALY"), expected["ANOMALY"])
    assert table.strings("CAUSE").tolist() == ["cosmic_ray", "", "rare"]
    assert table[np.array([2, 0])].integers("STATUS").tolist() == [3, 1]


def test_header_values_have_their_types(path: Path) -> None:
    header = PackedFits(path).header("OUTLIERS")
    assert (header["PLEVEL"], header["OLD"], header["NAXIS2"]) == (0.01, True, 3)


def test_what_is_missing_or_cut_off_is_named(path: Path) -> None:
    file = PackedFits(path)
    with pytest.raises(InputError, match="no HDU SEGMENTS"):
        file.table("SEGMENTS")
    with pytest.raises(InputError, match="no column Z"):
        file.table("OUTLIERS").floats("Z")
    with pytest.raises(InputError, match="holds"):
        file.table("OUTLIERS").integers("CAUSE")

    path.write_bytes(path.read_bytes()[:-2881])
    with pytest.raises(InputError, match=str(path)):
        PackedFits(path)


def test_scaled_columns_are_refused(tmp_path: Path) -> None:
    scaled = fits.Column("COUNT", "J", array=np.array([1, 2], np.uint32), bzero=2**31)
    table = fits.BinTableHDU.from_columns([scaled], name="OUTLIERS")
    table.writeto(tmp_path / "scaled.fits")
    with pytest.raises(InputError, match="COUNT has the format"):
        PackedFits(tmp_path / "scaled.fits").table("OUTLIERS")
