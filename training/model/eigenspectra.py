"""Eigenspectra: linear models of the training spectra, for infill and as a start of the networks.

`iterative_pca` is Yip et al. (2004a): bad bins start as the mean spectrum, PCA gives eigenspectra,
their ivar-weighted projection refills the bad bins, and so on until these converge. The projection
is the one that scoring uses.

`noise_weighted_pca` is the linear autoencoder that a fit starts from. Weighting each value with its
own ivar by expectation maximisation (Bailey 2012) gives a better linear model, but not better
networks after the fit; so bins are weighted with their typical noise only.
"""

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from scoring.infill import Eigenspectra

from .vae import LinearStart

_TOLERANCE = 1e-3
# The weight of a spectrum in a bin's noise grows with S/N² up to this multiple of the median.
_LARGEST_WEIGHT = 10.0


def iterative_pca(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], components: int, iterations: int
) -> Eigenspectra:
    """Find the eigenspectra of rest-frame spectra with gaps.

    Parameters
    ----------
    flux, ivar : (N, M) float32
        In any unit; ivar = 0 marks bad bins.
    components : int
    iterations : int
        At most; it ends once the bad bins change by less than 0.1 % of their spread.
    """
    bad = ivar <= 0

    # The first guess: the mean of each bin's good values, in spectra of equal norm.
    good_flux = np.where(bad, 0, flux)
    share = np.sqrt(1 - bad.mean(axis=1, keepdims=True))
    unit = good_flux / np.linalg.norm(good_flux, axis=1, keepdims=True) * share
    counts = np.maximum((~bad).sum(axis=0), 1)
    mean = unit.sum(axis=0) / counts
    eigenspectra = Eigenspectra(mean.astype(np.float32), np.zeros((0, flux.shape[1]), np.float32))

    filled = unit
    with tqdm(range(iterations), desc="eigenspectra", unit="iteration") as bar:
        for _ in bar:
            previous = filled[bad]
            filled = eigenspectra.infill(flux, ivar)
            filled = filled / np.linalg.norm(filled, axis=1, keepdims=True)

            average = filled.mean(axis=0, dtype=np.float64).astype(np.float32)
            eigenspectra = Eigenspectra(average, _leading(filled - average, components))

            change = filled[bad] - previous
            if not change.any() or np.std(change) < _TOLERANCE * np.std(filled[bad]):
                # Otherwise a bar that stops early looks like a failure.
                bar.set_postfix_str("converged")
                break

    return eigenspectra


def noise_weighted_pca(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], latents: int
) -> LinearStart:
    """Find the linear autoencoder that a fit with a linear path starts from.

    Each bin is divided by its typical noise before the PCA, so that bins have the weights that the
    networks' loss gives them.

    Parameters
    ----------
    flux, ivar : (N, M) float32
        Normalised spectra with bad bins infilled; ivar = 0 in bad bins.
    latents : int
    """
    # The typical weight of each bin.
    brightness = ivar.mean(axis=1, keepdims=True)
    typical = float(np.median(brightness))
    weight = (ivar * np.minimum(1, _LARGEST_WEIGHT * typical / brightness)).mean(
        axis=0, dtype=np.float64
    )
    # A bin that is bad in every spectrum must still have a finite scale.
    root = np.sqrt(np.maximum(weight, 1e-6 * weight.max())).astype(np.float32)

    mean = flux.mean(axis=0, dtype=np.float64).astype(np.float32)
    scaled = (flux - mean) * root
    axes = _leading(scaled, latents)
    sizes = (scaled @ axes.T).std(axis=0)

    return LinearStart(
        mean=mean,
        encode=root[:, None] * axes.T / sizes,
        decode=sizes[:, None] * axes / root,
        # The posterior of a linear model with unit prior, for a spectrum of typical noise.
        log_variance=-np.log1p(sizes**2 * typical / np.float32(weight.mean())),
    )


def _leading(centred: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    """Return the principal axes (K, M) of centred (N, M), most important first."""
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return np.ascontiguousarray(vectors[:, ::-1][:, :components].T, dtype=np.float32)
