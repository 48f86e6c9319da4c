"""Distil the reference data into the two tables that the simulated sky is drawn from.

The software does not need this at run time: ``python -m training.sky.distil FOLDER`` was run once
on a folder with ``desi_noise_shape.npz`` (median noise of faint fibers in real DESI coadds) and
``sv3_bgs_emission_line_ew.npz`` (equivalent widths of lines in DESI SV3 galaxies, Khederlarian et
al. 2024), and its output is stored in ``training/sky/data``. The equivalent widths are described
by a mixture of Gaussians in their logarithms, deconvolved from the measurement errors ("extreme
deconvolution", Bovy, Hogg & Roweis 2011), because half of the weak lines are mostly noise.
"""

import json
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.grid import DATA

LINES: Final = ("HALPHA", "HBETA", "NII_6584", "OIII_5007", "OII_DOUBLET", "SII_6716", "SII_6731")
_WEAK: Final = np.log10(0.3)  # Å; assumed for a line too weak to be fitted


def noise_table(folder: Path) -> str:
    """Return the noise of faint fibers as CSV: camera, wavelength, noise in units of the median."""
    shape = np.load(folder / "desi_noise_shape.npz")
    rows = [
        "# Noise (1/√ivar) of faint fibers in real DESI coadds, median of 21 to 27 fibers, each",
        "# camera divided by its own median; sky lines, blue edge and dichroic edges included.",
        "# From the test files of QuasarNP, picca and fastspecfit (DESI data, CC BY 4.0);",
        "# written by `python -m training.sky.distil`.",
        "camera,wave,noise",
    ]
    for camera, first in (("b", 3600.0), ("r", 5760.0), ("z", 7520.0)):
        curve = shape[camera.upper()]
        rows += [f"{camera},{first + 0.8 * i:.1f},{x:.3f}" for i, x in enumerate(curve)]
    return "\n".join(rows) + "\n"


def log_widths(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log10 of the equivalent widths and their variances, (N, 7); NaN filled in.

    A line whose width is missing or minute is taken as weak where Hα is weak, and as unknown, with
    a large variance, where Hα is strong. Galaxies with a good Hβ but no Hα are left out.
    """
    table = np.load(folder / "sv3_bgs_emission_line_ew.npz")
    column = [list(table["lines"]).index(line) for line in LINES]
    width, ivar = table["ew"][:, column].astype(float), table["ew_ivar"][:, column].astype(float)
    measured = np.isfinite(width) & (width > 0.05) & (ivar > 0)
    kept = measured[:, 0] | ~(measured[:, 1] & (width[:, 1] > 0.8))
    width, ivar, measured = width[kept], ivar[kept], measured[kept]

    width, ivar = np.where(measured, width, 1.0), np.where(measured, ivar, 1.0)
    value = np.log10(width)
    error = np.minimum(1 / (np.sqrt(ivar) * width * np.log(10)), 0.6)

    weak = ~measured[:, 0] | (value[:, 0] < 0.3)
    value = np.where(measured, value, _WEAK)
    error = np.where(measured, error, np.where(weak[:, None], 0.5, 10.0))
    return value, error**2 + 0.02**2


def deconvolve(
    value: NDArray[np.float64], variance: NDArray[np.float64], components: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit a mixture of Gaussians to values with known errors (Bovy et al. 2011, section 2).

    Parameters
    ----------
    value, variance : (N, D) float64
        Measurements and the variances of their independent errors.
    components : int
        Gaussians in the mixture, K.

    Returns
    -------
    weight : (K,) float64
    mean : (K, D) float64
    covariance : (K, D, D) float64
        Of the distribution before the errors were added.
    """
    rng = np.random.default_rng(seed)
    size = value.shape[1]
    noise = np.einsum("nd,de->nde", variance, np.eye(size))

    # Start: groups of galaxies by the first value
    order = np.argsort(value[:, 0])
    groups = np.array_split(order, components)
    mean = np.array([np.median(value[g], axis=0) for g in groups])
    mean += rng.normal(0, 0.05, mean.shape)
    covariance = np.array([np.diag(np.full(size, 0.1))] * components)
    weight = np.full(components, 1 / components)

    for _ in range(150):
        # Expectation: each galaxy's probabilities, and its true values under each Gaussian
        logp, first, second = [], [], []
        for w, m, c in zip(weight, mean, covariance, strict=True):
            total = c + noise
            offset = value - m
            solved = np.linalg.solve(total, offset[..., None])[..., 0]
            logp.append(np.log(w) - 0.5 * (np.linalg.slogdet(total)[1] + (offset * solved).sum(1)))
            first.append(m + solved @ c)
            second.append(c - c @ np.linalg.solve(total, np.broadcast_to(c, total.shape)))
        share = np.exp(logp - np.logaddexp.reduce(logp, axis=0))

        # Maximisation
        weight = share.mean(1)
        for k in range(components):
            mean[k] = share[k] @ first[k] / share[k].sum()
            offset = first[k] - mean[k]
            spread = np.einsum("n,nd,ne->de", share[k], offset, offset)
            spread += np.einsum("n,nde->de", share[k], second[k])
            covariance[k] = spread / share[k].sum() + 1e-4 * np.eye(size)
    return weight, mean, covariance


def emission_table(folder: Path, galaxies: int = 20000, components: int = 6) -> str:
    """Return the mixture of log equivalent widths as JSON."""
    value, variance = log_widths(folder)
    chosen = np.random.default_rng(0).permutation(len(value))[:galaxies]
    weight, mean, covariance = deconvolve(value[chosen], variance[chosen], components)
    table = {
        "about": "Mixture of Gaussians of log10 of rest-frame equivalent widths (Å, emission "
        "positive) of DESI SV3 BGS galaxies at 0.059 < z < 0.30, measurement errors taken out; "
        "written by `python -m training.sky.distil`",
        "source": "github.com/ashodkh/emission-lines (MIT), Khederlarian et al. 2024, joined by "
        "TARGETID",
        "lines": LINES,
        "weight": np.round(weight, 5).tolist(),
        "mean": np.round(mean, 4).tolist(),
        "covariance": np.round(covariance, 5).tolist(),
    }
    return json.dumps(table, indent=1) + "\n"


if __name__ == "__main__":
    reference = Path(sys.argv[1])
    (DATA / "noise.csv").write_text(noise_table(reference))
    (DATA / "emission_lines.json").write_text(emission_table(reference))
