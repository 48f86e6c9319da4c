"""Wavelengths of lines are those of the literature, in vacuum."""

import re

import pytest

from explanation.line_matching import GALAXY, QUASAR
from explanation.lines import ABSORPTION, BALMER, EMISSION, FAINT, INFRARED_ABSORPTION

AIR = {
    "Hα": 6562.79, "Hβ": 4861.35, "Hγ": 4340.472, "Hδ": 4101.734, "Hε": 3970.075, "Hζ": 3889.064,
    "[Ne III] 3870": 3868.76, "[O III] 4364": 4363.21, "[O III] 4960": 4958.911,
    "[O III] 5008": 5006.843, "He II 4687": 4685.71, "He I 4473": 4471.48, "He I 5877": 5875.624,
    "[N II] 5756": 5754.59, "[O I] 6302": 6300.304, "[O I] 6366": 6363.776,
    "[N II] 6550": 6548.05, "[N II] 6585": 6583.45, "[S II] 6718": 6716.44,
    "[S II] 6733": 6730.816, "[Ar III] 7138": 7135.79, "He I 7067": 7065.19, "[S III] 9071": 9068.6,
    "[S III] 9533": 9530.6, "Ca K": 3933.663, "Ca H": 3968.469, "Ca II 8500": 8498.02,
    "Ca II 8545": 8542.09, "Ca II 8665": 8662.14,
}  # fmt: skip
"""Å in air, NIST Atomic Spectra Database."""
EVERY = EMISSION + FAINT + ABSORPTION + INFRARED_ABSORPTION


def vacuum(air: float) -> float:
    """Return the wavelength in vacuum, by the dispersion of air of Morton (2000)."""
    square = (1e4 / air) ** 2
    index = 8.336624212083e-5 + 2.408926869968e-2 / (130.1065924522 - square)
    return air * (1 + index + 1.599740894897e-4 / (38.92568793293 - square))


@pytest.mark.parametrize("name", AIR)
def test_wavelengths_are_in_vacuum(name: str) -> None:
    (line,) = (one for one in EVERY if one.name == name)
    assert line.wave == pytest.approx(vacuum(AIR[name]), abs=0.35)


def test_names_have_the_vacuum_wavelength() -> None:
    for line in EVERY:
        for number in re.findall(r"\d{4}", line.name):
            assert int(number) == pytest.approx(line.wave, abs=1.0)
    assert len({line.name for line in EVERY}) == len(EVERY)


def test_lines_of_several_lists_are_the_same() -> None:
    waves = {line.name: line.wave for line in EVERY}
    assert len(BALMER) == 8
    for name, wave, _ in (*QUASAR, *GALAXY):
        for other, known in waves.items():
            if other.split(" ")[0] == name and abs(known - wave) < 30:
                assert wave == pytest.approx(known, abs=0.2)
