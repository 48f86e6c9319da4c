"""Why pixels are not used: DESI's bits on the common grid."""

import numpy as np

from outcrop import WAVE, Band, Spectra
from review.mask import BITS, mask_bits

COSMIC, BADCOLUMN = 1 << BITS.index("COSMIC"), 1 << BITS.index("BADCOLUMN")


def spectrum_of(**masks: np.ndarray | None) -> Spectra:
    bands: dict[str, Band] = {}
    for name, mask in masks.items():
        ones = np.ones((1, len(WAVE[name])), np.float32)
        bands[name] = Band(ones, ones, mask)
    return Spectra(bands, z=np.array([0.1]), targetid=np.array([1]))


def test_the_bits_are_at_their_wavelengths() -> None:
    assert (COSMIC, BADCOLUMN) == (4, 1024)
    b, r = (np.zeros((1, len(WAVE[name])), np.int32) for name in "br")
    # The cameras overlap from 5760 to 5800 Å.
    shared = 5780.0
    b[0, np.argmin(abs(WAVE["b"] - shared))] = COSMIC
    r[0, np.argmin(abs(WAVE["r"] - shared))] = BADCOLUMN
    r[0, -1] = BADCOLUMN
    found = mask_bits(spectrum_of(b=b, r=r, z=None))
    assert dict(zip(WAVE["brz"][found > 0].round(1).tolist(), found[found > 0], strict=True)) == {
        shared: COSMIC | BADCOLUMN,
        WAVE["r"][-1].round(1): BADCOLUMN,
    }


def test_the_common_band_and_masks_of_other_types_are_read() -> None:
    mask = np.zeros((1, len(WAVE["brz"])), np.uint32)
    mask[0, 7] = COSMIC
    assert np.flatnonzero(mask_bits(spectrum_of(brz=mask))).tolist() == [7]
    assert mask_bits(spectrum_of(brz=mask > 0))[7] == 1
