"""Galaxy shapes: the principal components of the reconstructions of the training galaxies.

A training sample holds anomalies. The galaxies that are farthest from the components are therefore
left out, and more components are determined from the others.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scoring.galaxy_shapes import GalaxyShapes
from scoring.network import OnnxVAE

from .scored import Scored

# Components of each round. All at once would follow what a few anomalies have in common.
_AXES = (4, 6, 8, 10, 12, 14)
# More galaxies do not change the components, and their reconstructions would fill the memory.
_MOST = 20_000
_LEFT_OUT = 0.015
# Of unit norm. Less is rounding.
_LEAST_TYPICAL = 1e-4


def fit_galaxy_shapes(vae: OnnxVAE, training: Scored) -> GalaxyShapes:
    """Fit to training spectra that redrock takes for galaxies; to all if there are hardly any."""
    galaxies = np.flatnonzero(training.rows["spectype"] == "GALAXY")
    if len(galaxies) <= _AXES[-1]:
        galaxies = np.arange(len(training.rows))
    chosen = galaxies[:: -(-len(galaxies) // _MOST)]
    return shapes_of(vae.decode(training.latent[chosen]))


def shapes_of(reconstruction: NDArray[np.float32]) -> GalaxyShapes:
    """Return the shapes of reconstructions (n, M), some of which are no galaxies'."""
    kept = np.ones(len(reconstruction), np.bool_)
    for number in _AXES[:-1]:
        distance = _components(reconstruction[kept], number).distance(reconstruction)
        kept = distance <= np.quantile(distance, 1 - _LEFT_OUT)

    shapes = _components(reconstruction[kept], _AXES[-1])
    typical = float(np.median(shapes.distance(reconstruction)))
    return replace(shapes, typical=max(typical, _LEAST_TYPICAL))


def _components(reconstruction: NDArray[np.float32], number: int) -> GalaxyShapes:
    mean = reconstruction.mean(axis=0, dtype=np.float64)
    # np.cov would make three copies of it.
    centred = reconstruction - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :number], dtype=np.float32)
    return GalaxyShapes(mean.astype(np.float32), axes, 1.0)
