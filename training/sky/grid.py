"""Grid: the wavelengths of all templates, and the constants that these modules share."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DATA: Final = Path(__file__).parent / "data"
LIGHT_SPEED: Final = 299792.458
"""km/s"""
DLNWAVE: Final = 1e-4
WAVE: Final = np.exp(np.arange(np.log(2300.0), np.log(9950.0), DLNWAVE))
"""Rest frame, vacuum Å, even in the logarithm: 30 km/s a pixel."""
