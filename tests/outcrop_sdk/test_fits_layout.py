"""The layout that headers state must be that of the file."""

import io
from pathlib import Path

import pytest

from outcrop import InputError
from outcrop._fits_layout import BLOCK, read_layout


def header(*cards: str) -> bytes:
    content = b"".join(card.ljust(80).encode() for card in (*cards, "END"))
    return content.ljust(-(-len(content) // BLOCK) * BLOCK)


def check(content: bytes) -> int:
    return len(list(read_layout(Path("some.fits"), io.BytesIO(content), len(content))))


EMPTY = header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")
IMAGE = header(
    *(
        "XTENSION= 'IMAGE   '",
        "BITPIX  = -32 / kind",
        "NAXIS   = 2",
        "NAXIS1  = 800",
        "NAXIS2  = 2",
    ),
    *("PCOUNT  = 0", "GCOUNT  = 1", "EXTNAME = 'FLUX    '"),
)


def test_hdus_are_counted() -> None:
    assert check(EMPTY) == 1
    assert check(EMPTY + IMAGE + bytes(3 * BLOCK)) == 2
    assert check(EMPTY + (IMAGE + bytes(3 * BLOCK)) * 3) == 4


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_data_that_end_early_are_cut_off(blocks: int) -> None:
    with pytest.raises(InputError, match=r"some\.fits is cut off: HDU FLUX ends at byte 14400"):
        check(EMPTY + IMAGE + bytes(blocks * BLOCK))


def test_data_without_a_header_are_refused() -> None:
    with pytest.raises(InputError, match=r"some\.fits is damaged: 2880 bytes after HDU FLUX"):
        check(EMPTY + IMAGE + bytes(4 * BLOCK))


def test_the_first_of_two_equal_keywords_counts() -> None:
    assert check(header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "NAXIS   = x")) == 1


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        (["BITPIX  = 8"], "NAXIS is None"),
        (["NAXIS   = 0"], "BITPIX is None"),
        (["BITPIX  = 8", "NAXIS   = 1000"], "NAXIS is 1000; expected an integer from 0 to 999"),
        (["BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 9"], "NAXIS2 is None"),
        (["BITPIX  = 8", "NAXIS   = 0", "TFIELDS = 1000"], "TFIELDS is 1000"),
        (["BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 9", "PCOUNT  = -1"], "PCOUNT is -1"),
        (["BITPIX  = 8", "NAXIS   = 1", f"NAXIS1  = {10**30}"], "NAXIS1 is 1000"),
    ],
)
def test_a_damaged_header_is_named_by_its_place(cards: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=rf"some\.fits: the header at byte 0 is damaged: {reason}"):
        check(header("SIMPLE  = T", *cards))


def test_a_header_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match="it has no END"):
        check(EMPTY.replace(b"END", b"   "))


def test_a_value_is_read_without_its_comment() -> None:
    content = header(
        *("SIMPLE  = T / conforms", "BITPIX  = 8", "NAXIS   = 0 / no data"),
        *("MODEL   = 'a/b     ' / its name", "OPEN    = 'a/b"),
    )
    (hdu,) = read_layout(Path("some.fits"), io.BytesIO(content), len(content))
    assert hdu.name == "PRIMARY"
    assert hdu.start == len(content)
    assert (hdu.cards["MODEL"], hdu.cards["NAXIS"], hdu.cards["OPEN"]) == (
        "'a/b     '",
        "0",
        "'a/b",
    )
