"""Reference: who the reference spectra of the density are, and how near an inlier lies to one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

_LEVELS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference sample of a density, in the order of its latents.

    Attributes
    ----------
    targetid : (R,) int64
    z : (R,) float64
    spectype : (R,) str
        redrock's class.
    place : (R, 2) float32
        Coordinates on the map of the latent space. Neighbours in latent space are neighbours on the
        map; the axes and distances between groups have no meaning.
    nearest : (101,) float64
        Percentiles 0 to 100 of the distance between a calibration spectrum and the reference
        spectrum nearest to it.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """

    targetid: NDArray[np.int64]
    z: NDArray[np.float64]
    spectype: NDArray[np.str_]
    place: NDArray[np.float32]
    nearest: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = len(self.targetid)
        shapes = {"z": (count,), "spectype": (count,), "place": (count, 2)}
        for name, shape in (shapes | {"nearest": _LEVELS.shape}).items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(
                    f"{name} of explanation.npz has the shape {found}, expected {shape} with "
                    f"{count} reference spectra: train again"
                )

    def __len__(self) -> int:
        return len(self.targetid)

    def quantile(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of inliers whose own nearest neighbour is nearer than each distance."""
        return np.interp(distance, self.nearest, _LEVELS)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of explanation.npz that describe the reference sample."""
        return {
            "targetid": self.targetid,
            "z": self.z,
            "spectype": self.spectype,
            "place": self.place,
            "nearest": self.nearest,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Reference":
        """Read what `to_arrays` wrote."""
        return Reference(
            arrays["targetid"].astype(np.int64),
            arrays["z"].astype(np.float64),
            cast(NDArray[np.str_], arrays["spectype"].astype(np.str_)),
            arrays["place"].astype(np.float32),
            arrays["nearest"].astype(np.float64),
        )


def nearest_percentiles(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percentiles (101,) of distances (N,) of inliers; NaN ones do not count."""
    return np.nanquantile(distance, _LEVELS)
