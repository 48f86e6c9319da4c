"""Other class: a white dwarf, a cataclysmic variable or a distant quasar, which the model lacks.

Each is a smooth continuum with lines of free height, fitted to the whole observed spectrum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..case import OBSERVED, Case, Reconstructor
from ..line_matching import match_lines
from ..rest_frame import resample_at
from .line_fit import profiles
from .proposal import Proposal

_DEGREE = 5
_BALMER = (3836.5, 3890.2, 3971.2, 4102.9, 4341.7, 4862.7, 6564.6)
_HELIUM = (4472.7, 4687.0, 4923.3, 5017.1, 5877.2, 6679.9)
_ULTRAVIOLET = (1215.67, 1240.8, 1396.8, 1549.5, 1640.4, 1908.7, 2799.1, 3728.5, 4341.7, 4862.7)


@dataclass(frozen=True)
class _Kind:
    """Lines of one kind of object, all of one width and one sign."""

    name: str
    lines: tuple[float, ...]
    widths: tuple[float, ...]
    """σ, km/s."""
    sign: int
    spectype: str
    winged: bool = False


_WHITE_DWARF = _Kind(
    "a white dwarf", _BALMER, (700.0, 1100.0, 1700.0, 2600.0, 4000.0), -1, "STAR", winged=True
)
_CATACLYSMIC = _Kind(
    "a cataclysmic variable", _BALMER + _HELIUM, (300.0, 500.0, 800.0, 1200.0), 1, "STAR"
)
_QUASAR = _Kind("a quasar", _ULTRAVIOLET, (1200.0, 2000.0, 3200.0), 1, "QSO", winged=True)


class OtherClass:
    """The best of the kinds."""

    cause = "other_class"

    def __init__(self, edges: NDArray[np.float64], redshift_range: tuple[float, float]) -> None:
        _, self._highest = redshift_range
        # The same number of bins over the whole observed range, so that other scores compare.
        self._edges = np.linspace(OBSERVED[0], OBSERVED[-1], len(edges))
        self._wave = (self._edges[1:] + self._edges[:-1]) / 2
        x = np.linspace(-1, 1, len(self._wave))
        self._smooth = np.polynomial.legendre.legvander(x, _DEGREE).T

    def fit(self, case: Case, reconstruct: Reconstructor) -> Proposal | None:
        """Fit all kinds."""
        flux, ivar = resample_at(
            case.pixel_flux / np.float32(case.norm),
            case.pixel_ivar * np.float32(case.norm) ** 2,
            np.zeros(1),
            self._edges,
        )
        kinds = [(_WHITE_DWARF, 0.0), (_CATACLYSMIC, 0.0)]
        match = match_lines(case.pixel_flux, case.pixel_ivar, self._highest)
        if match is not None:
            kinds.append((_QUASAR, match.z))

        best, chosen = None, (np.inf, _QUASAR, 0.0)
        for kind, z in kinds:
            chi2, model, parameters, lines = self._best_width(flux[0], ivar[0], kind, z)
            if chi2 < chosen[0] and len(lines) > 1:
                best, chosen = (model, parameters, lines), (chi2, kind, z)
        if best is None:
            return None

        model, parameters, lines = best
        _, kind, z = chosen
        places = tuple((float(one * 0.99), float(one * 1.01)) for one in lines)
        return Proposal(
            self.cause,
            flux[0],
            ivar[0],
            parameters,
            places,
            f"{len(lines)} lines at z = {z:z.3f} are those of {kind.name}",
            0.0,
            (float(self._edges[0]), float(self._edges[-1])),
            z,
            kind.spectype,
            model.astype(np.float32),
        )

    def _best_width(
        self, flux: NDArray[np.float32], ivar: NDArray[np.float32], kind: _Kind, z: float
    ) -> tuple[float, NDArray[np.float64], int, NDArray[np.float64]]:
        """Return χ², the model (M,), the number of parameters and the lines (L,) of a kind, Å."""
        centres = np.array(kind.lines) * (1 + z)
        inside = (centres > self._edges[5]) & (centres < self._edges[-6])
        centres = centres[inside]
        best = (np.inf, np.zeros(len(flux)), 0, centres[:0])
        for shapes in profiles(self._wave, list(centres), kind.widths, kind.winged):
            model, used = self._fit(flux, ivar.astype(np.float64), shapes, kind.sign)
            chi2 = float(np.sum(ivar * (flux - model) ** 2))
            if chi2 < best[0]:
                best = (chi2, model, _DEGREE + 1 + len(used), centres[used])
        return best

    def _fit(
        self,
        flux: NDArray[np.float32],
        ivar: NDArray[np.float64],
        shapes: NDArray[np.float64],
        sign: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the model (M,) and which lines it has: those of the other sign are left out."""
        basis = np.vstack([self._smooth, shapes])
        weighted = basis * ivar
        normal, projection = weighted @ basis.T, weighted @ flux
        normal[np.diag_indices(len(normal))] *= 1 + 1e-6
        smooth = np.arange(_DEGREE + 1)
        used = np.arange(len(shapes))
        while True:
            terms = np.append(smooth, used + _DEGREE + 1)
            found = np.linalg.solve(normal[np.ix_(terms, terms)], projection[terms])
            heights = found[_DEGREE + 1 :]
            if (heights * sign >= 0).all():
                return found @ basis[terms], used
            used = used[heights * sign > 0]
