"""FITS copy: the HDUs of a remote file that are needed, checked by their checksums.

Left out are images that no reader uses, which are four fifths of a coadd: its resolution matrices.
"""

from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, cast

import numpy as np

from .._bands import KINDS
from .._constants import REMOTE_HDUS
from .._fits_layout import BLOCK, HduLayout, read_layout
from ..errors import InputError
from .stream import RemoteStream

_SIMPLE: Final = b"SIMPLE"
_ALL_ONES: Final = 0xFFFFFFFF
_DAMAGED: Final = "it is damaged where it is kept; take another copy"


def is_needed(name: str, cards: Mapping[str, str]) -> bool:
    """Return whether a reader of this package may use an HDU.

    Parameters
    ----------
    name : str
    cards : mapping of str to str
        Of its header, as written.

    Examples
    --------
    >>> from outcrop._remote.fits_copy import is_needed
    >>> is_needed("B_FLUX", {"XTENSION": "'IMAGE   '"})
    True
    >>> is_needed("B_RESOLUTION", {"XTENSION": "'IMAGE   '"})
    False
    """
    image = cards.get("XTENSION", "").strip("' ") == "IMAGE"
    return not image or name.rpartition("_")[2] in KINDS


def copy_fits(stream: RemoteStream, out: BinaryIO, reserve: Callable[[int], object]) -> None:
    """Copy the HDUs that are needed.

    Parameters
    ----------
    stream : RemoteStream
        At its start.
    out : binary file
    reserve : function
        Called with the length of the copy before each HDU is written.

    Raises
    ------
    InputError
        Where the file is not FITS, cut off or damaged, or one of its HDUs does not have the
        DATASUM or CHECKSUM of its header.
    """
    start = stream.read(len(_SIMPLE))
    if start != _SIMPLE:
        raise InputError(
            f"{stream.address} is not a FITS file: it begins with {start!r}, not with SIMPLE"
        )
    if stream.size % BLOCK:
        raise InputError(
            f"{stream.address} has {stream.size} bytes, not a multiple of {BLOCK} as FITS files "
            "have; it is cut off: take another copy"
        )

    stream.seek(0)
    length = 0
    layout = read_layout(stream.address, cast(BinaryIO, stream), stream.size)
    for number, hdu in enumerate(layout, start=1):
        if number > REMOTE_HDUS:
            raise InputError(f"{stream.address} has more than {REMOTE_HDUS} HDUs; is it a coadd?")
        # The layout itself reports an HDU that ends beyond the file.
        if hdu.end <= stream.size and is_needed(hdu.name, hdu.cards):
            length += len(hdu.header) + hdu.end - hdu.start
            reserve(length)
            _copy_hdu(stream, out, hdu)


def _copy_hdu(stream: RemoteStream, out: BinaryIO, hdu: HduLayout) -> None:
    out.write(hdu.header)
    stream.seek(hdu.start)
    of_data = 0
    for piece in stream.pieces(hdu.end):
        out.write(piece)
        of_data += _sum_of_words(piece)

    of_hdu = of_data + _sum_of_words(hdu.header)
    expected = _written(hdu, "DATASUM")
    if expected and expected != str(_folded(of_data)):
        raise InputError(
            f"{stream.address}: HDU {hdu.name} has the sum {_folded(of_data)}, not the {expected} "
            f"of its DATASUM; {_DAMAGED}"
        )
    if _written(hdu, "CHECKSUM") and _folded(of_hdu) not in (0, _ALL_ONES):
        raise InputError(
            f"{stream.address}: HDU {hdu.name} does not have the CHECKSUM of its header; {_DAMAGED}"
        )


def _written(hdu: HduLayout, keyword: str) -> str:
    """Return the value of a card; empty where it has none."""
    return hdu.cards.get(keyword, "").strip("' ")


def _sum_of_words(content: bytes | memoryview) -> int:
    return int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))


def _folded(total: int) -> int:
    """Return a sum of 32-bit words in ones' complement, as FITS adds them.

    Examples
    --------
    >>> from outcrop._remote.fits_copy import _folded
    >>> hex(_folded(0x1_FFFF_FFFF))
    '0x1'
    """
    while total > _ALL_ONES:
        total = (total & _ALL_ONES) + (total >> 32)
    return total
