"""Lines at the redshift: narrow emission, broad emission, absorption."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ..case import Case, Reconstructor
from ..lines import ABSORPTION, BALMER, EMISSION, Line
from .line_fit import LIGHT_SPEED, fit_lines, profiles
from .proposal import Proposal

_FWHM = 2.355
_STRONG = 1000.0
"""Gain in χ² of a line whose profile shows."""


class _Lines:
    """Gaussian lines of a list at the redshift, all with the best of several widths."""

    cause: ClassVar[str]
    lines: ClassVar[Sequence[Line]]
    widths: ClassVar[Sequence[float]]
    """σ, km/s."""
    sign: ClassVar[int]
    kind: ClassVar[str]
    winged: ClassVar[bool] = False

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit; None where no line is in the spectrum, or none has a height."""
        inside = [one for one in self.lines if case.wave[3] < one.wave < case.wave[-4]]
        if not inside:
            return None

        centres = [one.wave for one in inside]
        shapes = profiles(case.wave, centres, self.widths)
        if self.winged:
            shapes = np.concatenate([shapes, profiles(case.wave, centres, self.widths, True)])
        all_heights, chi2 = fit_lines(case, reconstruct, shapes, self.sign)
        best = int(chi2.argmin())
        heights, shapes = all_heights[best], shapes[best]
        sigma = self.widths[best % len(self.widths)]

        gain = heights**2 * ((shapes**2) @ case.ivar)
        kept = np.flatnonzero(gain > max(9.0, 0.01 * gain.max()))
        if len(kept) == 0:
            return None
        light = heights[kept] @ shapes[kept]
        # The profile of a line far above the noise is not known well enough: its bins are left out.
        strong = kept[gain[kept] > _STRONG]
        narrow = (shapes[strong] > 0.02).any(axis=0) & (not self.winged)
        return self._proposal(
            case, [inside[k] for k in kept], light, sigma, gain[kept], heights[kept], narrow
        )

    def _proposal(self, case, lines, light, sigma, gain, heights, left_out) -> Proposal:
        order = np.argsort(-gain)
        named = ", ".join(lines[k].name for k in order[:4])
        half = [3 * max(one.wave * sigma / LIGHT_SPEED, 4.0) for one in lines]
        places = [
            ((one.wave - h) * (1 + case.z), (one.wave + h) * (1 + case.z))
            for one, h in zip(lines, half, strict=True)
        ]
        strongest = lines[order[0]]
        level = np.interp(strongest.wave, case.wave, case.robust)
        area = (
            abs(heights[order[0]])
            * np.sqrt(2 * np.pi)
            * np.hypot(
                strongest.wave * sigma / LIGHT_SPEED, (case.wave[1] - case.wave[0]) / np.sqrt(6)
            )
        )
        width = f"; equivalent width of {strongest.name} {area / level:.0f} Å" if level > 0 else ""
        return Proposal(
            self.cause,
            (case.flux - light).astype(np.float32),
            np.where(left_out, np.float32(0), case.ivar),
            len(lines) + 1 + int(np.count_nonzero(left_out & case.good)),
            tuple(places[k] for k in order),
            f"{self.kind} at z = {case.z:.4f} beyond the model: {named} "
            f"(FWHM {_FWHM * sigma:.0f} km/s{width})",
            case.z,
            case.z,
        )


class EmissionLine(_Lines):
    """Narrow emission lines."""

    cause = "emission_line"
    lines = EMISSION
    widths = (60.0, 140.0, 260.0)
    sign = 1
    kind = "Narrow emission"


class BroadLine(_Lines):
    """Broad Balmer lines."""

    cause = "broad_line"
    lines = BALMER
    widths = (450.0, 700.0, 1000.0, 1500.0, 2200.0, 3200.0)
    sign = 1
    kind = "Broad emission"
    winged = True


class Absorption(_Lines):
    """Absorption lines."""

    cause = "absorption"
    lines = ABSORPTION
    widths = (100.0, 250.0, 600.0)
    sign = -1
    kind = "Absorption"
