"""Indices: spectral indices, namely colour, 4000 Å break and equivalent widths.

The example spectra, the ends of tracks and Table 1 of Nicolaou et al. 2025 are derived from them.
Equivalent widths are positive in emission. Windows are in the rest frame, vacuum Å; an index is NaN
on a grid that does not cover all of its windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .sample import PlotSample

Window = tuple[float, float]

LINE_INDICES: Final[Mapping[str, tuple[Window, Window, Window]]] = {
    "Hα": ((6555.0, 6575.0), (6483.0, 6513.0), (6623.0, 6653.0)),
    "[N II]": ((6576.0, 6595.0), (6483.0, 6513.0), (6623.0, 6653.0)),
    "Hβ": ((4852.0, 4873.0), (4798.0, 4838.0), (4885.0, 4925.0)),
    "[O III]": ((4998.0, 5018.0), (4975.0, 4996.0), (5020.0, 5042.0)),
    "[O II]": ((3717.0, 3740.0), (3696.0, 3716.0), (3742.0, 3763.0)),
}
"""Windows of the line and of the continuum on both sides, after Belfiore et al. 2019, Table 2."""

BLUE_BAND: Final = (4020.0, 4500.0)
RED_BAND: Final = (6800.0, 7400.0)
BREAK_BANDS: Final = ((3851.0, 3951.0), (4001.0, 4101.0))
"""Bands of D4000 (Balogh et al. 1999), converted to vacuum."""

WINGS: Final = ((6432.0, 6532.0), (6597.0, 6697.0))
"""Hα at 1500 to 6000 km/s, where only broad lines emit. [N II] and [S II] lie outside."""
_FAR_CONTINUUM: Final = ((6360.0, 6425.0), (6760.0, 6825.0))

_BLOCK = 4096

NAMES: Final = ("colour", "D4000", *LINE_INDICES, "broad Hα")


@dataclass(frozen=True, eq=False)
class Indices:
    """Indices of spectra on a grid of equal bins.

    Attributes
    ----------
    wave : (M,) float64
        Centres of the bins, vacuum Å.
    """

    wave: NDArray[np.float64]

    def __call__(self, flux: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        """Return each index of `NAMES`, (N,), of spectra (N, M).

        ``colour`` is (red − blue) / (red + blue) of the mean flux in two bands, −1 to 1. D4000 is
        a ratio of mean f_ν. The others are equivalent widths in Å.
        """
        spectra = np.asarray(flux, np.float64)
        blue, red = self._mean(spectra, BLUE_BAND), self._mean(spectra, RED_BAND)
        below, above = (self._mean(spectra * self.wave**2, band) for band in BREAK_BANDS)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {
                "colour": np.clip((red - blue) / (np.abs(red) + np.abs(blue)), -1, 1),
                "D4000": np.where(below > 0, above / below, np.nan),
            }
            for name, (line, left, right) in LINE_INDICES.items():
                values[name] = self._width(spectra, (line,), (left, right))
            values["broad Hα"] = self._width(spectra, WINGS, _FAR_CONTINUUM)
        return values

    def _inside(self, window: Window) -> NDArray[np.bool_] | None:
        low, high = window
        if low < self.wave[0] or high > self.wave[-1]:
            return None
        inside = (self.wave >= low) & (self.wave <= high)
        return inside if inside.any() else None

    def _mean(self, flux: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
        inside = self._inside(window)
        if inside is None:
            return np.full(len(flux), np.nan)
        return flux[:, inside].mean(axis=1)

    def _width(
        self, flux: NDArray[np.float64], windows: Sequence[Window], continuum: tuple[Window, Window]
    ) -> NDArray[np.float64]:
        """Return the equivalent width in the windows above a linear continuum."""
        left, right = continuum
        levels = self._mean(flux, left), self._mean(flux, right)
        centres = (sum(left) / 2, sum(right) / 2)

        total = np.zeros(len(flux))
        for window in windows:
            inside = self._inside(window)
            if inside is None:
                return np.full(len(flux), np.nan)
            share = (self.wave[inside] - centres[0]) / (centres[1] - centres[0])
            level = levels[0][:, None] * (1 - share) + levels[1][:, None] * share
            # Mean excess times width: the edges of the window are not edges of bins.
            excess = np.where(level > 0, flux[:, inside] / level - 1, np.nan)
            total += excess.mean(axis=1) * (window[1] - window[0])

        return total


def of_reconstructions(
    sample: PlotSample, wave: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    """Return one index (N,) of the reconstructions of a sample, which have no noise."""
    measure = Indices(wave)
    blocks = [sample.spectrum_row[i : i + _BLOCK] for i in range(0, max(len(sample), 1), _BLOCK)]
    return np.concatenate([measure(sample.spectra.model[block])[name] for block in blocks])
