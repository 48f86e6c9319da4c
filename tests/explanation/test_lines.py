"""Wavelengths of lines, against those in air converted to vacuum."""

import pytest

from explanation.lines import ABSORPTION, BALMER, EMISSION, Line

# NIST Atomic Spectra Database, air Å; of a blend the mean.
AIR = {
    "Hα": 6562.80,
    "Hβ": 4861.34,
    "Hγ": 4340.47,
    "Hδ": 4101.74,
    "[O II] 3729": 3727.44,
    "[Ne III] 3870": 3868.76,
    "[O III] 4960": 4958.91,
    "[O III] 5008": 5006.84,
    "He I 5877": 5875.64,
    "[O I] 6302": 6300.30,
    "[N II] 6550": 6548.05,
    "[N II] 6585": 6583.45,
    "[S II] 6718": 6716.44,
    "[S II] 6733": 6730.82,
    "[Ar III] 7138": 7135.79,
    "Ca K": 3933.66,
    "Ca H": 3968.47,
    "Mg b": 5174.53,
    "Na D": 5892.94,
    "He II 4687": 4685.70,
    "He I 7067": 7065.22,
}


def vacuum(air: float) -> float:
    """Return the vacuum wavelength, Å (Birch & Downs 1994, as VALD uses it)."""
    wave = air
    for _ in range(5):
        square = (1e4 / wave) ** 2
        refraction = 8.34254e-5 + 2.406147e-2 / (130 - square) + 1.5998e-4 / (38.9 - square)
        wave = air * (1 + refraction)
    return wave


@pytest.mark.parametrize("line", [*EMISSION, *BALMER, *ABSORPTION], ids=lambda one: one.name)
def test_wavelengths_are_in_vacuum(line: Line) -> None:
    if line.name not in AIR:
        pytest.skip("a band, or a line without an entry")
    assert line.wave == pytest.approx(vacuum(AIR[line.name]), abs=0.35)
