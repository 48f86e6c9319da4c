"""Galaxies: a history of star formation, dust, motions, and the gas.

A galaxy starts with its emission lines, drawn from the distribution of real ones. Its current rate
of star formation is the one that produces its Hα, and its history leads from an early peak to that
rate. Old galaxies with weak lines, spirals, starbursts, recently quenched galaxies, Seyferts and
LINERs are thus points of one continuous family.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.dust import attenuation
from training.sky.emission import HALPHA, LINES, add_emission, mixture
from training.sky.frame import RESOLUTION, disperse, redshifted, unit_mean
from training.sky.grid import LIGHT_SPEED, WAVE, Array
from training.sky.populations import AGES, ALPHA, METALS, interpolation, populations

_IONISING: Final = 4.8e7  # Hα luminosity in solar units for one solar mass a year (Kennicutt)


def _histories(rng: np.random.Generator, widths: Array) -> Array:
    """Return the mass (N, A) formed at each of `AGES`, in units of all of it."""
    count = len(widths)
    halpha = np.log10(widths[:, 0])
    edges = np.concatenate([[1e6], np.sqrt(AGES[1:] * AGES[:-1]), [1.38e10]])

    # A delayed exponential: its rate averaged over each bin of age, at twelve points
    start = rng.uniform(8.5e9, 1.36e10, count)
    tau = 1e9 * 10 ** np.clip(rng.normal(-0.15 + 0.45 * np.maximum(halpha, 0), 0.25), -0.7, 1.3)
    point = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(12) + 0.5) / 12
    since = np.maximum(start[:, None, None] - point, 0)
    rate = (since / tau[:, None, None] * np.exp(-since / tau[:, None, None])).mean(-1) + 1e-12
    rate /= (rate * np.diff(edges)).sum(1, keepdims=True)

    # Correlated fluctuations of the rate, none in the last few Myr and at the oldest ages
    wander = rng.standard_normal((count, len(AGES)))
    kernel = np.exp(-0.5 * (np.subtract.outer(np.log10(AGES), np.log10(AGES)) / 0.4) ** 2)
    wander = wander @ (kernel / np.linalg.norm(kernel, axis=0)) * 0.3
    wander *= np.clip((np.log10(AGES) - 6.9) / 0.5, 0, 1) * np.clip(
        (9.7 - np.log10(AGES)) / 0.4, 0, 1
    )

    # Some galaxies had a burst that ended some 0.2 to 1 Gyr ago
    halted = rng.random(count) < 0.015
    burst = rng.uniform(0.6, 1.6, count)[:, None] * np.exp(
        -0.5 * ((np.log10(AGES) - rng.uniform(8.4, 9.0, count)[:, None]) / 0.15) ** 2
    )

    # In the last 1.5 Gyr the rate changes from the history's to the one that Hα implies
    recent = interpolation(np.array([7.0, 9.2]), np.log10(AGES))[:, 0]
    red = populations()[:, 2, 0, np.searchsorted(WAVE, HALPHA)]
    now = rate[:, 0]
    excited = np.minimum(widths[:, 0] / 4, 1)  # weak lines are not lit by young stars alone
    history = rate
    for _ in range(4):
        lograte = np.log10(rate) * (1 - recent) + np.log10(now)[:, None] * recent + wander
        history = 10 ** np.where(halted[:, None], lograte + burst, lograte)
        mass = history * np.diff(edges)
        width = _IONISING * now / (mass @ red)
        now = np.clip(now * widths[:, 0] * excited / width, 1e-16, 1e-6)
    return history * np.diff(edges)


def _starlight(rng: np.random.Generator, widths: Array) -> tuple[NDArray[np.float32], Array, Array]:
    """Return the light (N, P) of the stars behind dust, their dispersion, the gas's reddening."""
    count = len(widths)
    mass = _histories(rng, widths)
    halpha, nitrogen = np.log10(widths[:, 0]), np.log10(widths[:, 2] / widths[:, 0])
    forming = 1 / (1 + np.exp(-(halpha - 0.6) / 0.2))

    light = _light_of(rng, mass, forming, nitrogen)
    gas, stars = _reddening(rng, widths, light)
    light = light * attenuation(WAVE, stars, rng.normal(-0.1, 0.2, count)).astype(np.float32)

    dispersion = np.where(
        rng.random(count) < forming,
        10 ** rng.normal(1.98, 0.15, count),
        10 ** rng.normal(2.22, 0.13, count),
    )
    dispersion = np.clip(dispersion, 50, 350)
    _absorb_sodium(rng, light, stars, dispersion)
    return light, dispersion, gas


def _light_of(
    rng: np.random.Generator, mass: Array, forming: Array, nitrogen: Array
) -> NDArray[np.float32]:
    """Return the light (N, P) of histories (N, A), with metals after [N II]/Hα."""
    count = len(mass)
    metals = np.where(
        rng.random(count) < forming,
        0.15 + 0.7 * np.clip(nitrogen + 0.4, -1.5, 0.2) + rng.normal(0, 0.15, count),
        rng.normal(0.02, 0.20, count),
    )
    alpha = np.clip(rng.normal(0.25 - 0.18 * forming, 0.09), 0, 0.4)

    # Older stars of a galaxy are poorer in metals
    bend = np.clip((np.log10(AGES) - 8.5) * 0.15, 0, 0.25) * rng.uniform(0.2, 1.5, count)[:, None]
    poor = np.clip(metals[:, None] + 0.1 - bend, METALS[0], METALS[-1])

    by_metals = interpolation(METALS, poor.ravel()).reshape(count, len(AGES), len(METALS))
    weight = mass[:, :, None] * by_metals
    weight = weight[..., None] * interpolation(ALPHA, alpha)[:, None, None, :]
    basis = populations().reshape(-1, len(WAVE))
    return weight.reshape(count, -1).astype(np.float32) @ basis


def _reddening(
    rng: np.random.Generator, widths: Array, light: NDArray[np.float32]
) -> tuple[Array, Array]:
    """Return E(B - V) of gas and stars, (N,) each.

    The gas follows the Balmer decrement where it is measurable; the stars have 0.44 of the gas's
    (Calzetti).
    """
    count = len(widths)
    at = np.searchsorted(WAVE, (HALPHA, LINES["HBETA"]))
    decrement = widths[:, 0] * light[:, at[0]] / (widths[:, 1] * light[:, at[1]])
    measured = np.clip(np.log10(decrement / 2.86) / 0.27, 0, 1.3)
    typical = 10 ** rng.normal(-0.5, 0.25, count)
    gas = np.where(widths[:, 0] > 3, 0.5 * measured + 0.5 * typical, rng.exponential(0.15, count))
    return gas, np.clip(0.44 * gas * 10 ** rng.normal(0, 0.12, count), 0, 0.8)


def _absorb_sodium(
    rng: np.random.Generator, light: NDArray[np.float32], ebv: Array, dispersion: Array
) -> None:
    """Add interstellar sodium in place, as much as there is dust."""
    sodium = rng.gamma(1.5, 1.2, len(light)) * ebv
    near = slice(*np.searchsorted(WAVE, (5850, 5940)))
    width = np.maximum(dispersion, 80)[:, None] / LIGHT_SPEED
    for wave, share in ((5891.58, 0.6), (5897.56, 0.4)):
        sigma = wave * width
        depth = share * sodium[:, None] / (np.sqrt(2 * np.pi) * sigma)
        light[:, near] *= np.exp(-depth * np.exp(-0.5 * ((WAVE[near] - wave) / sigma) ** 2))


def galaxies(rng: np.random.Generator, z: Array) -> Array:
    """Draw galaxies at given redshifts.

    Parameters
    ----------
    rng : Generator
    z : (N,) float64

    Returns
    -------
    (N, 7781) float64
        Flux without noise on the common grid, observed frame, mean 1 over 4000 to 9000 Å.
    """
    count = len(z)
    widths = mixture().draw(rng, count)
    light, dispersion, gas = _starlight(rng, widths)
    spread = np.sqrt(dispersion**2 + (RESOLUTION / (5500 * (1 + z)) * LIGHT_SPEED) ** 2)
    flux = redshifted(disperse(light, spread), z)
    motion = np.clip(dispersion * 10 ** rng.normal(-0.12, 0.12, count), 30, 200)
    add_emission(rng, flux, z, light, widths, gas, motion)
    return unit_mean(flux)
