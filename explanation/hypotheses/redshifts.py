"""Redshifts: another redshift in the model's range, at which the spectrum is better explained."""

import numpy as np
from numpy.typing import NDArray

from ..case import STELLAR, Case, Reconstructor
from ..redshift import RedshiftScan
from ..rest_frame import resample_at
from .proposal import Proposal

# A redshift nearer the given one is no other redshift.
_SAME = 3e-3


class OtherRedshift:
    """The best other redshift of a galaxy or quasar, and the best one of a star."""

    def __init__(self, scan: RedshiftScan, edges: NDArray[np.float64]) -> None:
        self._scan = scan
        self._edges = edges

    def fit(self, case: Case, reconstruct: Reconstructor) -> list[Proposal]:
        """Return at most one proposal of each."""
        found: dict[str, Proposal] = {}
        for z in self._scan(case, reconstruct):
            star = abs(z) < STELLAR
            cause = "other_class" if star else "wrong_redshift"
            known = star and case.spectype == "STAR"
            if cause in found or known or abs(z - case.z) < _SAME:
                continue

            flux, ivar = resample_at(case.pixel_flux, case.pixel_ivar, np.array([z]), self._edges)
            better = "a star" if star else "a spectrum"
            found[cause] = Proposal(
                cause,
                flux[0],
                ivar[0],
                1,
                (case.window,),
                f"At z = {z:z.4f}, not {case.z:z.4f}, it is {better} that the model knows",
                z,
                (float(self._edges[0] * (1 + z)), float(self._edges[-1] * (1 + z))),
                z,
                "STAR" if star else "GALAXY" if case.spectype == "STAR" else "",
            )
        return list(found.values())
