"""FITS files: HDUs by EXTNAME, native arrays, and an InputError for any damage.

For a truncated or damaged file astropy gives a warning, or an array of arbitrary bytes, and its
objects for the HDUs and columns of a coadd take as long as reading the spectra. Here the layout of
a file is checked before any HDU is read: a file whose HDUs do not end exactly at its end is
refused. Tables and images then are read from where the layout says they are; astropy reads headers
and compressed images. All later errors name the file and the HDU. Pipes and devices are never
opened.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import gzip
import io
import stat
import struct
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._fits_columns import FitsColumn, number_of, read_columns, row_type, scaled
from ._fits_layout import BLOCK, HduLayout, read_layout
from .errors import InputError

_BLOCK_BYTES: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_PIXELS: Final = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def _damage() -> tuple[type[BaseException], ...]:
    """Return the errors that astropy, gzip and struct raise on damaged bytes."""
    from astropy.io.fits import VerifyError

    return (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        OSError,
        TypeError,
        ValueError,
        VerifyError,
        # Where the caller made warnings errors.
        Warning,
        struct.error,
        zlib.error,
    )


@contextmanager
def reading(path: Path, what: str) -> Generator[None]:
    """Raise an `InputError` that names the file and `what` for any error of a damaged file."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name") from error
    except _damage() as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{path}: {what} cannot be read: {reason}; the file is damaged or of another kind: "
            "fetch or make it again"
        ) from error


class FitsFile:
    """A FITS file, plain or gzipped, open for reading; a context manager.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        Where the file does not exist, is not FITS, is cut off or otherwise damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path, "the file"):
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{path} is not a regular file; name a FITS file")
            self._stream = path.open("rb")
        try:
            with reading(path, "the file"):
                # No memory map: a file that shrinks under a map kills the process.
                self._source, size = self._open()
                self._layouts = _by_name(path, read_layout(path, self._source, size))
        except BaseException:
            self._stream.close()
            raise

    def _open(self) -> tuple[io.BufferedReader | io.BytesIO, int]:
        """Return the uncompressed file, and its size, whose start is that of FITS."""
        start = self._stream.read(6)
        source: io.BufferedReader | io.BytesIO = self._stream
        size = source.seek(0, io.SEEK_END)
        if start.startswith(_GZIP):
            # Seeking in a gzip stream starts over each time, so it is read into memory.
            self._stream.seek(0)
            with gzip.open(self._stream) as unpacked:
                content = unpacked.read()
            start, size, source = content[:6], len(content), io.BytesIO(content)

        if start != b"SIMPLE":
            raise InputError(
                f"{self.path} is not a FITS file: it begins with {start!r}, not with SIMPLE"
            )
        if size % BLOCK:
            raise InputError(
                f"{self.path} has {size} bytes, not a multiple of {BLOCK} as FITS files have; "
                "it is cut off: fetch or make it again"
            )
        return source, size

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> "FitsFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __contains__(self, name: str) -> bool:
        return name in self._layouts

    def _layout(self, name: str) -> HduLayout:
        if name not in self._layouts:
            raise InputError(
                f"{self.path} has no HDU {name}; it has {', '.join(self._layouts)}: "
                "is it the right file?"
            )
        return self._layouts[name]

    def header(self, name: str) -> "FitsHeader":
        """Return the values of an HDU's header."""
        layout = self._layout(name)
        return FitsHeader(self.path, name, layout.header)

    def image(
        self,
        name: str,
        kinds: str,
        dtype: type[np.generic],
        dimensions: int,
        chosen: NDArray[np.intp] | None = None,
    ) -> NDArray[Any]:
        """Return an image HDU, or some of its rows, as a contiguous native array.

        Parameters
        ----------
        name : str
            EXTNAME.
        kinds : str
            Kinds of numpy dtype the numbers may have.
        dtype : numpy type
            To convert to.
        dimensions : int
        chosen : (n,) int, optional
            The rows to read, in this order; all by default.
        """
        layout = self._layout(name)
        with reading(self.path, f"HDU {name}"):
            image = self._image(layout)
            shape = image.shape
            if len(shape) != dimensions:
                raise InputError(
                    f"{self.path}: HDU {name} has shape {shape}; expected {dimensions} dimensions"
                )
            if chosen is not None and shape[0] <= chosen.max(initial=-1):
                raise InputError(
                    f"{self.path}: HDU {name} has {shape[0]} rows, row {chosen.max()} is wanted: "
                    "its rows are not those of the file's tables; make the file again"
                )
            native = np.empty(shape if chosen is None else (len(chosen), *shape[1:]), dtype)
            if native.size == 0:
                return native

            # Block by block, so that the stored numbers stay in the processor's cache.
            rows = max(1, _BLOCK_BYTES // native[0].nbytes) if chosen is None else 1
            for at in range(0, len(native), rows):
                block = native[at : at + rows]
                start = at if chosen is None else int(chosen[at])
                data = image.rows(start, len(block))
                # Wider integers would lose bits; wider floats only digits.
                narrowed = data.dtype.kind != "f" and data.dtype.itemsize > block.dtype.itemsize
                if data.dtype.kind not in kinds or data.shape != block.shape or narrowed:
                    raise InputError(
                        f"{self.path}: HDU {name} holds {data.dtype} of shape {data.shape} from "
                        f"row {start} on; expected numbers for {block.dtype} of {block.shape}"
                    )
                # float64 beyond float32's range becomes infinite, and so gets a status bit.
                with np.errstate(over="ignore"):
                    block[...] = data
            return native

    def _image(self, layout: HduLayout) -> "_Image":
        cards = layout.cards
        if "ZIMAGE" in cards or "BLANK" in cards:
            return self._image_of_astropy(layout)
        if _kind(layout) != "IMAGE":
            raise InputError(f"{self.path}: HDU {layout.name} is a table; expected an image")

        stored = np.dtype(_PIXELS[int(cards["BITPIX"])])
        axes = range(int(cards["NAXIS"]), 0, -1)
        shape = tuple(int(cards[f"NAXIS{axis}"]) for axis in axes)
        scale, zero = number_of(cards.get("BSCALE", "1")), number_of(cards.get("BZERO", "0"))

        def rows(start: int, count: int) -> NDArray[Any]:
            data = np.empty((count, *shape[1:]), stored)
            self._read(layout.start + start * data[0].nbytes, data)
            return scaled(data, scale, zero)

        return _Image(shape, rows)

    def _image_of_astropy(self, layout: HduLayout) -> "_Image":
        from astropy.io import fits

        self._source.seek(0)
        hdus: Any = fits.open(self._source, memmap=False, lazy_load_hdus=False)
        hdu = hdus[list(self._layouts).index(layout.name)]
        if not hdu.is_image:
            raise InputError(f"{self.path}: HDU {layout.name} is a table; expected an image")
        return _Image(tuple(hdu.shape), lambda start, count: hdu.section[start : start + count])

    def _read(self, start: int, values: NDArray[Any]) -> None:
        """Read the bytes from a place of the file into an array."""
        self._source.seek(start)
        if self._source.readinto(values.reshape(-1).view(np.uint8).data) < values.nbytes:
            raise EOFError("it has become shorter")

    def table(self, name: str) -> "FitsTable":
        """Return a binary table HDU."""
        layout = self._layout(name)
        with reading(self.path, f"HDU {name}"):
            if (kind := _kind(layout)) != "BINTABLE":
                found = "an image" if kind == "IMAGE" else f"of the kind {kind}"
                raise InputError(f"{self.path}: HDU {name} is {found}; expected a table")
            columns = read_columns(layout.cards)
            rows = np.empty(int(layout.cards["NAXIS2"]), row_type(columns))
            self._read(layout.start, rows)
            return FitsTable(self.path, name, {column.name: column for column in columns}, rows)


class FitsHeader(Mapping[str, Any]):
    """The values of a header, each read when it is asked for; of a repeated keyword, the first."""

    def __init__(self, path: Path, name: str, header: bytes) -> None:
        # astropy takes half a second to import, so it is imported only where files are read.
        from astropy.io import fits

        self._path, self._name = path, name
        with reading(path, f"the header of HDU {name}"):
            self._header: Any = fits.Header.fromstring(header)

    def __getitem__(self, keyword: str) -> Any:
        if keyword not in self._header:
            raise KeyError(keyword)
        with reading(self._path, f"{keyword} in the header of HDU {self._name}"):
            return self._header[keyword]

    def __contains__(self, keyword: object) -> bool:
        return keyword in self._header

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._header))

    def __len__(self) -> int:
        return len(set(self._header))


class FitsTable:
    """A binary table; its columns are returned as native arrays. An index chooses rows."""

    def __init__(
        self, path: Path, name: str, columns: Mapping[str, FitsColumn], rows: NDArray[Any]
    ) -> None:
        self._path, self._name, self._columns, self._rows = path, name, columns, rows

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: NDArray[np.intp]) -> "FitsTable":
        return FitsTable(self._path, self._name, self._columns, self._rows[rows])

    def _column(self, column: str, kinds: str, expected: str, dimensions: int = 1) -> NDArray[Any]:
        if column not in self:
            raise InputError(
                f"{self._path}: HDU {self._name} has no column {column}; "
                f"it has {', '.join(self._columns)}: is it the right file?"
            )
        with reading(self._path, f"column {column} of HDU {self._name}"):
            values = self._columns[column].values(self._rows[column])
        if values.dtype.kind not in kinds or values.ndim != dimensions:
            raise InputError(
                f"{self._path}: column {column} of HDU {self._name} holds {values.dtype} of "
                f"shape {values.shape}; expected {expected} per row"
            )
        return values

    def integers(self, column: str) -> NDArray[np.int64]:
        """Return a column of integers of any width."""
        return self._column(column, "iu", "one integer").astype(np.int64)

    def floats(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers."""
        return self._column(column, "fiu", "one number").astype(np.float64)

    def vectors(self, column: str) -> NDArray[np.float32]:
        """Return a column that has several numbers per row, (rows, numbers)."""
        return self._column(column, "f", "several numbers", dimensions=2).astype(np.float32)

    def booleans(self, column: str) -> NDArray[np.bool_]:
        """Return a column of logical values."""
        return self._column(column, "b", "one logical value")

    def strings(self, column: str) -> NDArray[np.str_]:
        """Return a column of strings without their padding."""
        values = self._column(column, "S", "one string")
        # Bytes that are not ASCII cannot be decoded.
        with reading(self._path, f"column {column} of HDU {self._name}"):
            return np.char.strip(values.astype(np.str_))


@dataclass(frozen=True)
class _Image:
    """An image: its shape, and a function that returns rows of it, from one on, as numbers."""

    shape: tuple[int, ...]
    rows: Callable[[int, int], NDArray[Any]]


def _kind(layout: HduLayout) -> str:
    """Return IMAGE, BINTABLE or TABLE, whose numbers are written as text."""
    return layout.cards.get("XTENSION", "IMAGE").strip("' ")


def _by_name(path: Path, layouts: Iterable[HduLayout]) -> dict[str, HduLayout]:
    found: dict[str, HduLayout] = {}
    for layout in layouts:
        if layout.name in found:
            raise InputError(f"{path} has two HDUs named {layout.name}; expected one")
        found[layout.name] = layout
    return found
