"""Zcatalog: the file of DESI's redshift catalogue, read in blocks.

One of all programs (``zall-pix-*.fits``, ``zall-tilecumulative-*.fits``) or of one
(``zpix-*.fits``, ``ztile-*-cumulative.fits``). DR1's has 20.8 GB: the memory that it takes does not
depend on its size.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from outcrop import InputError
from outcrop._fits import reading
from outcrop._fits_layout import read_layout

_HDU: Final = "ZCATALOG"
_BLOCK_BYTES: Final = 1 << 26


class ZcatalogFile:
    """A redshift catalogue's file.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    header : dict
    dtype : dtype
        Of a row.
    names : tuple of str
        Of its columns.

    Raises
    ------
    InputError
        Where it cannot be read, is cut off, or is none.
    """

    def __init__(self, path: Path) -> None:
        from astropy.io import fits

        self.path = path
        try:
            stream = path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        with stream, reading(path, f"HDU {_HDU}"):
            layouts = {one.name: one for one in read_layout(path, stream, path.stat().st_size)}
            if _HDU not in layouts:
                raise InputError(
                    f"{path} has no HDU {_HDU}; it has {', '.join(layouts)}: name a redshift "
                    "catalogue, as zall-pix-iron.fits"
                )
            stream.seek(0)
            with fits.open(stream) as hdus:
                hdu: Any = hdus[_HDU]
                self.header: dict[str, Any] = dict(hdu.header)
                self.dtype: np.dtype[Any] = hdu.columns.dtype.newbyteorder(">")
        self._start = layouts[_HDU].start
        self._length = int(self.header["NAXIS2"])
        self.names = self.dtype.names or ()

    def __len__(self) -> int:
        return self._length

    def blocks(self) -> Iterator[Any]:
        """Yield all rows, in blocks of structured arrays as they are stored: big-endian."""
        length = max(1, _BLOCK_BYTES // self.dtype.itemsize)
        with (
            self.path.open("rb") as stream,
            tqdm(
                total=self._length, desc="zcatalog", unit=" rows", unit_scale=True, delay=2
            ) as bar,
        ):
            stream.seek(self._start)
            for start in range(0, self._length, length):
                count = min(length, self._length - start)
                rows = np.fromfile(stream, self.dtype, count)
                if len(rows) < count:
                    raise InputError(f"{self.path} was cut off while it was read; fetch it again")
                yield rows
                bar.update(count)

    def values(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the values of a column in some rows, given their numbers."""
        # A map of its own for each call: what was read of it does not count as memory for long.
        mapped: Any = np.memmap(self.path, self.dtype, "r", self._start, (self._length,))
        return np.array(mapped[name][rows])
