"""JSON models: spectra as JSON, and their conversion to `Spectra`.

Numbers are strict: no strings, no booleans, no NaN or Infinity, no unknown fields. ``null`` in
flux, ivar or z is a missing value: it becomes NaN, which sets a status bit, as NaN in a binary
tensor does. In place of an optional field, ``null`` is the same as leaving it out.

The lists of numbers are cut out of the text before it is decoded, so that each field holds the
place that `cut` left.
"""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeGuard

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, UnsetType
from numpy.typing import NDArray

from outcrop import Band, Scores, Spectra, Status, WireError
from outcrop.spectra import CAMERAS, CANDIDATES, STEP, WAVE, repeated
from outcrop.strict_json import (
    FLOATS,
    INTEGERS,
    decode,
    decode_value,
    quote,
    read_list,
)

from ..http.errors import Problem
from .number_lists import cut, read_floats

ByBlock = Callable[[Callable[[slice], None], int], object]
GRID_TOLERANCE = 1e-4  # Å
_INT64 = 2**63
_DECIMAL = r"^-?[0-9]{1,19}$"
_OBJECTS = 5
"""A spectrum has at most so many: itself, its cameras, and three of them."""
_LISTS = 13
"""A spectrum has at most so many: four of three cameras, and further redshifts."""
_INTEGERS = {"targetid": 0, "desi_target": -1, "bgs_target": -1, "mws_target": -1}
"""The fields that are 64-bit integers, and what they are where they are not given."""


def _numbers(items: dict[str, Any], description: str, **more: object) -> Meta:
    schema = {"type": "array", "items": items, **more}
    return Meta(description=description, extra_json_schema=schema)


def _integer(description: str, default: int) -> Meta:
    schema = {
        "anyOf": [
            {"type": "integer", "minimum": -_INT64, "maximum": _INT64 - 1},
            {"type": "string", "pattern": _DECIMAL},
            {"type": "null"},
        ],
        "default": default,
    }
    return Meta(description=description, extra_json_schema=schema)


_VALUE = {"type": ["number", "null"]}
TargetId = Annotated[Raw, _integer("Echoed, as a string", 0)]
TargetBits = Annotated[
    Raw,
    _integer(
        "DESI's target bits, of all surveys; -1 where unknown, which counts as inside the model's "
        "population",
        -1,
    ),
]
Redshift = Annotated[
    Raw, Meta(description="Redshift; null where unknown", extra_json_schema=_VALUE)
]
Candidates = Annotated[
    Raw,
    _numbers(
        {"type": "number"},
        "redrock's next best redshifts, the best first; for /explain",
        type=["array", "null"],
        maxItems=CANDIDATES,
    ),
]
Wavelength = Annotated[
    Raw,
    _numbers(
        {"type": "number"},
        "Pixel centres, observed frame, vacuum Å; within 1e-4 Å of DESI's",
        minItems=1,
    ),
]
Flux = Annotated[
    Raw,
    _numbers(_VALUE, "1e-17 erg / (s cm2 Å); null where missing. The service never corrects noise"),
]
Ivar = Annotated[Raw, _numbers(_VALUE, "Inverse variance of flux; 0 or null where there is none")]
Mask = Annotated[
    Raw,
    _numbers({"type": "integer"}, "DESI mask; all but 0 mark bad pixels", type=["array", "null"]),
]


class Pixels(msgspec.Struct, forbid_unknown_fields=True):
    """Flux of one spectrum on DESI's grid, or on a contiguous part of it."""

    wavelength: Wavelength
    flux: Flux
    ivar: Ivar
    mask: Mask | UnsetType = UNSET


class Cameras(msgspec.Struct, forbid_unknown_fields=True):
    """Flux of one spectrum by camera; at least one."""

    b: Annotated[Pixels | UnsetType | None, Meta(description="3600-5800 Å, 2751 pixels")] = UNSET
    r: Annotated[Pixels | UnsetType | None, Meta(description="5760-7620 Å, 2326 pixels")] = UNSET
    z: Annotated[Pixels | UnsetType | None, Meta(description="7520-9824 Å, 2881 pixels")] = UNSET

    def given(self, where: str) -> dict[str, Pixels]:
        """Return the pixels by camera; where names the spectrum."""
        found = {name: getattr(self, name) for name in CAMERAS}
        given = {name: pixels for name, pixels in found.items() if isinstance(pixels, Pixels)}
        if not given:
            raise WireError(f"{where}.cameras: no camera is given; give at least one of b, r, z")
        return given


def _is_given(field: Raw | UnsetType) -> TypeGuard[Raw]:
    return not isinstance(field, UnsetType) and bytes(field) != b"null"


class Spectrum(msgspec.Struct, forbid_unknown_fields=True):
    """One spectrum: either wavelength, flux, ivar and mask, or cameras."""

    z: Redshift
    targetid: TargetId | UnsetType = UNSET
    desi_target: TargetBits | UnsetType = UNSET
    bgs_target: TargetBits | UnsetType = UNSET
    mws_target: TargetBits | UnsetType = UNSET
    spectype: Annotated[
        Literal["GALAXY", "QSO", "STAR"] | UnsetType | None,
        Meta(description="redrock's class; without it p_value is that among all classes"),
    ] = UNSET
    z_candidates: Candidates | UnsetType = UNSET
    wavelength: Wavelength | UnsetType = UNSET
    flux: Flux | UnsetType = UNSET
    ivar: Ivar | UnsetType = UNSET
    mask: Mask | UnsetType = UNSET
    cameras: Cameras | UnsetType | None = UNSET

    def bands(self, where: str) -> dict[str, Pixels]:
        """Return the pixels by band, in the order of the bands; where names the spectrum."""
        whole = {"wavelength": self.wavelength, "flux": self.flux, "ivar": self.ivar}
        fields = whole | {"mask": self.mask}
        given = [name for name, text in fields.items() if _is_given(text)]
        if isinstance(self.cameras, Cameras):
            if given:
                raise WireError(f"{where}: cameras and {given[0]} are given; give one or the other")
            return self.cameras.given(where)

        for name in whole:
            if name not in given:
                raise WireError(
                    f"{where}: {name} is missing; give wavelength, flux and ivar, or cameras"
                )
        return {"brz": Pixels(**whole, mask=self.mask)}  # pyright: ignore[reportArgumentType]


class ScoreRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /score` and of `POST /explain`."""

    spectra: Annotated[list[Spectrum], Meta(min_length=1)]
    reconstruction: Annotated[
        bool | UnsetType,
        Meta(
            description="Of `POST /score`: whether to return reconstruction, rest_flux and "
            "rest_ivar",
            extra_json_schema={"default": True},
        ),
    ] = UNSET


_REQUEST = msgspec.json.Decoder(ScoreRequest)
_ANY = msgspec.json.Decoder(Raw)
_PLACE = re.compile(rb"\[(\d+)\]")
_REDSHIFT = msgspec.json.Decoder(float | None)
_INTEGER = msgspec.json.Decoder(int | str)


def parse(body: memoryview, max_spectra: int) -> tuple[ScoreRequest, list[bytes]]:
    """Read such a body, all but its numbers.

    Returns
    -------
    ScoreRequest
    list of bytes
        The lists of numbers.

    Raises
    ------
    Problem
        400, naming field and remedy; 413 where the body holds more objects or lists than
        `max_spectra` spectra can have.
    """
    text = bytes(body)
    left, lists = cut(text, _LISTS * max_spectra + 1)
    # Before any is made. No string in a valid request has a brace.
    objects = left.count(b"{") - 1
    if objects > _OBJECTS * max_spectra:
        raise Problem(
            413,
            f"the request holds {objects} objects, {_OBJECTS} for each of {max_spectra} spectra "
            f"are {_OBJECTS * max_spectra}; send at most {max_spectra} spectra at a time",
            reason="too_large",
        )
    return _decode(left, text), lists


def _decode(left: bytes, text: bytes) -> ScoreRequest:
    try:
        request = decode(_REQUEST, left, "the body")
    except WireError as error:
        raise _malformed(_whole_error(text) or error) from error

    # The decoder takes the last of two fields of one name. No string in a valid request has a
    # colon either.
    colons, fields = left.count(b":"), _fields(request)
    if colons != fields:
        raise Problem(
            400,
            f"the body: {colons} colons for {fields} fields; give every field once",
            reason="malformed",
        )
    return request


def _whole_error(text: bytes) -> WireError | None:
    """Return the error of a text that is no JSON; it names the byte, which `cut` moves."""
    try:
        decode(_ANY, text, "the body")
    except WireError as error:
        return error
    return None


def _fields(value: object) -> int:
    """Return the number of fields that were given in an object and in all objects inside it."""
    if isinstance(value, list):
        return sum(map(_fields, value))
    if not isinstance(value, msgspec.Struct):
        return 0
    given = [getattr(value, name) for name in value.__struct_fields__]
    return sum(1 + _fields(each) for each in given if each is not UNSET)


def _malformed(error: WireError) -> Problem:
    return Problem(400, str(error), reason="malformed")


def groups(
    request: ScoreRequest, lists: list[bytes], by_block: ByBlock
) -> Iterator[tuple[NDArray[np.intp], Spectra]]:
    """Yield the spectra of each layout together, with their rows in the request.

    Parameters
    ----------
    request : ScoreRequest
    lists : list of bytes
        As `parse` returns them.
    by_block : callable
        `Scorer.by_block`, or the like; the lists of several spectra are read at the same time.

    Raises
    ------
    Problem
        400, naming field, value and remedy.
    """
    try:
        yield from _groups(request.spectra, lists, by_block)
    except WireError as error:
        raise _malformed(error) from error


def _groups(
    spectra: list[Spectrum], lists: list[bytes], by_block: ByBlock
) -> Iterator[tuple[NDArray[np.intp], Spectra]]:
    names = [f"spectra[{row}]" for row in range(len(spectra))]
    targetid, desi, bgs, mws = (_integers(spectra, names, field) for field in _INTEGERS)
    spectype = np.array([spectrum.spectype or "" for spectrum in spectra])
    z = np.array([_redshift(s, name) for s, name in zip(spectra, names, strict=True)])
    candidates = np.array(
        [_candidates(s, name, lists) for s, name in zip(spectra, names, strict=True)]
    )
    bands_of = [spectrum.bands(name) for spectrum, name in zip(spectra, names, strict=True)]
    layouts: dict[tuple[str, ...], list[int]] = {}
    for row, bands in enumerate(bands_of):
        layouts.setdefault(tuple(bands), []).append(row)

    status = np.where(repeated(targetid), np.int32(Status.DUPLICATE), np.int32(0))
    for layout, rows in layouts.items():
        index = np.array(rows, np.intp)
        bands = {
            band: _band(band, [(names[row], bands_of[row][band]) for row in rows], lists, by_block)
            for band in layout
        }
        found = Spectra(
            bands,
            z=z[index],
            targetid=targetid[index],
            status=status[index],
            spectype=spectype[index],
            desi_target=desi[index],
            bgs_target=bgs[index],
            mws_target=mws[index],
            z_candidates=candidates[index],
        )
        yield index, found


def _integers(spectra: list[Spectrum], names: list[str], field: str) -> NDArray[np.int64]:
    texts = [getattr(spectrum, field) for spectrum in spectra]
    return np.array(
        [
            _int64(text, f"{name}.{field}") if _is_given(text) else _INTEGERS[field]
            for name, text in zip(names, texts, strict=True)
        ],
        np.int64,
    )


def _int64(text: Raw, where: str) -> int:
    value = decode_value(_INTEGER, text, where)
    if isinstance(value, int) or re.fullmatch(_DECIMAL, value):
        number = int(value)
        if -_INT64 <= number < _INT64:
            return number
    raise WireError(
        f"{where} is {quote(text)}: expected a 64-bit integer, as a number or as a string of digits"
    )


def _redshift(spectrum: Spectrum, where: str) -> float:
    value = decode_value(_REDSHIFT, spectrum.z, f"{where}.z")
    return np.nan if value is None else value


def _candidates(spectrum: Spectrum, name: str, lists: list[bytes]) -> NDArray[np.float64]:
    row = np.full(CANDIDATES, np.nan)
    if _is_given(spectrum.z_candidates):
        where = f"{name}.z_candidates"
        text = _text(spectrum.z_candidates, lists, where)
        values = read_list(FLOATS, text, np.float64, where)
        if len(values) > CANDIDATES:
            raise WireError(f"{where} has {len(values)} values; give at most {CANDIDATES}")
        row[: len(values)] = values
    return row


def _band(name: str, rows: list[tuple[str, Pixels]], lists: list[bytes], by_block: ByBlock) -> Band:
    flux = np.zeros((len(rows), len(WAVE[name])), np.float32)
    ivar = np.zeros_like(flux)
    names = [f"{spectrum}." + (f"cameras.{name}." * (name != "brz")) for spectrum, _ in rows]

    # Most requests repeat the wavelengths for every spectrum.
    wavelength, columns = b"", slice(0, 0)
    columns_of: list[slice] = []
    for where, (_, pixels) in zip(names, rows, strict=True):
        text = _text(pixels.wavelength, lists, f"{where}wavelength")
        if text != wavelength:
            wavelength, columns = text, _columns(name, text, f"{where}wavelength")
        columns_of.append(columns)

    def read(block: slice) -> None:
        for i in range(*block.indices(len(rows))):
            place = i, columns_of[i]
            _fill(flux[place], ivar[place], rows[i][1], lists, names[i])

    by_block(read, len(rows))
    return Band(flux, ivar)


def _fill(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    pixels: Pixels,
    lists: list[bytes],
    where: str,
) -> None:
    """Read flux and ivar of the pixels; both are 0 in those that the mask marks."""
    length = len(flux)
    text = _text(pixels.flux, lists, f"{where}flux")
    flux[:] = _checked(read_floats(text, length, f"{where}flux"), f"{where}flux", length)
    text = _text(pixels.ivar, lists, f"{where}ivar")
    ivar[:] = _checked(read_floats(text, length, f"{where}ivar"), f"{where}ivar", length)

    if _is_given(pixels.mask):
        text = _text(pixels.mask, lists, f"{where}mask")
        values = read_list(INTEGERS, text, np.bool_, f"{where}mask")
        bad = _checked(values, f"{where}mask", length)
        flux[bad] = 0
        ivar[bad] = 0


def _text(field: Raw, lists: list[bytes], where: str) -> bytes:
    """Return the list of a field, or the field itself where it is no list, or an empty one."""
    text = bytes(field)
    place = _PLACE.fullmatch(text)
    if place is not None:
        return lists[int(place[1])]
    if text.startswith(b"[") and text != b"[]":
        raise WireError(f"{where} holds lists or objects; give a list of numbers")
    return text


def _checked(values: NDArray[Any], where: str, length: int) -> NDArray[Any]:
    if len(values) != length:
        raise WireError(
            f"{where} has {len(values)} values, wavelength has {length}; they must agree"
        )
    return values


def _columns(name: str, text: bytes, where: str) -> slice:
    """Return the part of a band's grid that a list of wavelengths is."""
    wave = read_list(FLOATS, text, np.float64, where)
    if not len(wave):
        raise WireError(f"{where} is empty; give the centre of each pixel")
    grid = WAVE[name]
    step = (wave[0] - grid[0]) / STEP
    first = round(step) if 0 <= step < len(grid) else 0
    part = grid[first : first + len(wave)]
    if len(part) == len(wave):
        off = np.flatnonzero(~(np.abs(wave - part) <= GRID_TOLERANCE))
    else:
        off = np.array([0])

    if len(off):
        pixel = int(off[0])
        raise WireError(
            f"{where}[{pixel}] is {float(wave[pixel])!r}, of {len(wave)}; expected "
            f"{grid[0]:.1f} to {grid[-1]:.1f} Å in steps of {STEP} Å, or a contiguous part of it"
        )
    return slice(first, first + len(wave))


def join(parts: list[tuple[NDArray[np.intp], Scores]]) -> Scores:
    """Return the scores of all groups in the order of the request."""
    order = np.argsort(np.concatenate([index for index, _ in parts]))
    return Scores.concatenate([scores for _, scores in parts])[order]
