"""Paths of coadds are those of DESI, and say what the coadds are of."""

import pytest

from outcrop.plan import PlannedPetal
from release.plan.layouts import of_files, of_pixel, of_tile


@pytest.mark.parametrize(
    "petal",
    [
        of_pixel("healpix", "main", "bright", 27247, 5),
        of_pixel("healpix", "sv1", "other", 99, 5),
        of_pixel("uniqpix", "special", "dark", 699669, 5),
        of_tile("", "", 80613, 4, 20210324, 5),
    ],
)
def test_a_path_says_what_it_was_made_of(petal: PlannedPetal) -> None:
    assert of_files(petal.coadd, petal.redrock, 5) == petal


def test_paths_are_those_of_desi() -> None:
    # The example of desidatamodel, and one of DR1.
    assert of_pixel("uniqpix", "special", "dark", 5, 353).coadd == (
        "spectra/special/dark/0/5/coadd-special-dark-5.fits"
    )
    assert of_tile("sv3", "dark", 169, 5, 20210419, 500).redrock == (
        "tiles/cumulative/169/20210419/redrock-5-169-thru20210419.fits"
    )


@pytest.mark.parametrize(
    ("coadd", "expected"),
    [
        ("coadd-main-bright-5.fits", ("main", "bright", -1, -1, -1, -1)),
        ("x/healpix/main/dark/0/5/coadd-main-dark-5.fits.gz", ("main", "dark", 5, -1, -1, -1)),
        ("tiles/pernight/7/20210419/coadd-5-7-20210419.fits", ("", "", -1, -1, 7, 5)),
        ("mine/coadd-a.fits", ("", "", -1, -1, -1, -1)),
    ],
)
def test_what_a_path_does_not_say_is_unknown(coadd: str, expected: tuple[object, ...]) -> None:
    petal = of_files(coadd, "redrock.fits", 0)
    assert expected == (
        *(petal.survey, petal.program, petal.healpix),
        *(petal.uniqpix, petal.tileid, petal.petal),
    )
