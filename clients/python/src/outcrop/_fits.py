"""FITS files: HDUs by EXTNAME, native arrays, and an InputError for any damage.

For a truncated or damaged file astropy gives a warning, or an array of arbitrary bytes. Here a
file whose HDUs do not end exactly at the end of the file is refused before any of them is read,
and all later errors name the file and the HDU. Pipes and devices are never opened.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import gzip
import io
import stat
import struct
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ._fits_layout import BLOCK, check_layout
from .errors import InputError

_BLOCK_BYTES: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"


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
        # astropy takes half a second to import, so it is imported only where files are read.
        from astropy.io import fits

        self.path = path
        with reading(path, "the file"):
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{path} is not a regular file; name a FITS file")
            self._stream = path.open("rb")
        try:
            with reading(path, "the file"):
                source, size = self._source()
                number = check_layout(path, source, size)
                source.seek(0)
                # No memory map: astropy refuses it for unsigned integers, and a file that shrinks
                # under a map kills the process. Data are read per HDU, when needed.
                self._hdus: Any = fits.open(source, memmap=False)
            with reading(path, "the list of HDUs"):
                self._by_name = self._index(number)
        except BaseException:
            self._stream.close()
            raise

        try:
            self.header("PRIMARY")
        except BaseException:
            self.close()
            raise

    def _source(self) -> tuple[BinaryIO, int]:
        """Return the uncompressed file, and its size, whose start is that of FITS."""
        start = self._stream.read(6)
        source, size = self._stream, self._stream.seek(0, io.SEEK_END)
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

    def _index(self, number: int) -> dict[str, Any]:
        by_name: dict[str, Any] = {}
        for hdu in self._hdus:
            name = str(hdu.name).upper()
            if name in by_name:
                raise InputError(f"{self.path} has two HDUs named {name}; expected one")
            by_name[name] = hdu

        if len(by_name) != number:
            raise InputError(
                f"{self.path} is damaged: astropy reads {len(by_name)} of its {number} HDUs; "
                "fetch or make it again"
            )
        return by_name

    def close(self) -> None:
        """Close the file."""
        self._hdus.close()
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
        return name in self._by_name

    def _hdu(self, name: str) -> Any:
        if name not in self._by_name:
            raise InputError(
                f"{self.path} has no HDU {name}; it has {', '.join(self._by_name)}: "
                "is it the right file?"
            )
        return self._by_name[name]

    def header(self, name: str) -> Mapping[str, Any]:
        """Return the values of an HDU's header; of a repeated keyword, the first."""
        hdu = self._hdu(name)
        # astropy parses a card only when its value is read.
        with reading(self.path, f"the header of HDU {name}"):
            return {card.keyword: card.value for card in reversed(hdu.header.cards)}

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
            Kinds of numpy dtype the stored numbers may have.
        dtype : numpy type
            To convert to.
        dimensions : int
        chosen : (n,) int, optional
            The rows to read, in this order; all by default.
        """
        hdu = self._hdu(name)
        with reading(self.path, f"HDU {name}"):
            if not hdu.is_image:
                raise InputError(f"{self.path}: HDU {name} is a table; expected an image")
            shape = tuple(hdu.shape)
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
                data = hdu.section[start : start + len(block)]
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

    def table(self, name: str) -> "FitsTable":
        """Return a binary table HDU."""
        hdu = self._hdu(name)
        with reading(self.path, f"HDU {name}"):
            # The primary HDU is an image even where it is empty.
            if hdu.is_image:
                raise InputError(f"{self.path}: HDU {name} is an image; expected a table")
            return FitsTable(self.path, name, hdu.data)


class FitsTable:
    """A binary table; its columns are returned as native one-dimensional arrays."""

    def __init__(self, path: Path, name: str, data: Any) -> None:
        self._path = path
        self._name = name
        self._data = data
        self._names = [str(column).upper() for column in data.names]

    def __contains__(self, column: str) -> bool:
        return column in self._names

    def __len__(self) -> int:
        return len(self._data)

    def _column(self, column: str, kinds: str, expected: str) -> NDArray[Any]:
        if column not in self:
            raise InputError(
                f"{self._path}: HDU {self._name} has no column {column}; "
                f"it has {', '.join(self._names)}: is it the right file?"
            )
        with reading(self._path, f"column {column} of HDU {self._name}"):
            values = np.asarray(self._data[column])
            if values.dtype.kind not in kinds or values.ndim != 1:
                raise InputError(
                    f"{self._path}: column {column} of HDU {self._name} holds {values.dtype} of "
                    f"shape {values.shape}; expected one {expected} per row"
                )
            return values

    def integers(self, column: str) -> NDArray[np.int64]:
        """Return a column of integers of any width."""
        return self._column(column, "iu", "integer").astype(np.int64)

    def floats(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers."""
        return self._column(column, "fiu", "number").astype(np.float64)

    def booleans(self, column: str) -> NDArray[np.bool_]:
        """Return a column of logical values."""
        return self._column(column, "b", "logical value").astype(np.bool_)

    def strings(self, column: str) -> NDArray[np.str_]:
        """Return a column of strings without their padding."""
        values = self._column(column, "SU", "string")
        # Bytes that are not ASCII cannot be decoded.
        with reading(self._path, f"column {column} of HDU {self._name}"):
            return np.char.strip(values.astype(np.str_))
