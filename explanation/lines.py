"""Lines: rest wavelengths of emission and absorption lines, vacuum Å.

From fastspecfit's emlines.ecsv (BSD-3), where those of NIST, Vanden Berk et al. (2001) and Chianti
are collected; the absorption lines are those of SDSS.
"""

from dataclasses import dataclass

LIGHT_SPEED = 299792.458
"""km/s"""


@dataclass(frozen=True)
class SpectralLine:
    """A line: its name, and its rest-frame wavelength in vacuum Å."""

    name: str
    wave: float


EMISSION = tuple(
    SpectralLine(*x)
    for x in [
        ("[O II] 3729", 3728.5),
        ("[Ne III] 3870", 3869.86),
        ("Hδ", 4102.892),
        ("Hγ", 4341.692),
        ("Hβ", 4862.71),
        ("[O III] 4960", 4960.295),
        ("[O III] 5008", 5008.240),
        ("He I 5877", 5877.249),
        ("[O I] 6302", 6302.046),
        ("[N II] 6550", 6549.861),
        ("Hα", 6564.60),
        ("[N II] 6585", 6585.273),
        ("[S II] 6718", 6718.294),
        ("[S II] 6733", 6732.674),
        ("[Ar III] 7138", 7137.77),
    ]
)
ABSORPTION = tuple(
    SpectralLine(*x)
    for x in [
        ("Ca K", 3934.777),
        ("Ca H", 3969.588),
        ("G band", 4305.61),
        ("Mg b", 5176.0),
        ("Na D", 5894.6),
    ]
)
FAINT = tuple(
    SpectralLine(*x)
    for x in [
        ("[Ne V] 3427", 3426.864),
        ("Hζ", 3890.158),
        ("Hε", 3971.195),
        ("[O III] 4364", 4364.435),
        ("He I 4473", 4472.729),
        ("He II 4687", 4687.02),
        ("[N II] 5756", 5756.189),
        ("[S III] 6314", 6313.806),
        ("[O I] 6366", 6365.536),
        ("[O II] 7322", 7321.731),
        ("[O II] 7332", 7332.199),
        ("He I 7067", 7067.14),
        ("[S III] 9071", 9071.103),
        ("[S III] 9533", 9533.227),
    ]
)
"""Further emission lines: fastspecfit's emlines.ecsv and NIST."""
_BROAD = ("Hε", "Hδ", "Hγ", "He II 4687", "Hβ", "He I 5877", "Hα", "He I 7067")
BALMER = tuple(one for name in _BROAD for one in EMISSION + FAINT if one.name == name)
"""Lines of hydrogen and helium that may be broad."""
INFRARED_ABSORPTION = tuple(
    SpectralLine(*x)
    for x in [("Ca II 8500", 8500.36), ("Ca II 8545", 8544.44), ("Ca II 8665", 8664.52)]
)
