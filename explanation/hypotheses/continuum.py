"""Continuum: dust or throughput, a smooth factor over the whole spectrum."""

import numpy as np

from ..case import Case, Reconstructor
from .proposal import Proposal

_SLOPES = np.linspace(-1.8, 1.8, 13)
_CURVES = np.linspace(-0.6, 0.6, 5)
# Of a finer grid, as a share of the coarser one.
_FINER = (0.25, 0.08)


class Continuum:
    """The exponential of a parabola in ln wavelength times what the model can reconstruct.

    The model follows a colour half-way, so the parabola is not fitted in turns with it: of a grid
    of slopes and curvatures, that which leaves the least χ² is taken.
    """

    cause = "continuum"

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit; None where the model gives no number."""
        x = np.log(case.wave)
        x = 2 * (x - x[0]) / (x[-1] - x[0]) - 1
        grid = np.stack(np.meshgrid(_SLOPES, _CURVES), axis=-1).reshape(-1, 2)
        shapes = np.stack([x, x**2 - 1 / 3])

        best = np.zeros(2)
        for scale in (1.0, *_FINER):
            tried = best + scale * grid
            factor = np.exp(tried @ shapes)
            found = reconstruct(
                (case.flux / factor).astype(np.float32),
                (case.ivar * factor**2).astype(np.float32),
            )
            if not np.isfinite(found.chi2).any():
                return None
            best = tried[int(np.nanargmin(found.chi2))]

        factor = np.exp(best @ shapes)
        colour, ends = "redder" if factor[-1] > factor[0] else "bluer", factor[-1] / factor[0]
        return Proposal(
            self.cause,
            (case.flux / factor).astype(np.float32),
            (case.ivar * factor**2).astype(np.float32),
            2,
            (case.window,),
            f"The continuum is {colour} than the model allows, by a factor of "
            f"{max(ends, 1 / ends):.2f} from end to end: dust or throughput",
            case.z,
            case.window,
        )
