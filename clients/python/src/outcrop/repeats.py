"""Repeats: in which of the single exposures a segment is.

A line of the sky's objects is in every exposure; a cosmic ray, or a fault of one readout, is in one
of them. Single exposures are not scored: their S/N lies outside of what a model is calibrated for.
Instead the shape that the segment has in the coadd is fitted to each of them,

    flux of the exposure = c × (coadd without the segment + A × what the segment adds to it),

where the coadd without the segment is the coadd itself on either side, and between them the line
that joins the medians of both sides. c is the calibration of the exposure, 1 where the coadd is too
faint beside the segment to measure it. The noise of the
shape is independent of how far an exposure is from the coadd, so that A has the same expectation
in all exposures where the segment is in all of them.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .explanations import Explanation, Explanations, Repeats, Segment
from .exposures import Exposures, find_exposures, read_exposures
from .spectra import WAVE, Band, Spectra

_Floats = NDArray[np.float64]

PAD: Final = 2.0
"""Å that are added on either side of a segment: half a bin."""
NEIGHBOURHOOD: Final = 60.0
"""Å at least on either side of a segment; more where it is wider."""
CALIBRATION: Final = 0.1
"""Amplitudes that differ by so little are equal: seeing, focus and calibration change."""
UNEQUAL: Final = 1e-3
"""p-value of equal amplitudes, below which they are not."""
ENOUGH: Final = 5.0
"""Significance of the shape in all exposures together, below which they are not compared."""
MEASURED: Final = 10.0
"""Significance of the coadd beside a segment, from which on an exposure's calibration is known."""
ABSENT: Final = 3.0
"""σ from zero up to which a segment is absent; so it is up to a fifth of where it is present."""
_FAINT: Final = 0.2
_SMOOTHED: Final = 8  # a shape has so many independent parts
_FEWEST: Final = 10  # pixels of a side
_LARGEST_FLUX: Final = 1e30  # that is scored


def with_repeats(
    explanations: Explanations, spectra: Spectra, coadd: str | os.PathLike[str]
) -> Explanations:
    """Say of each segment in which exposures it is, where there are exposures.

    Parameters
    ----------
    explanations : Explanations
    spectra : Spectra
        That are explained, row by row.
    coadd : path
        Of the spectra; beside it lies ``spectra-*.fits``, or there is nothing to say.

    Returns
    -------
    Explanations
        With `Segment.repeats`; the same as were given where there are no exposures.

    Raises
    ------
    InputError
        Where the exposures cannot be read.
    """
    path = find_exposures(Path(coadd))
    rows = [row for row, one in enumerate(explanations) if one.segments]
    if path is None or not rows:
        return explanations

    exposures = read_exposures(path, spectra.targetid[rows])
    every = list(explanations.rows)
    for row in rows:
        own = exposures[exposures.targetid == spectra.targetid[row]]
        every[row] = _with_repeats(every[row], spectra[row], own)
    return Explanations(explanations.model, tuple(every))


def _with_repeats(explanation: Explanation, coadd: Spectra, exposures: Exposures) -> Explanation:
    segments = tuple(
        replace(segment, repeats=repeats_of(segment, coadd, exposures))
        for segment in explanation.segments
    )
    return replace(explanation, segments=segments)


def repeats_of(segment: Segment, coadd: Spectra, exposures: Exposures) -> Repeats:
    """Say in which exposures a segment is.

    Parameters
    ----------
    segment : Segment
    coadd : Spectra
        One.
    exposures : Exposures
        Of the same target, in the order of time.
    """
    pixels = _Pixels.of(segment, coadd, exposures)
    fits = [pixels.amplitude(number) for number in range(len(exposures))]
    seen = np.array([math.isfinite(error) for _, error in fits], np.bool_)
    amplitude, error = np.array(fits, np.float64).reshape(-1, 2)[seen].T
    expid, night = exposures.expid[seen], exposures.night[seen]

    amplitudes = tuple(zip(expid.tolist(), amplitude.tolist(), error.tolist(), strict=True))
    if len(amplitude) < 2:
        many = "there is no usable exposure" if not len(amplitude) else "there is one exposure"
        sentence = f"{many}: whether it repeats is unknown"
        return Repeats("unknown", amplitudes, math.nan, math.nan, -1, -1, sentence)

    enough = math.sqrt(float((1 / error**2).sum())) >= ENOUGH
    return _compared(amplitudes, night, enough)


def _compared(
    amplitudes: tuple[tuple[int, float, float], ...], night: NDArray[np.int64], enough: bool
) -> Repeats:
    """Compare the amplitudes of two exposures or more."""
    expid, amplitude, error = (np.array(each) for each in zip(*amplitudes, strict=True))
    error = np.hypot(error, CALIBRATION)
    mean, _ = _mean(amplitude, error)
    p_value = chi2_tail(float((((amplitude - mean) / error) ** 2).sum()), len(expid) - 1)
    apart = [_significance(amplitude, error, expid == one) for one in expid]
    most = int(np.argmax(apart))

    verdict, only, sentence = "all exposures", (-1, -1), ""
    if not enough:
        verdict = "unknown"
        sentence = f"too little signal to compare {len(expid)} exposures"
    elif p_value >= UNEQUAL:
        sentence = f"in all {len(expid)} exposures alike (p = {p_value:.2g})"
    elif _alone(amplitude, error, expid == expid[most]):
        verdict, only = "one exposure", (int(expid[most]), int(night[most]))
        sentence = (
            f"only in exposure {expid[most]} of {len(expid)}, {apart[most]:.1f} σ above the "
            "others: a cosmic ray, the instrument or a transient"
        )
    elif alone := [one for one in np.unique(night) if _alone(amplitude, error, night == one)]:
        verdict, only = "one night", (-1, int(alone[0]))
        sentence = f"only in the exposures of night {alone[0]}: the instrument or a transient"
    else:
        verdict = "fading" if _fades(amplitude, error) else "varying"
        listed = ", ".join(f"{one:.2f} in {number}" for number, one, _ in amplitudes)
        begins = "fades from exposure to exposure" if verdict == "fading" else "varies"
        sentence = f"{begins}: its amplitude is {listed} (p = {p_value:.1e} that they are equal)"
    return Repeats(verdict, amplitudes, p_value, apart[most], *only, sentence)


def _mean(amplitude: _Floats, error: _Floats) -> tuple[float, float]:
    """Return the weighted mean and its error."""
    weight = 1 / error**2
    return float((weight * amplitude).sum() / weight.sum()), float(weight.sum() ** -0.5)


def _significance(amplitude: _Floats, error: _Floats, where: NDArray[np.bool_]) -> float:
    """Return how far the mean of some exposures is above that of the others, in σ."""
    these, of_these = _mean(amplitude[where], error[where])
    others, of_others = _mean(amplitude[~where], error[~where])
    return (these - others) / math.hypot(of_these, of_others)


def _alone(amplitude: _Floats, error: _Floats, where: NDArray[np.bool_]) -> bool:
    """Return whether a segment is in these exposures and absent in the others."""
    if where.all():
        return False
    these, of_these = _mean(amplitude[where], error[where])
    others, of_others = _mean(amplitude[~where], error[~where])
    absent = abs(others) < max(ABSENT * of_others, _FAINT * these)
    return absent and these > ABSENT * of_these


def _fades(amplitude: _Floats, error: _Floats) -> bool:
    """Return whether no exposure has significantly more than an earlier one."""
    more = amplitude - amplitude[:, None]  # of the column over the row
    later = np.triu(np.ones(more.shape, np.bool_), 1)
    return bool((more[later] < ABSENT * np.hypot(error, error[:, None])[later]).all())


@dataclass(frozen=True, eq=False)
class _Pixels:
    """The P pixels of a segment and of its neighbourhood.

    Attributes
    ----------
    without, shape : (P,) float64
        The coadd without the segment, and what the segment adds to it.
    flux, ivar : (M, P) float64
        Of the exposures.
    """

    without: _Floats
    shape: _Floats
    flux: _Floats
    ivar: _Floats

    @staticmethod
    def of(segment: Segment, coadd: Spectra, exposures: Exposures) -> "_Pixels":
        first, last = segment.observed[0] - PAD, segment.observed[1] + PAD
        reach = max(NEIGHBOURHOOD, last - first)
        bands = [name for name in coadd.bands if name in exposures.bands]
        wave = np.concatenate([np.zeros(0), *(WAVE[name] for name in bands)])
        (flux,), (ivar,) = _joined([coadd.bands[name] for name in bands], 1)

        # Neighbouring in wavelength, good in the coadd
        near = np.flatnonzero((wave >= first - reach) & (wave <= last + reach) & (ivar > 0))
        near = near[np.argsort(wave[near], kind="stable")]
        wave, flux, ivar = wave[near], flux[near], ivar[near]
        inside = (wave >= first) & (wave <= last)
        sides = [side for side in (wave < first, wave > last) if side.sum() >= _FEWEST]

        without, shape = np.where(inside, 0.0, flux), np.zeros(len(wave))
        if sides:
            middles = [float(wave[side].mean()) for side in sides]
            medians = [float(np.median(flux[side])) for side in sides]
            without[inside] = np.interp(wave[inside], middles, medians)
        shape[inside] = _smooth(flux[inside] - without[inside], ivar[inside])

        each, weight = _joined([exposures.bands[name] for name in bands], len(exposures))
        return _Pixels(without, shape, each[:, near], weight[:, near])

    def amplitude(self, number: int) -> tuple[float, float]:
        """Return the amplitude of the shape in one exposure and its error; NaN where unknown."""
        ivar, flux = self.ivar[number], self.flux[number]
        of_shape = self.shape != 0
        if 2 * np.count_nonzero(ivar[of_shape]) < np.count_nonzero(of_shape) or not of_shape.any():
            return math.nan, math.nan

        # Only a segment as wide as the spectrum has no neighbourhood, and so one term.
        terms = np.stack([self.without, self.shape] if self.without.any() else [self.shape])
        normal = terms * ivar @ terms.T
        if np.linalg.det(normal) <= 0:
            return math.nan, math.nan
        inverse = np.asarray(np.linalg.inv(normal), np.float64)
        found = inverse @ (terms @ (ivar * flux))

        scale, gradient = 1.0, np.eye(len(found))[-1]
        if len(found) > 1 and found[0] > MEASURED * math.sqrt(inverse[0, 0]):
            scale = float(found[0])
            gradient[0] = -float(found[1]) / scale
        variance = float(gradient @ inverse @ gradient)
        return float(found[-1]) / scale, math.sqrt(variance) / scale


def _joined(bands: Sequence[Band], rows: int) -> tuple[_Floats, _Floats]:
    """Return flux and ivar of several bands side by side, both 0 in pixels that are not usable."""
    folded, nothing = [band.folded() for band in bands], np.zeros((rows, 0))
    flux = np.concatenate([nothing, *(band.flux for band in folded)], axis=1, dtype=np.float64)
    ivar = np.concatenate([nothing, *(band.ivar for band in folded)], axis=1, dtype=np.float64)
    usable = (np.abs(flux) < _LARGEST_FLUX) & (ivar > 0) & (ivar < np.inf)
    return np.where(usable, flux, 0), np.where(usable, ivar, 0)


def _smooth(shape: _Floats, ivar: _Floats) -> _Floats:
    """Return the weighted running mean of a shape, over an eighth of its pixels."""
    width = max(1, len(shape) // _SMOOTHED)
    if width == 1:
        return shape
    window = np.ones(width)
    return np.convolve(shape * ivar, window, "same") / np.convolve(ivar, window, "same")


def chi2_tail(chi2: float, freedom: int) -> float:
    """Return the probability of at least this χ², in closed form.

    Examples
    --------
    >>> from outcrop.repeats import chi2_tail
    >>> f"{chi2_tail(3.841, 1):.3f} {chi2_tail(5.991, 2):.3f} {chi2_tail(11.07, 5):.3f}"
    '0.050 0.050 0.050'
    """
    half, odd = chi2 / 2, freedom % 2
    if half <= 0:
        return 1.0
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    steps = (one + odd / 2 for one in range(freedom // 2))
    logs = [power * math.log(half) - half - math.lgamma(power + 1) for power in steps]
    return min(1.0, tail + sum(math.exp(each) for each in logs))
