"""Galaxy shapes: what the reconstructions of the training galaxies have in common.

A training sample holds anomalies. The galaxies that are farthest from the components are therefore
left out, and more components are determined from the others.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from scoring.galaxy_shapes import GalaxyShapes
from scoring.network import OnnxVAE
from scoring.second_galaxy import feature_wave

from .scored import Scored

# Components of each round. All at once would follow what a few anomalies have in common.
_AXES = (4, 6, 8, 10, 12, 14)
# More galaxies do not change the components, and their reconstructions would fill the memory.
_MOST = 20_000
_LEFT_OUT = 0.015
# Of unit norm. Less is rounding.
_LEAST_TYPICAL = 1e-4

# Pixels of features, and parts of a pixel over which the reconstructions are averaged.
_PIXELS = 384
_PARTS = 4
# The width of the smoothing, in log wavelength, that gives the continuum.
_CONTINUUM = 0.05
# Quantiles of the angle between two components: galaxies are sums of those at both.
_ANGLES = (0.1, 0.9)


def fit_galaxy_shapes(vae: OnnxVAE, training: Scored, wave: NDArray[np.float64]) -> GalaxyShapes:
    """Fit to training spectra that redrock takes for galaxies; to all if there are hardly any.

    Parameters
    ----------
    vae : OnnxVAE
    training : (n,) Scored
    wave : (M,) float64
        Centres of the rest-frame bins, Å.
    """
    galaxies = np.flatnonzero(training.rows["spectype"] == "GALAXY")
    if len(galaxies) <= _AXES[-1]:
        galaxies = np.arange(len(training.rows))
    chosen = galaxies[:: -(-len(galaxies) // _MOST)]
    return shapes_of(vae.decode(training.latent[chosen]), wave)


def shapes_of(reconstruction: NDArray[np.float32], wave: NDArray[np.float64]) -> GalaxyShapes:
    """Return the shapes of reconstructions (n, M), some of which are no galaxies'."""
    kept = np.ones(len(reconstruction), np.bool_)
    for number in _AXES[:-1]:
        distance = _components(reconstruction[kept], number).distance(reconstruction)
        kept = distance <= np.quantile(distance, 1 - _LEFT_OUT)

    shapes = _components(reconstruction[kept], _AXES[-1])
    typical = float(np.median(shapes.distance(reconstruction)))
    features = features_of(reconstruction[kept], wave)
    return replace(shapes, typical=max(typical, _LEAST_TYPICAL), features=features)


def _components(reconstruction: NDArray[np.float32], number: int) -> GalaxyShapes:
    mean = reconstruction.mean(axis=0, dtype=np.float64)
    # np.cov would make three copies of it.
    centred = reconstruction - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :number], dtype=np.float32)
    return GalaxyShapes(mean.astype(np.float32), axes, 1.0, np.zeros((2, 0), np.float32))


def features_of(
    reconstruction: NDArray[np.float32], wave: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the features (2, 384) of reconstructions (n, M), each of unit norm.

    Less their continuum, reconstructions are mostly sums of two components. Their amplitudes lie
    between two directions, which are the features: lines of young galaxies, which come first, and
    lines and breaks of old ones. Every galaxy between them is a sum with positive amplitudes.
    Reconstructions that do not differ from their continuum give 0.
    """
    centres = np.log(feature_wave(wave, _PIXELS))
    step = centres[1] - centres[0]
    parts = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    fine = np.exp(centres[:, None] + step * parts).ravel()
    split = (_PIXELS, _PARTS)
    pixels = np.stack(
        [np.interp(fine, wave, one).reshape(split).mean(axis=1) for one in reconstruction]
    )
    pixels -= gaussian_filter1d(pixels, min(_CONTINUUM / step, _PIXELS), axis=1, mode="nearest")

    _, vectors = np.linalg.eigh(pixels.T @ pixels)
    components = vectors[:, -2:].T
    amplitudes = pixels @ components.T

    # Angles from that of the mean.
    along = amplitudes.sum(axis=0)
    along /= max(float(np.linalg.norm(along)), np.finfo(np.float64).tiny)
    across = np.array([-along[1], along[0]])
    angle = np.quantile(np.arctan2(amplitudes @ across, amplitudes @ along), _ANGLES)
    directions = np.outer(np.cos(angle), along) + np.outer(np.sin(angle), across)
    features = (directions @ components).astype(np.float32)
    # Young galaxies have lines in emission.
    return features[np.argsort(-features.max(axis=1))]
