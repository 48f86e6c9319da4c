"""Inliers: what explanations need to know of spectra that were not trained on.

How near they lie to a reference spectrum, and what their residuals are like.
"""

import numpy as np
from numpy.typing import NDArray

from explanation.reference import nearest_percentiles
from explanation.segments import SegmentScan
from model_store.grid import RestGrid
from scoring.density import LocalOutlierFactor
from scoring.network import OnnxVAE
from scoring.robust import robust_reconstruction

from .scored import Scored

_RESIDUALS = 20_000
"""Spectra whose residuals are looked at: more would not fit into memory."""


def percentiles_of_nearest(density: LocalOutlierFactor, scored: Scored) -> NDArray[np.float64]:
    """Return the percentiles (101,) of the distance to the nearest reference spectrum."""
    distance, _ = density.nearest(scored.latent, 1)
    return nearest_percentiles(distance[:, 0])


def scan_of_segments(
    vae: OnnxVAE,
    grid: RestGrid,
    prepared: tuple[NDArray[np.float32], NDArray[np.float32]],
    scored: Scored,
) -> SegmentScan:
    """Fit the thresholds of segments to the residuals of robust reconstructions.

    Parameters
    ----------
    prepared : (flux, ivar)
        The whole sample as the encoder takes it, (N, M) float32 each; may be memory-mapped.
    scored : Scored
        The n inliers among them; of more than 20,000, that many are chosen.
    """
    order = np.random.default_rng(0).permutation(len(scored.index))
    chosen = scored.choose(np.sort(order[:_RESIDUALS]))
    flux, ivar = (np.asarray(part[chosen.index]) for part in prepared)

    latent = chosen.latent
    robust = robust_reconstruction(vae, flux, ivar, latent, vae.decode(latent)).reconstruction
    return SegmentScan.fit(flux, ivar, robust, chosen.rows["z"], chosen.rows["snr"], grid)
