"""TrainingTargetids: the spectra that a model was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Bundle


@dataclass(frozen=True, eq=False)
class TrainingTargetids:
    """The TARGETIDs of a model's training sample.

    Attributes
    ----------
    targetids : (T,) int64
        Ascending.
    """

    targetids: NDArray[np.int64]

    def contains(self, targetid: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which TARGETIDs (N,) belong to the training sample."""
        first = np.searchsorted(self.targetids, targetid, side="left")
        last = np.searchsorted(self.targetids, targetid, side="right")
        return last > first

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of training_targetids.npz."""
        return {"targetids": self.targetids}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "TrainingTargetids":
        """Read what `to_arrays` wrote."""
        return TrainingTargetids(np.sort(arrays["targetids"].astype(np.int64)))

    @staticmethod
    def of(bundle: Bundle) -> "TrainingTargetids":
        """Read the TARGETIDs of a bundle."""
        return TrainingTargetids.from_arrays(bundle.arrays("training_targetids.npz"))
