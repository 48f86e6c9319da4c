"""Sky lines: the residual that the subtraction of the sky's emission lines leaves."""

import numpy as np
from numpy.typing import NDArray

from ..case import Case, Reconstructor
from ..sky_lines import sky_lines
from .proposal import Proposal

_ROUNDS = 3
# σ of a line as the instrument shows it, observed Å.
_WIDTH = 0.8
# A camera's lines have an amplitude if it is this significant.
_LEAST_SIGNIFICANCE = 4.0


class SkyLines:
    """The brightness of the sky's lines times an amplitude for each camera, of either sign."""

    cause = "sky_residual"

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit in turns with the reconstruction; None where no camera has such a residual."""
        cameras = {name: case.camera(name) & case.good for name in ("b", "r", "z")}
        lines = _line_light(case)
        weight = case.ivar.astype(np.float64)

        model = case.robust.astype(np.float64)
        left, signs = np.zeros(len(lines)), dict[str, bool]()
        for _ in range(_ROUNDS):
            residual = case.flux - model
            left, signs = np.zeros(len(lines)), {}
            for name, bins in cameras.items():
                square = float(np.sum(weight[bins] * lines[bins] ** 2))
                product = float(np.sum(weight[bins] * lines[bins] * residual[bins]))
                if square > 0 and abs(product) > _LEAST_SIGNIFICANCE * np.sqrt(square):
                    left[bins] = product / square * lines[bins]
                    signs[name] = product > 0
            found = reconstruct((case.flux - left)[None].astype(np.float32), case.ivar[None])
            model = found.model[0].astype(np.float64)
        if not signs:
            return None

        named = " and ".join(
            f"{'too little' if positive else 'too much'} in camera {name}"
            for name, positive in signs.items()
        )
        places = [case.observed[cameras[name]] for name in signs]
        return Proposal(
            self.cause,
            (case.flux - left).astype(np.float32),
            case.ivar,
            len(signs),
            tuple((float(one[0]), float(one[-1])) for one in places),
            f"The residual has the emission lines of the sky: they are subtracted {named}",
            case.z,
            case.window,
        )


def _line_light(case: Case) -> NDArray[np.float64]:
    """Return the light of the sky's lines in each bin (M,), in the sky between the lines."""
    wave, brightness = sky_lines()
    observed = case.observed
    width = np.hypot(_WIDTH, case.step * (1 + case.z) / np.sqrt(12))
    light = np.zeros(len(observed))
    for line, bright in zip(wave, brightness, strict=True):
        first, end = np.searchsorted(observed, [line - 4 * width, line + 4 * width])
        light[first:end] += bright * np.exp(-0.5 * ((observed[first:end] - line) / width) ** 2)
    return light
