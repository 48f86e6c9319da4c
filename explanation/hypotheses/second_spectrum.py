"""Second spectrum: the light of two objects at different redshifts in one fiber."""

import numpy as np
from numpy.typing import NDArray

from ..case import Case, Reconstructor
from .proposal import Proposal

_STEP = 4e-4
_SIZE = 8192
_SMOOTH = 320.0  # Å
_BEYOND = 0.1
"""The second object may lie beyond the model's range by this much."""
# The second object is at another redshift than the first.
_APART = 5e-3
_CANDIDATES = 3
# Of the flux, in the second spectrum, to begin with.
_SHARE = 0.3
_ROUNDS = 3
_LEAST_OVERLAP = 0.05
# The first spectrum, at the given redshift, has at least this share of the flux.
_LEAST_SHARE = 0.4


class SecondSpectrum:
    """The sum of two reconstructions, neither of them negative.

    Parameters
    ----------
    templates : (T, M) float32
        Reconstructions of some spectra of the training sample.
    wave : (M,) float64
    redshift_range : (float, float)
    """

    cause = "second_spectrum"

    def __init__(
        self,
        templates: NDArray[np.float32],
        wave: NDArray[np.float64],
        redshift_range: tuple[float, float],
    ) -> None:
        self._wave = wave
        self._log = np.arange(np.log(wave[0]), np.log(wave[-1]), _STEP)
        features = np.stack([_features(one, np.ones(len(wave)), wave) for one in templates])
        shapes = np.stack([np.interp(self._log, np.log(wave), one) for one in features])
        shapes /= np.linalg.norm(shapes, axis=1)[:, None]
        self._templates = np.conj(np.fft.rfft(shapes, _SIZE))
        self._squares = np.conj(np.fft.rfft(shapes**2, _SIZE))
        self._range = np.log1p(redshift_range[0]), np.log1p(redshift_range[1] + _BEYOND)

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit; None where no second redshift stands out, or there is no light to share."""
        light = float(case.flux.sum(dtype=np.float64))
        if not light > 0:
            return None
        shifts = self._candidates(case)
        if len(shifts) == 0:
            return None
        chi2, _ = self._both(case, reconstruct, shifts)
        finer = shifts[int(chi2.argmin())] + _STEP * np.linspace(-0.75, 0.75, 5)
        chi2, seconds = self._both(case, reconstruct, finer)
        best = int(chi2.argmin())
        if not np.isfinite(chi2[best]):
            return None

        second, shift = seconds[best], finer[best]
        z = float((1 + case.z) * np.exp(shift) - 1)
        share = float(second.sum() / light)
        return Proposal(
            self.cause,
            (case.flux - second).astype(np.float32),
            case.ivar,
            3,
            (case.window,),
            f"A second spectrum at z = {z:z.4f} gives {100 * share:.0f} % of the flux",
            case.z,
            case.window,
            z,
        )

    def _candidates(self, case: Case) -> NDArray[np.float64]:
        """Return the shifts in ln λ at which the residual looks most like a spectrum."""
        weight = case.ivar.astype(np.float64)
        residual = _features(case.flux - case.robust, weight, case.wave)
        grid = np.log(case.wave)
        weight = np.interp(self._log, grid, weight)
        signal = np.fft.rfft(weight * np.interp(self._log, grid, residual), _SIZE)
        product = np.fft.irfft(signal * self._templates, _SIZE)
        square = np.fft.irfft(np.fft.rfft(weight, _SIZE) * self._squares, _SIZE)
        gain = np.where(product > 0, product**2 / np.maximum(square, 1e-3 * square.max()), 0).max(
            axis=0
        )

        lags = np.fft.fftfreq(_SIZE, 1 / _SIZE) * _STEP
        own = np.log1p(case.z)
        low, high = self._range
        gain[(lags + own < low) | (lags + own > high) | (np.abs(lags) < _APART)] = 0
        shifts: list[float] = []
        for _ in range(_CANDIDATES):
            k = int(gain.argmax())
            if gain[k] <= 0:
                break
            shifts.append(float(lags[k]))
            gain[np.abs(lags - lags[k]) < _APART] = 0
        return np.array(shifts)

    def _both(
        self,
        case: Case,
        reconstruct: Reconstructor,
        shifts: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit sums of two spectra in turns, at K shifts in ln λ.

        Return χ² (K,), infinite where one of the two has no light, and the second spectra (K, M).
        """
        wave, rows = self._wave, range(len(shifts))
        others = wave * np.exp(shifts)[:, None]
        ivar = np.repeat(case.ivar[None], len(shifts), axis=0)
        weights = np.stack([np.interp(other, wave, case.ivar, 0, 0) for other in others])
        weights = weights.astype(np.float32)

        firsts = np.repeat((1 - _SHARE) * case.robust[None].astype(np.float64), len(shifts), axis=0)
        seconds = np.zeros(firsts.shape)
        chi2 = np.full(len(shifts), np.inf)
        possible = np.count_nonzero(weights, axis=1) > _LEAST_OVERLAP * len(wave)
        for _ in range(_ROUNDS):
            left = np.stack([np.interp(others[k], wave, case.flux - firsts[k]) for k in rows])
            possible &= (left * weights).sum(axis=1) > 0
            chosen = np.flatnonzero(possible)
            if len(chosen) == 0:
                break
            found = reconstruct(left[chosen].astype(np.float32), weights[chosen])
            for k, model in zip(chosen, found.model, strict=True):
                seconds[k] = np.interp(wave, others[k], np.maximum(model, 0))

            rest = (case.flux - seconds[chosen]).astype(np.float32)
            found = reconstruct(rest, ivar[chosen])
            firsts[chosen] = found.model
            chi2[chosen] = found.chi2
            possible[chosen] &= found.model.sum(axis=1) > _LEAST_SHARE * case.flux.sum()
        return np.where(possible, chi2, np.inf), seconds


def _features(
    flux: NDArray[np.floating], weight: NDArray[np.float64], wave: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return flux (M,) without its running mean."""
    kernel = np.ones(max(round(_SMOOTH / (wave[1] - wave[0])), 1))
    total = np.convolve(weight, kernel, "same")
    return flux - np.convolve(flux * weight, kernel, "same") / np.maximum(total, 1e-30)
