"""Noise of a petal: what its own fibers say of it, and spectra corrected for it.

A sky fiber sees no object. Where the reported noise is right, flux · √ivar of its pixels has mean 0
and variance 1. Its variance over a petal's sky fibers is that of the whole petal in units of the
reported one; its mean over the fibers, pixel by pixel, is what the subtraction of the sky left in
all of them. `correct_noise` divides the one out of ivar and takes the other off the flux.

Both are robust: fibers that vary more than most are left out, and so are pixels far from the median
of their fibers; the variance is that of the median fiber, from its median distance to the mean.
Forty fibers determine the mean to 0.16 σ, which is more than most residuals, so what is taken off
is the mean's expectation under a prior fitted to the camera: a share of the pixels has a residual
from a normal distribution, its neighbours have one too, and the others have none (empirical Bayes,
"spike and slab").

The residual is the same flux in all fibers of the petal, whatever object they see: the sky's light
is, once fibers are calibrated.

Where cameras disagree on the flux of the petal's targets, that is corrected too
(`outcrop.camera_offsets`).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .camera_offsets import LARGEST_OFFSET, CameraOffsets
from .inputs import NoiseCards
from .model import ModelIdentity
from .scores import Status
from .spectra import Band, Spectra

logger = logging.getLogger(__name__)

LEAST_FIBERS: Final = 10
"""Sky fibers with data that a camera's noise is measured from, and values that a mean needs."""
VARIANCE_RANGE: Final = (0.25, 4.0)
"""Variances in which the noise is corrected; a petal beyond it has another fault."""

_BLOCK: Final = 16  # rows
_NORMAL_MAD: Final = 0.6744897501960817
_CLIP: Final = 4.0
_LARGEST_SCALE: Final = 1.5
_NEIGHBOURHOOD: Final = 3
_STEPS: Final = 30
_SHARES: Final = (0.002, 0.998)
_LEAST_VARIANCE: Final = 0.3
_LARGEST_SQUARE: Final = 100.0


@dataclass(frozen=True, eq=False)
class PetalNoise:
    """The noise of one petal, from its sky fibers, and the offsets of its cameras.

    Attributes
    ----------
    variance : mapping of str to float
        Of each band, in units of the reported; 1 where it has fewer than `LEAST_FIBERS`.
    residual : mapping of str to (P,) float64
        Of each band, the flux that the subtraction of the sky left in every fiber,
        1e-17 erg / (s cm2 Å); positive where too little was subtracted, 0 where there is no sign
        of any.
    sky_fibers : int
        Number of sky fibers with data, in the band that has most.
    offsets : CameraOffsets
    """

    variance: Mapping[str, float]
    residual: Mapping[str, NDArray[np.float64]]
    sky_fibers: int
    offsets: CameraOffsets

    @classmethod
    def measure(cls, spectra: Spectra) -> "PetalNoise":
        """Measure the noise and the offsets of one petal.

        A sky fiber has OBJTYPE ``SKY``, a good fiber status, and more than half of its pixels.
        """
        # In an order of their own: the sums do not depend on that of the file.
        rows = np.flatnonzero(_on_sky(spectra))
        sky = spectra[rows[np.argsort(spectra.targetid[rows], kind="stable")]]
        measured = {name: _measure(band) for name, band in sky.bands.items()}
        residual = {name: residual for name, (_, residual, _) in measured.items()}

        return cls(
            {name: variance for name, (variance, _, _) in measured.items()},
            residual,
            max(count for _, _, count in measured.values()),
            CameraOffsets.measure(spectra, residual),
        )

    @property
    def plausible(self) -> bool:
        """Whether all variances are in `VARIANCE_RANGE`, and all offsets up to `LARGEST_OFFSET`."""
        low, high = VARIANCE_RANGE
        inside = all(low <= variance <= high for variance in self.variance.values())
        return inside and self.offsets.plausible

    @property
    def corrected(self) -> bool:
        """Whether `correct_noise` changes flux and ivar of such a petal."""
        return self.sky_fibers >= LEAST_FIBERS and self.plausible

    def correct(self, spectra: Spectra) -> Spectra:
        """Return spectra of this petal with its noise, as `correct_noise` does with all of it."""
        bands = spectra.bands
        if self.corrected:
            petals = np.zeros(len(spectra), np.intp)
            bands = {n: _corrected(n, band, [self], petals, True) for n, band in bands.items()}
        return replace(spectra, bands=bands, inputs=replace(spectra.inputs, noise=self.cards()))

    def cards(self) -> NoiseCards:
        """Return the cards of the primary header of a score table.

        NOISE_B, NOISE_R and NOISE_Z (1 without such a camera), OFFSET_B and OFFSET_Z (0 where not
        measured), NSKY and SKYCORR.
        """
        variance = dict.fromkeys("brz", 1.0)
        for band, value in self.variance.items():
            # The common band brz is of all three.
            variance |= dict.fromkeys(band, value)
        return {
            **{f"NOISE_{camera.upper()}": round(value, 4) for camera, value in variance.items()},
            "OFFSET_B": round(self.offsets.offset["b"], 4),
            "OFFSET_Z": round(self.offsets.offset["z"], 4),
            "NSKY": self.sky_fibers,
            "SKYCORR": self.corrected,
        }


def correct_noise(spectra: Spectra, *, copy: bool = True) -> Spectra:
    """Return spectra with the noise that their petal's sky fibers show.

    In each band, ivar is divided by the variance, the residual is taken off the flux, and the
    offset of the camera is divided out. Rows with the same `tileid` and `petal` are one petal.
    Nothing is changed in a petal without ten sky
    fibers, nor in a healpixel, which mixes petals, nor where a variance is beyond `VARIANCE_RANGE`
    or an offset beyond `LARGEST_OFFSET`.
    ``inputs.noise`` of the result says what was done; where it is of several petals, of the one
    with most sky fibers. Spectra that were corrected before are returned as they are.

    Parameters
    ----------
    spectra : Spectra
        All of a petal, sky fibers included.
    copy : bool
        Leave the given spectra as they are. False overwrites their flux and ivar, which must be
        writable, and is faster: use only what is returned afterwards.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop import Band, Spectra, correct_noise
    >>> band = Band(np.zeros((1, 2751), np.float32), np.ones((1, 2751), np.float32))
    >>> spectra = correct_noise(Spectra({"b": band}, z=np.array([0.1]), targetid=np.array([1])))
    >>> spectra.inputs.noise["NSKY"], spectra.inputs.noise["SKYCORR"]
    (0, False)
    """
    if spectra.inputs.noise:
        return spectra

    petals = _petals(spectra)
    noises = [
        PetalNoise.measure(spectra if (petals == petal).all() else spectra[petals == petal])
        for petal in range(petals.max(initial=0) + 1)
    ]
    bands = spectra.bands
    if any(noise.corrected for noise in noises):
        bands = {name: _corrected(name, band, noises, petals, copy) for name, band in bands.items()}

    cards = max(noises, key=lambda noise: noise.sky_fibers).cards()
    return replace(spectra, bands=bands, inputs=replace(spectra.inputs, noise=cards))


def describe_noise(cards: NoiseCards) -> str:
    """Return in one line what ``inputs.noise`` of corrected spectra says; empty if it is."""
    if not cards:
        return ""
    fibers = f"{cards['NSKY']} sky fibers"
    variance = ", ".join(f"{cards[f'NOISE_{camera}']:.3g} {camera.lower()}" for camera in "BRZ")
    if cards["SKYCORR"]:
        return f"noise corrected from {fibers}: variance {variance} of the reported"
    if cards["NSKY"] < LEAST_FIBERS:
        return f"noise as reported: {fibers}, {LEAST_FIBERS} are needed to correct it"
    low, high = VARIANCE_RANGE
    return (
        f"noise as reported: {fibers} show a variance of {variance}, and cameras an offset of "
        f"{cards['OFFSET_B']:.3g} b, {cards['OFFSET_Z']:.3g} z; not within {low:g} to {high:g} and "
        f"±{LARGEST_OFFSET:g}"
    )


@cache
def warn_of_other_noise(model: ModelIdentity, fitted: bool | None, corrected: bool) -> None:
    """Log a warning, once, where spectra and the model's sample differ in the noise correction.

    Parameters
    ----------
    model : ModelIdentity
    fitted : bool or None
        Whether the model is fitted on corrected petals; None, where that is unknown, never warns.
    corrected : bool
        Whether `correct_noise` was applied to the spectra, even where it had nothing to correct.
    """
    if fitted is None or fitted == corrected:
        return
    if corrected:
        was, remedy = "as reported, and that of these spectra corrected", "score with"
    else:
        was, remedy = "corrected, and that of these spectra as reported", "score without"
    logger.warning(
        "the noise of the sample of model %s was %s: the p-values are not valid; "
        "%s --no-noise-correction (in Python %s outcrop.correct_noise)",
        model,
        was,
        remedy,
        "without" if corrected else "after",
    )


def _on_sky(spectra: Spectra) -> NDArray[np.bool_]:
    """Return which rows (N,) are sky fibers that can be used."""
    if spectra.objtype is None or "HEALPIX" in spectra.inputs.cards:
        return np.zeros(len(spectra), np.bool_)
    bad = int(Status.BAD_FIBER | Status.NO_SPECTRUM)
    return (spectra.objtype == "SKY") & ((spectra.status & bad) == 0)


def _petals(spectra: Spectra) -> NDArray[np.intp]:
    """Return the number of each row's petal (N,), counted from 0."""
    known = [column for column in (spectra.tileid, spectra.petal) if column is not None]
    if not known:
        return np.zeros(len(spectra), np.intp)
    if all((column == column[:1]).all() for column in known):
        return np.zeros(len(spectra), np.intp)
    numbers = np.unique(np.stack(known), axis=1, return_inverse=True)[1]
    return numbers.reshape(len(spectra))


def _measure(band: Band) -> tuple[float, NDArray[np.float64], int]:
    """Return variance, residual (P,) and number of fibers of the sky fibers of one band."""
    band = band.folded()
    good = (band.ivar > 0) & np.isfinite(band.ivar) & np.isfinite(band.flux) & (band.flux != 0)
    pixels: int = band.flux.shape[1]
    half = np.count_nonzero(good, axis=1) > pixels / 2
    fibers = int(np.count_nonzero(half))
    if fibers < LEAST_FIBERS:
        return 1.0, np.zeros(pixels), fibers

    # In units of the reported noise, fibers along the last axis.
    good = good[half].T
    root = np.sqrt(np.where(good, band.ivar[half].T, np.nan).astype(np.float64))
    pull = np.where(good, band.flux[half].T, np.nan) * root

    # Without fibers that see more than the others, such as a star.
    away = np.abs(pull - _median(pull)[:, None])
    scale = _scale(away)
    used = scale < _LARGEST_SCALE * np.median(scale)
    fibers = int(np.count_nonzero(used))
    if fibers < LEAST_FIBERS:
        return 1.0, np.zeros(len(good)), fibers

    # The mean of each pixel, without values far from the median, such as a cosmic ray.
    pull, near = pull[:, used], away[:, used] < _CLIP * np.median(scale[used])
    count = np.count_nonzero(near, axis=1)
    mean = np.where(near, pull, 0).sum(axis=1) / np.maximum(count, 1)
    # One of n degrees of freedom is spent on the mean.
    about = float(np.median(_scale(np.abs(pull - mean[:, None]))))
    variance = about**2 / (1 - 1 / fibers)

    error = np.sqrt(variance / np.maximum(count, 1))
    significance = np.where(count >= LEAST_FIBERS, mean / error, 0)
    sigma = np.nan_to_num(1 / _median(root))
    return variance, _expected(significance) * error * sigma, fibers


def _scale(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of each fiber (n,), from distances (P, n), robustly."""
    return _median(away.T) / _NORMAL_MAD


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median along the last axis of what is not NaN; NaN where all is."""
    # NaN are sorted to the end.
    ordered = np.sort(values, axis=-1)
    count = np.count_nonzero(~np.isnan(values), axis=-1)[..., None]
    lower = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    upper = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    return ((lower + upper) / 2)[..., 0]


def _expected(significance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expectation of what was measured with a normal error of 1, (P,).

    The prior is fitted by expectation and maximisation: which share of the values is not 0, and
    their variance. Whether one is 0 follows from itself and its neighbours.
    """
    # Bounded, so that no one pixel decides on the others.
    square = np.minimum(significance**2, _LARGEST_SQUARE)
    side = _NEIGHBOURHOOD // 2
    summed = np.convolve(np.pad(square, side, mode="edge"), np.ones(_NEIGHBOURHOOD), "valid")

    share, variance, present = 0.1, 4.0, np.zeros(len(square))
    for _ in range(_STEPS):
        kept = variance / (1 + variance)
        log_odds = np.log(share / (1 - share)) - _NEIGHBOURHOOD / 2 * np.log1p(variance)
        present = 1 / (1 + np.exp(-kept / 2 * summed - log_odds))
        total = present.sum()
        share = min(max(total / len(square), _SHARES[0]), _SHARES[1])
        variance = max((present * square).sum() / total - 1, _LEAST_VARIANCE)
    return significance * present * variance / (1 + variance)


def _corrected(
    name: str, band: Band, noises: list[PetalNoise], petals: NDArray[np.intp], copy: bool
) -> Band:
    """Return a band with each row corrected for the noise of its petal."""
    pixels = band.flux.shape[1]
    variance = [noise.variance[name] if noise.corrected else 1.0 for noise in noises]
    residual = [noise.residual[name] if noise.corrected else np.zeros(pixels) for noise in noises]
    offset = [noise.offsets.offset.get(name, 0.0) if noise.corrected else 0.0 for noise in noises]

    variance, residual, offset = (
        np.array(each, np.float32) for each in (variance, residual, offset)
    )
    factor = 1 + offset[:, None]
    weight = factor**2 / variance[:, None]
    flux, ivar = band.flux, band.ivar
    if copy:
        flux, ivar = np.empty_like(flux), np.empty_like(ivar)

    # Block by block, so that the numbers stay in the processor's cache.
    for start in range(0, len(flux), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Of one petal there is nothing to choose.
        petal = petals[block] if len(noises) > 1 else slice(1)
        before, after = band.flux[block], flux[block]
        # A flux of 0 stays: it marks a pixel without information.
        empty = before == 0
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(before, residual[petal], out=after)
            after[empty] = 0
            after /= factor[petal]
            np.multiply(band.ivar[block], weight[petal], out=ivar[block])
    return Band(flux, ivar, band.mask)
