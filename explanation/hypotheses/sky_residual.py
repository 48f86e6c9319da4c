"""Sky residual: the sky is not subtracted well at its lines, or over a stretch of wavelengths."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..case import Case, Reconstructor
from .proposal import Proposal

# Sky lines leave narrower residuals, and the faults of a whole camera wider ones, rest frame, Å.
_WIDTHS = np.geomspace(20.0, 250.0, 12)
_WIDEST = 320.0
_ROUNDS = 2
_WING = 1.0
# The residual is spread over the stretch: this share of its bins would hold all of it.
_LEAST_SPREAD = 0.35
# In units of the continuum: the sky itself is no brighter than a few times a target.
_HIGHEST = 3.0


class SkyResidual:
    """A stretch of wavelengths with the wrong sky, left out of the spectrum."""

    cause = "sky_residual"

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit; None where no stretch stands out."""
        widths = np.unique(np.maximum(np.round(_WIDTHS / case.step), 1).astype(np.int64))
        model = case.robust.astype(np.float64)
        weight = np.sqrt(case.ivar.astype(np.float64))
        first, end = 0, 0
        ivar = case.ivar
        for _ in range(_ROUNDS):
            residual = (case.flux - model) * weight
            first, end = _stretch(residual, case.good, widths)
            if end == first:
                return None
            ivar = case.ivar.copy()
            ivar[first:end] = 0
            if not ivar.any():
                return None
            model = reconstruct(case.flux[None], ivar[None]).model[0].astype(np.float64)

        observed = case.observed
        inside = case.good[first:end]
        if not inside.any():
            return None
        residual = (case.flux[first:end] - model[first:end])[inside]
        spread = residual.sum() ** 2 / np.maximum((residual**2).sum(), 1e-30) / len(residual)
        if spread < _LEAST_SPREAD or (end - first) * case.step > _WIDEST:
            return None
        level = float(np.mean(np.abs(model[first:end])))
        if abs(residual.mean()) > _HIGHEST * level:
            return None
        share = (
            f" by {100 * abs(residual.mean()) / level:.0f} % of the continuum" if level > 0 else ""
        )
        above = residual.mean() > 0
        return Proposal(
            self.cause,
            case.flux,
            ivar,
            int(np.count_nonzero(inside)),
            ((float(observed[first]), float(observed[end - 1])),),
            f"The flux is too {'high' if above else 'low'}{share} from {observed[first]:.0f} to "
            f"{observed[end - 1]:.0f} Å: the sky is not subtracted well there",
            case.z,
            case.window,
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _stretch(
    residual: NDArray[np.float64], good: NDArray[np.bool_], widths: NDArray[np.int64]
) -> tuple[int, int]:
    """Return first bin and end of the window with the most significant mean residual.

    It is widened over the bins beside it that lie on the same side.
    """
    bins = len(residual)
    total = np.zeros(bins + 1)
    count = np.zeros(bins + 1)
    for j in range(bins):
        total[j + 1] = total[j] + (residual[j] if good[j] else 0.0)
        count[j + 1] = count[j] + good[j]

    largest, first, end = 0.0, 0, 0
    for width in widths:
        for j in range(bins - width + 1):
            window = total[j + width] - total[j]
            square = window * window / max(count[j + width] - count[j], 1.0)
            if square > largest:
                largest, first, end = square, j, j + width
    sign = 1.0 if total[end] > total[first] else -1.0

    while first > 0 and (not good[first - 1] or sign * residual[first - 1] > _WING):
        first -= 1
    while end < bins and (not good[end] or sign * residual[end] > _WING):
        end += 1
    return first, end
