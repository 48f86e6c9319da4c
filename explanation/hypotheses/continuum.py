"""Continuum: dust or throughput, a smooth factor over the whole spectrum."""

import numpy as np

from ..case import Case, Reconstructor
from .proposal import Proposal

_DEGREE = 3
_ROUNDS = 5
_LARGEST = 3.0


class Continuum:
    """A polynomial of third degree in wavelength times what the model can reconstruct."""

    cause = "continuum"

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit in turns: the polynomial to the reconstruction, the reconstruction to the rest.

        None where the model gives no number.
        """
        x = np.linspace(-1, 1, len(case.wave))
        basis = np.polynomial.legendre.legvander(x, _DEGREE)
        weight = np.sqrt(case.ivar.astype(np.float64))
        model = case.robust.astype(np.float64)

        factor = np.ones(len(x))
        for _ in range(_ROUNDS):
            coefficients, *_ = np.linalg.lstsq(
                basis * (model * weight)[:, None], case.flux * weight, rcond=None
            )
            factor = np.clip(basis @ coefficients, 1 / _LARGEST, _LARGEST)
            found = reconstruct(
                (case.flux / factor)[None].astype(np.float32),
                (case.ivar * factor**2)[None].astype(np.float32),
            )
            model = found.model[0].astype(np.float64)
            if not np.isfinite(model).all():
                return None

        red = factor[-1] > factor[0]
        share = abs(float(factor[-1] / factor[0]) - 1)
        return Proposal(
            self.cause,
            (case.flux / factor).astype(np.float32),
            (case.ivar * factor**2).astype(np.float32),
            _DEGREE,
            (case.window,),
            f"The continuum is {'redder' if red else 'bluer'} than the model allows, by "
            f"{100 * share:.0f} % from end to end: dust or throughput",
            case.z,
            case.window,
        )
