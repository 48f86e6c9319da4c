"""Camera calibration: the flux of one camera is off by a factor."""

import numpy as np
from numpy.typing import NDArray

from outcrop.spectra import CAMERAS

from ..case import Case, Reconstructor
from .proposal import Proposal

_FACTORS = np.exp(np.linspace(-0.7, 0.7, 15))
_FINER = (np.exp(np.linspace(-0.08, 0.08, 9)), np.exp(np.linspace(-0.015, 0.015, 7)))
# A camera with good bins in a smaller share of all bins has no factor of its own.
_LEAST_SHARE = 0.03


class CameraCalibration:
    """A factor for one of the cameras; the factor 1 + a with the least χ² of all."""

    cause = "camera_calibration"

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit; None where only one camera has data."""
        cameras = {name: case.camera(name) for name in CAMERAS}
        cameras = {
            name: bins
            for name, bins in cameras.items()
            if np.count_nonzero(bins & case.good) >= _LEAST_SHARE * len(bins)
        }
        if len(cameras) < 2:
            return None

        tried = [(name, factor) for name in cameras for factor in _FACTORS]
        name, best = _best(case, reconstruct, cameras, tried)
        for finer in _FINER:
            name, best = _best(case, reconstruct, cameras, [(name, best * one) for one in finer])

        flux, ivar = _divided(case, cameras[name], best)
        observed = case.observed[cameras[name] & case.good]
        percent, side = abs(100 * (best - 1)), "high" if best > 1 else "low"
        return Proposal(
            self.cause,
            flux,
            ivar,
            1,
            ((float(observed[0]), float(observed[-1])),),
            f"The flux of camera {name} is {percent:.0f} % too {side} against the other cameras "
            f"({observed[0]:.0f}-{observed[-1]:.0f} Å)",
            case.z,
            case.window,
        )


def _divided(
    case: Case, bins: NDArray[np.bool_], factor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    flux, ivar = case.flux.copy(), case.ivar.copy()
    flux[bins] /= np.float32(factor)
    ivar[bins] *= np.float32(factor**2)
    return flux, ivar


def _best(
    case: Case,
    reconstruct: Reconstructor,
    cameras: dict[str, NDArray[np.bool_]],
    tried: list[tuple[str, float]],
) -> tuple[str, float]:
    """Return the camera and factor, of those tried, that leave the least χ²."""
    pairs = [_divided(case, cameras[name], factor) for name, factor in tried]
    found = reconstruct(np.stack([one for one, _ in pairs]), np.stack([two for _, two in pairs]))
    return tried[int(found.chi2.argmin())]
