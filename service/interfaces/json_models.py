"""JSON models: spectra as JSON, and their conversion to `Spectra`.

Numbers are strict: no strings, no booleans, no NaN or Infinity, no unknown fields. ``null`` in
flux, ivar or z is a missing value: it becomes NaN, which sets a status bit, as NaN in a binary
tensor does.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from outcrop import Band, Scores, Spectra, Status
from outcrop.spectra import CAMERAS, STEP, WAVE, repeated

from ..http.errors import Problem

GRID_TOLERANCE = 1e-4  # Å
_INT64 = 2**63
_DECIMAL = r"^-?[0-9]{1,19}$"
_SHOWN = 3  # errors named in one response


def _targetid(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(_DECIMAL, value):
        value = int(value)
    if type(value) is not int or not -_INT64 <= value < _INT64:
        raise ValueError("expected a 64-bit integer, as a number or as a string of digits")
    return value


TargetId = Annotated[
    int,
    BeforeValidator(_targetid),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": -_INT64, "maximum": _INT64 - 1},
                {"type": "string", "pattern": _DECIMAL},
            ]
        }
    ),
]
# fail_fast: a body of wrong values is rejected at the first one, not after collecting millions.
Numbers = Annotated[list[float], Field(fail_fast=True, min_length=1)]
Values = Annotated[list[float | None], Field(fail_fast=True)]
Bits = Annotated[list[int], Field(fail_fast=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _same_length(length: int, **lists: list[Any] | None) -> None:
    for name, values in lists.items():
        if values is not None and len(values) != length:
            raise ValueError(
                f"{name} has {len(values)} values, wavelength has {length}; they must agree"
            )


class Pixels(_Strict):
    """Flux of one spectrum on DESI's grid, or on a contiguous part of it."""

    wavelength: Numbers = Field(
        description="Pixel centres, observed frame, vacuum Å; within 1e-4 Å of DESI's"
    )
    flux: Values = Field(description="1e-17 erg / (s cm2 Å); null where missing")
    ivar: Values = Field(description="Inverse variance of flux; 0 or null where there is none")
    mask: Bits | None = Field(default=None, description="DESI mask; all but 0 mark bad pixels")

    @model_validator(mode="after")
    def _check(self) -> "Pixels":
        _same_length(len(self.wavelength), flux=self.flux, ivar=self.ivar, mask=self.mask)
        return self


class Cameras(_Strict):
    """Flux of one spectrum by camera; at least one."""

    b: Pixels | None = Field(default=None, description="3600-5800 Å, 2751 pixels")
    r: Pixels | None = Field(default=None, description="5760-7620 Å, 2326 pixels")
    z: Pixels | None = Field(default=None, description="7520-9824 Å, 2881 pixels")

    @model_validator(mode="after")
    def _not_empty(self) -> "Cameras":
        if self.b is None and self.r is None and self.z is None:
            raise ValueError("no camera is given; give at least one of b, r, z")
        return self


class Spectrum(_Strict):
    """One spectrum: either wavelength, flux, ivar and mask, or cameras."""

    targetid: TargetId = Field(default=0, description="Echoed, as a string")
    z: float | None = Field(description="Redshift; null where unknown")
    wavelength: Numbers | None = None
    flux: Values | None = None
    ivar: Values | None = None
    mask: Bits | None = None
    cameras: Cameras | None = None

    @model_validator(mode="after")
    def _one_layout(self) -> "Spectrum":
        whole = {"wavelength": self.wavelength, "flux": self.flux, "ivar": self.ivar}
        if self.cameras is not None:
            given = [k for k, v in (*whole.items(), ("mask", self.mask)) if v is not None]
            if given:
                raise ValueError(f"cameras and {given[0]} are given; give one or the other")
            return self
        if self.wavelength is None or self.flux is None or self.ivar is None:
            missing = next(name for name, values in whole.items() if values is None)
            raise ValueError(f"{missing} is missing; give wavelength, flux and ivar, or cameras")
        _same_length(len(self.wavelength), flux=self.flux, ivar=self.ivar, mask=self.mask)
        return self

    def bands(self) -> dict[str, Pixels]:
        """Return the pixels by band, in the order of the bands."""
        if self.cameras is None:
            # model_construct, because these fields have been validated.
            return {
                "brz": Pixels.model_construct(
                    wavelength=self.wavelength, flux=self.flux, ivar=self.ivar, mask=self.mask
                )
            }
        found = ((name, getattr(self.cameras, name)) for name in CAMERAS)
        return {name: pixels for name, pixels in found if pixels is not None}


class ScoreRequest(_Strict):
    """The body of `POST /score`."""

    spectra: list[Spectrum] = Field(min_length=1, fail_fast=True)
    reconstruction: bool = Field(
        default=True, description="Whether to return reconstruction, rest_flux and rest_ivar"
    )


def parse(body: memoryview) -> ScoreRequest:
    """Read the body of `POST /score`.

    Raises
    ------
    Problem
        400, naming field, value and remedy.
    """
    try:
        return ScoreRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        messages = [_message(e["loc"], e["type"], e["input"], e["msg"]) for e in found[:_SHOWN]]
        if len(found) > _SHOWN:
            messages.append(f"and {len(found) - _SHOWN} more")
        raise Problem(400, "; ".join(messages), reason="malformed") from error


def _message(location: tuple[int | str, ...], kind: str, value: object, message: str) -> str:
    name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    message = message.removeprefix("Value error, ")
    if kind == "json_invalid":
        return f"the body is not JSON: {message}"
    if kind == "missing" or isinstance(value, dict | list | BaseModel):
        return f"{name or 'the body'}: {message}"
    return f"{name or 'the body'} is {json.dumps(value)[:60]}: {message}"


def groups(request: ScoreRequest) -> Iterator[tuple[NDArray[np.intp], Spectra]]:
    """Yield the spectra of each layout together, with their rows in the request.

    Raises
    ------
    Problem
        400 for wavelengths that are not DESI's.
    """
    layouts: dict[tuple[str, ...], list[int]] = {}
    bands_of = [spectrum.bands() for spectrum in request.spectra]
    for row, bands in enumerate(bands_of):
        layouts.setdefault(tuple(bands), []).append(row)

    targetid = np.array([spectrum.targetid for spectrum in request.spectra], np.int64)
    z = np.array([spectrum.z for spectrum in request.spectra], np.float64)
    status = np.where(repeated(targetid), np.int32(Status.DUPLICATE), np.int32(0))
    for layout, rows in layouts.items():
        index = np.array(rows, np.intp)
        bands = {name: _band(name, [(row, bands_of[row][name]) for row in rows]) for name in layout}
        yield index, Spectra(bands, z=z[index], targetid=targetid[index], status=status[index])


def _band(name: str, rows: list[tuple[int, Pixels]]) -> Band:
    flux = np.zeros((len(rows), len(WAVE[name])), np.float32)
    ivar = np.zeros_like(flux)
    # Numbers beyond float32 become infinite, which makes a bad pixel.
    with np.errstate(over="ignore"):
        for i, (row, pixels) in enumerate(rows):
            columns = _columns(name, row, pixels.wavelength)
            flux[i, columns] = pixels.flux
            ivar[i, columns] = pixels.ivar
            if pixels.mask is not None:
                bad = np.array(pixels.mask, object).astype(np.bool_)
                flux[i, columns][bad] = 0
                ivar[i, columns][bad] = 0
    return Band(flux, ivar)


def _columns(name: str, row: int, wavelength: list[float]) -> slice:
    """Return the part of a band's grid that these wavelengths are; row names the spectrum."""
    wave = np.array(wavelength, np.float64)
    grid = WAVE[name]
    step = (wave[0] - grid[0]) / STEP
    first = round(step) if 0 <= step < len(grid) else 0
    part = grid[first : first + len(wave)]
    if len(part) == len(wave):
        off = np.flatnonzero(~(np.abs(wave - part) <= GRID_TOLERANCE))
    else:
        off = np.array([0])

    if len(off):
        field = "wavelength" if name == "brz" else f"cameras.{name}.wavelength"
        pixel = int(off[0])
        raise Problem(
            400,
            f"spectra[{row}].{field}[{pixel}] is {wavelength[pixel]!r}, of {len(wave)}; expected "
            f"{grid[0]:.1f} to {grid[-1]:.1f} Å in steps of {STEP} Å, or a contiguous part of it",
            reason="malformed",
        )
    return slice(first, first + len(wave))


def join(parts: list[tuple[NDArray[np.intp], Scores]]) -> Scores:
    """Return the scores of all groups in the order of the request."""
    order = np.argsort(np.concatenate([index for index, _ in parts]))
    return Scores.concatenate([scores for _, scores in parts])[order]
