"""Sample: the scored spectra that the figures show.

Only eligible spectra are drawn or counted, as everywhere in Outcrop. A selection copies scores but
not spectra, so that a sample of the size of the paper's fits into memory.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scoring.preprocess import LOW_SNR


@dataclass(frozen=True, eq=False)
class RestSpectra:
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
class PlotSample:
    """N eligible spectra with their scores.

    Attributes
    ----------
    targetid : (N,) int64
    z, ra, dec : (N,) float64
        Redshift; degrees, J2000, NaN where the file has none.
    spectype, kind : (N,) str
        redrock's class; what was injected on a simulated sky, or ``inlier``. Empty where unknown.
    snr, wmse, nof, norm : (N,) float32
    p_value : (N,) float64
    anomaly : (N,) bool
    latent : (N, L) float32
    spectrum_row : (N,) int64
        Row of each in `spectra`.
    spectra : RestSpectra
        Shared by all selections from the same spectra.
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
    spectrum_row: NDArray[np.intp]
    spectra: RestSpectra

    def __len__(self) -> int:
        return len(self.targetid)

    def rows(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> "PlotSample":
        """Return the selected spectra, in the order of the index."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "spectra"}
        chosen = {name: column[index] for name, column in columns.items()}
        return PlotSample(**chosen, spectra=self.spectra)

    def spectrum(
        self, row: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return flux, ivar and reconstruction of one spectrum, (M,) each."""
        one = self.spectrum_row[row]
        return self.spectra.flux[one], self.spectra.ivar[one], self.spectra.model[one]

    @property
    def bright(self) -> "PlotSample":
        """The spectra with S/N >= 5, as in the sample of the paper."""
        return self.rows(self.snr >= LOW_SNR)

    def most_anomalous(self, score: str, number: int) -> "PlotSample":
        """Return up to `number` spectra, the most anomalous first, by p_value, nof or wmse."""
        values = np.asarray(getattr(self, score))
        order = np.argsort(-values if score == "wmse" else values, kind="stable")
        return self.rows(order[:number])
