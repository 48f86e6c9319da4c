"""Three spectra in three cameras with everything a coadd has to cope with, the same every time."""

import numpy as np
from numpy.typing import NDArray

PIXELS = {"b": 2751, "r": 2326, "z": 2881}
_MASK_BITS = np.array([1, 4, 256, 2048], np.int32)


def made_cameras() -> dict[str, tuple[NDArray[np.float32], ...]]:
    """Return flux, ivar and mask (3, P) of each camera."""
    rng = np.random.default_rng(20210324)
    cameras = {}
    for name, pixels in PIXELS.items():
        flux = rng.normal(10, 3, (3, pixels)).astype(np.float32)
        ivar = rng.gamma(2, 0.5, (3, pixels)).astype(np.float32)
        ivar[rng.random((3, pixels)) < 0.02] = 0
        mask = np.zeros((3, pixels), np.int32)
        hit = rng.random((3, pixels)) < 0.02
        mask[hit] = rng.choice(_MASK_BITS, hit.sum())
        cameras[name] = (flux, ivar, mask)
    return cameras
