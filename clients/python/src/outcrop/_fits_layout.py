"""FITS layout: where each HDU of a file begins and ends, as its header states it.

astropy loops over as many axes or columns as a header states, and reads as far as it states. Here
these numbers are checked first, so that one damaged byte can neither keep it busy for hours nor
make it return other bytes.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .errors import InputError

BLOCK: Final = 2880
_CARD: Final = 80
_HEADER_BLOCKS: Final = 1000  # 36,000 cards; DESI's longest headers have some 300
_MOST: Final = {"NAXIS": 999, "TFIELDS": 999}  # limits of the FITS standard
_BITPIX: Final = (8, 16, 32, 64, -32, -64)
_PRINTABLE: Final = bytes(range(32, 127))


@dataclass(frozen=True)
class HduLayout:
    """Where an HDU is.

    Attributes
    ----------
    name : str
        EXTNAME in upper case, ``PRIMARY``, or else its number.
    cards : mapping of str to str
        Values of its header as they are written, without comments.
    start, end : int
        Bytes of the file at which its data begin, and at which the next HDU begins.
    header : bytes
        As it is in the file.
    """

    name: str
    cards: Mapping[str, str]
    start: int
    end: int
    header: bytes


def read_layout(path: Path | str, stream: BinaryIO, size: int) -> Iterator[HduLayout]:
    """Yield the HDUs of a file, which follow each other up to its end.

    Parameters
    ----------
    path : Path or str
        For messages.
    stream : binary file
        Open at any position.
    size : int
        Bytes of the file.

    Raises
    ------
    InputError
        Where a header is damaged, or its HDU does not end where another begins or the file ends.
    """
    hdus, end, name = 0, 0, ""
    while end < size:
        start = end
        stream.seek(start)
        header = _read_header(stream)
        if not header.startswith(b"XTENSION" if hdus else b"SIMPLE"):
            raise InputError(
                f"{path} is damaged: {size - start} bytes after HDU {name} are not FITS; "
                "fetch or make it again"
            )

        try:
            cards = read_cards(header)
            name = cards.get("EXTNAME", "").strip("' ").upper() or (
                f"{hdus}" if hdus else "PRIMARY"
            )
            end = start + len(header) + _data_size(cards)
        except ValueError as error:
            raise InputError(
                f"{path}: the header at byte {start} is damaged: {error}; fetch or make it again"
            ) from error
        hdus += 1
        yield HduLayout(name, cards, start + len(header), end, header)

    if end > size:
        raise InputError(
            f"{path} is cut off: HDU {name} ends at byte {end}, the file at {size}; "
            "fetch or make it again"
        )


def _read_header(stream: BinaryIO) -> bytes:
    """Return the header from here to its last block; less where it has no end."""
    blocks: list[bytes] = []
    while len(blocks) < _HEADER_BLOCKS and (block := stream.read(BLOCK)):
        blocks.append(block)
        if any(block[at : at + 8] == b"END     " for at in range(0, len(block), _CARD)):
            break
    return b"".join(blocks)


def read_cards(header: bytes) -> dict[str, str]:
    """Return the values of a header as they are written, without comments, by keyword."""
    foreign = header.translate(None, _PRINTABLE)
    if foreign:
        raise ValueError(f"it has the byte {foreign[:1]!r}, which is not printable ASCII")

    cards: dict[str, str] = {}
    for at in range(0, len(header), _CARD):
        card = header[at : at + _CARD].decode("ascii")
        if card[:8] == "END     ":
            return cards
        if card[8:10] == "= ":
            cards.setdefault(card[:8].rstrip(), _written(card[10:].strip()))
    raise ValueError("it has no END")


def _written(text: str) -> str:
    """Return the value of a card without the comment that may follow it."""
    if text.startswith("'"):
        end = text.find("'", 1)
        return text[: end + 1] if end > 0 else text
    return text.partition("/")[0].strip()


def _data_size(cards: Mapping[str, str]) -> int:
    """Return the bytes of the data, filled up to whole blocks."""
    bitpix = _integer(cards, "BITPIX", least=-64)
    if bitpix not in _BITPIX:
        raise ValueError(f"BITPIX is {bitpix}; expected one of {_BITPIX}")
    naxis = _integer(cards, "NAXIS")
    _integer(cards, "TFIELDS", default=0)
    if not naxis:
        return 0

    pixels = math.prod(_integer(cards, f"NAXIS{axis}") for axis in range(1, naxis + 1))
    groups, parameters = _integer(cards, "GCOUNT", default=1), _integer(cards, "PCOUNT", default=0)
    size = abs(bitpix) // 8 * groups * (parameters + pixels)
    return -(-size // BLOCK) * BLOCK


def _integer(
    cards: Mapping[str, str], keyword: str, *, default: int | None = None, least: int = 0
) -> int:
    text = cards.get(keyword)
    if text is None and default is not None:
        return default
    most = _MOST.get(keyword, 2**63 - 1)
    try:
        value = int(text or "")
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ValueError(f"{keyword} is {text}; expected an integer from {least} to {most}")
    return value
