"""Sample: the scored spectra that are drawn.

Only eligible spectra are drawn or counted, as everywhere in Outcrop. Choosing among them copies
scores but never spectra, so that a sample of the paper's size fits into memory once.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scoring.preprocess import LOW_SNR


@dataclass(frozen=True, eq=False)
class Images:
    """Spectra on the model's rest-frame grid of M bins, 1e-17 erg / (s cm2 Å).

    Attributes
    ----------
    flux, ivar, model : (K, M) float32
        Spectrum, inverse variance (0 in bad bins) and reconstruction.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    model: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sample:
    """N eligible spectra with their scores.

    Attributes
    ----------
    targetid : (N,) int64
    z, ra, dec : (N,) float64
        Redshift; degrees, J2000, NaN where the file does not tell.
    spectype, kind : (N,) str
        redrock's class; on a simulated sky what was injected, or ``ordinary``; empty where unknown.
    snr, wmse, nof, norm : (N,) float32
    p_value : (N,) float64
    anomaly : (N,) bool
    latent : (N, L) float32
    place : (N,) int64
        Row of each in the images.
    images : Images
        Shared with all other choices from the same spectra.
    """

    targetid: NDArray[np.int64]
    z: NDArray[np.float64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    spectype: NDArray[np.str_]
    kind: NDArray[np.str_]
    snr: NDArray[np.float32]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    norm: NDArray[np.float32]
    p_value: NDArray[np.float64]
    anomaly: NDArray[np.bool_]
    latent: NDArray[np.float32]
    place: NDArray[np.intp]
    images: Images

    def __len__(self) -> int:
        return len(self.targetid)

    def rows(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> "Sample":
        """Return the chosen spectra, in the order of the index."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "images"}
        chosen = {name: column[index] for name, column in columns.items()}
        return Sample(**chosen, images=self.images)

    def spectrum(
        self, row: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return flux, ivar and reconstruction of one spectrum, (M,) each."""
        place = self.place[row]
        return self.images.flux[place], self.images.ivar[place], self.images.model[place]

    @property
    def bright(self) -> "Sample":
        """The spectra with S/N >= 5, which the paper's sample consists of."""
        return self.rows(self.snr >= LOW_SNR)

    def most_anomalous(self, score: str, number: int) -> "Sample":
        """Return up to `number` spectra, the most anomalous first, by p_value, nof or wmse."""
        values = np.asarray(getattr(self, score))
        order = np.argsort(-values if score == "wmse" else values, kind="stable")
        return self.rows(order[:number])
