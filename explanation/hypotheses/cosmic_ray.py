"""Cosmic ray: few neighbouring pixels far above the model, narrower than any line can be."""

import numpy as np
from numpy.typing import NDArray

from ..case import OBSERVED, Case, Reconstructor
from ..rest_frame import resample_at
from .proposal import Proposal

_LEAST_SIGMAS = 8.0
_MOST_SPIKES = 8
# The instrument's resolution spreads a line: at one pixel from its peak it has half of its height.
_SHARE_BESIDE = 0.35
_WIDEST = 3


class CosmicRay:
    """Up to eight spikes of one to three pixels, left out of the spectrum."""

    cause = "cosmic_ray"

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Find the spikes; None where there are none."""
        model = np.interp(OBSERVED, case.observed, case.robust * case.norm)
        first, last = case.window
        inside = (first < OBSERVED) & (last > OBSERVED)
        difference = np.where(inside & (case.pixel_ivar > 0), case.pixel_flux - model, 0.0)
        sigmas = difference * np.sqrt(case.pixel_ivar)
        spikes = _spikes(difference, sigmas)
        if not spikes:
            return None

        ivar = case.pixel_ivar.copy()
        flux = case.pixel_flux.copy()
        for begin, end in spikes:
            ivar[begin:end] = 0
            flux[begin:end] = model[begin:end]
        rest_flux, rest_ivar = resample_at(flux, ivar, np.array([case.z]), case.edges)

        norm = np.float32(case.norm)
        places = tuple((float(OBSERVED[a]), float(OBSERVED[b - 1])) for a, b in spikes)
        tallest = [sigmas[a:b].max() for a, b in spikes]
        named = ", ".join(
            f"{OBSERVED[a]:.1f} Å ({height:.0f} σ)"
            for (a, _), height in sorted(zip(spikes, tallest, strict=True), key=lambda p: -p[1])[:3]
        )
        return Proposal(
            self.cause,
            rest_flux[0] / norm,
            rest_ivar[0] * norm**2,
            sum(b - a for a, b in spikes),
            places,
            f"{len(spikes)} spike{'s' * (len(spikes) > 1)} narrower than the instrument's "
            f"resolution: {named}",
            case.z,
            case.window,
        )


def _spikes(difference: NDArray[np.float64], sigmas: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the first and end pixels of the spikes, the highest first."""
    spikes: list[tuple[int, int]] = []
    left = sigmas.copy()
    while len(spikes) < _MOST_SPIKES:
        peak = int(left.argmax())
        if left[peak] < _LEAST_SIGMAS:
            break

        first, end = peak, peak + 1
        height = difference[peak]
        while first > 0 and difference[first - 1] > _SHARE_BESIDE * height and end - first < 5:
            first -= 1
        while end < len(left) and difference[end] > _SHARE_BESIDE * height and end - first < 5:
            end += 1
        if end - first <= _WIDEST:
            spikes.append((first, end))
        left[max(first - 1, 0) : end + 1] = 0
    return spikes
