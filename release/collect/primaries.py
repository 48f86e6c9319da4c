"""Primaries: the one row of a target that counts, where it was observed several times."""

import numpy as np
from numpy.typing import NDArray


def primaries(
    targetid: NDArray[np.int64], eligible: NDArray[np.bool_], snr: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return which rows are primary: of each target the eligible one of the highest S/N.

    An ineligible row is primary where its target has no eligible one. Of equal rows it is the
    first.

    Parameters
    ----------
    targetid : (N,) int64
    eligible : (N,) bool
    snr : (N,) float32

    Examples
    --------
    >>> import numpy as np
    >>> from release.collect.primaries import primaries
    >>> targetid, eligible = np.array([7, 7, 7, 5]), np.array([True, True, False, False])
    >>> primaries(targetid, eligible, np.array([2.0, 3.0, 9.0, np.nan], np.float32))
    array([False,  True, False,  True])
    """
    order = np.lexsort((-snr, ~eligible, targetid))  # stable; NaN sorts last
    found = np.zeros(len(targetid), np.bool_)
    first = np.ones(len(targetid), np.bool_)
    first[1:] = targetid[order[1:]] != targetid[order[:-1]]
    found[order[first]] = True
    return found
