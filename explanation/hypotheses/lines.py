"""Lines at the redshift: narrow emission, broad emission, absorption."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..case import STELLAR, Case, Reconstructor
from ..lines import ABSORPTION, BALMER, EMISSION, LIGHT_SPEED, SpectralLine
from .line_fit import fit_lines, profiles
from .proposal import Proposal

_FWHM = 2.355
_LEAST_GAIN = 9.0
"""In χ², of a line that counts."""
_STRONG = 1000.0
"""Gain in χ² of a line whose profile a Gaussian does not match: its bins are left out."""
_EDGE = 3
"""Bins at either end in which no line is looked for."""


@dataclass(frozen=True, eq=False)
class _Fitted:
    """L lines that were found, the most significant first.

    Attributes
    ----------
    lines : list of SpectralLine
    light : (L, M) float64
        In the unit of the flux.
    gain : (L,) float64
        In χ².
    sigma : float
        km/s.
    """

    lines: list[SpectralLine]
    light: NDArray[np.float64]
    gain: NDArray[np.float64]
    sigma: float

    def places(self, z: float) -> tuple[tuple[float, float], ...]:
        """Return where the lines are, observed frame, Å."""
        half = 3 * self.sigma / LIGHT_SPEED
        return tuple(
            (one.wave * (1 - half) * (1 + z), one.wave * (1 + half) * (1 + z)) for one in self.lines
        )


class _Lines:
    """Lines of a list at the redshift, all with the best of several widths and shifts."""

    cause: ClassVar[str]
    lines: ClassVar[Sequence[SpectralLine]]
    widths: ClassVar[Sequence[float]]
    """σ, km/s."""
    shifts: ClassVar[Sequence[float]] = (0.0,)
    """From the redshift, km/s."""
    sign: ClassVar[int]
    winged: ClassVar[bool] = False
    name: ClassVar[str]

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit; None where no line is found."""
        if not self.applies(case):
            return None
        found = self._fitted(case, reconstruct)
        if found is None:
            return None

        left_out = np.zeros(len(case.wave), np.bool_)
        if not self.winged:
            strong = np.abs(found.light[found.gain > _STRONG])
            left_out = (strong > 0.02 * strong.max(axis=1, keepdims=True)).any(axis=0) & case.good

        named = ", ".join(one.name for one in found.lines[:4])
        return Proposal(
            self.cause,
            (case.flux - found.light.sum(axis=0)).astype(np.float32),
            np.where(left_out, np.float32(0), case.ivar),
            len(found.lines) + 1 + int(np.count_nonzero(left_out)),
            found.places(case.z),
            f"{self.name} at z = {case.z:z.4f} that the model does not expect: {named}; "
            f"FWHM {_FWHM * found.sigma:.0f} km/s{_equivalent_width(case, found)}",
            case.z,
            case.window,
            case.z,
        )

    def applies(self, case: Case) -> bool:
        """Return whether a spectrum may have such lines."""
        return True

    def _fitted(self, case: Case, reconstruct: Reconstructor) -> _Fitted | None:
        wave = case.wave
        inside = [one for one in self.lines if wave[_EDGE] < one.wave < wave[-_EDGE - 1]]
        if not inside:
            return None

        centres = np.array([one.wave for one in inside])
        tried = [(width, shift) for width in self.widths for shift in self.shifts]
        shapes = np.concatenate(
            [
                profiles(wave, centres * (1 + shift / LIGHT_SPEED), [width], self.winged)
                for width, shift in tried
            ]
        )
        heights, chi2 = fit_lines(case, reconstruct, shapes, self.sign)
        best = int(chi2.argmin())

        light = heights[best][:, None] * shapes[best]
        gain = (light**2) @ case.ivar
        order = [k for k in np.argsort(-gain) if gain[k] > _LEAST_GAIN]
        if not order:
            return None
        return _Fitted([inside[k] for k in order], light[order], gain[order], tried[best][0])


def _equivalent_width(case: Case, found: _Fitted) -> str:
    """Return the equivalent width of the strongest line, as part of a sentence."""
    level = float(np.interp(found.lines[0].wave, case.wave, case.robust))
    if level <= 0:
        return ""
    width = float(found.light[0].sum()) * case.step / level
    return f"; equivalent width {width:.0f} Å of {found.lines[0].name}"


class EmissionLine(_Lines):
    """Narrow emission lines."""

    cause = "emission_line"
    lines = EMISSION
    widths = (60.0, 140.0, 260.0)
    sign = 1
    name = "Narrow emission"


class BroadLine(_Lines):
    """Broad lines of hydrogen and helium."""

    cause = "broad_line"
    lines = BALMER
    widths = (450.0, 700.0, 1100.0, 1700.0, 2600.0)
    shifts = (-300.0, 0.0, 300.0)
    sign = 1
    winged = True
    name = "Broad emission"

    def applies(self, case: Case) -> bool:
        """Return whether it is no star."""
        return abs(case.z) >= STELLAR


class StellarEmission(BroadLine):
    """The broad lines of an accretion disc in our Galaxy, on a star that the model knows."""

    cause = "other_class"
    name = "A cataclysmic variable: broad emission"

    def applies(self, case: Case) -> bool:
        """Return whether it is a star."""
        return abs(case.z) < STELLAR


class Absorption(_Lines):
    """Absorption lines."""

    cause = "absorption"
    lines = ABSORPTION
    widths = (100.0, 250.0, 600.0)
    sign = -1
    name = "Absorption"
