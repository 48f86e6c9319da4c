"""Proposal: what a hypothesis says of a spectrum, and the spectrum that would be left."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..case import Case, Reconstructor


@dataclass(frozen=True, eq=False)
class Proposal:
    """A cause fitted to a spectrum.

    Attributes
    ----------
    cause : str
        One of `outcrop.CAUSES`.
    flux, ivar : (M,) float32
        The spectrum with the cause taken off, rest frame, in the unit of the case. Bins that the
        cause leaves no information in have ivar = 0.
    parameters : int
        That were fitted.
    wavelengths : tuple of (float, float)
        Where the cause acts, observed frame, Å.
    sentence : str
    z : float
        The redshift of the cause's object; NaN where it has none of its own.
    frame : float
        Redshift of the rest frame of flux.
    window : (float, float)
        Wavelengths that the bins of flux span, observed frame, Å.
    spectype : str
        The class of the cause's object; empty where it is that of the spectrum.
    model : (M,) float32, optional
        The cause's own model of flux; without it, flux is reconstructed.
    """

    cause: str
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    parameters: int
    wavelengths: tuple[tuple[float, float], ...]
    sentence: str
    frame: float
    window: tuple[float, float]
    z: float = math.nan
    spectype: str = ""
    model: NDArray[np.float32] | None = None


class Hypothesis(Protocol):
    """A known cause."""

    cause: str

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit the cause to a spectrum; None where it cannot apply."""
        ...
