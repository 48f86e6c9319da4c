"""Damaged bytes are an InputError that names the file, or do not matter; tests/faults has more."""

from pathlib import Path

import numpy as np
import pytest

from outcrop import InputError, is_simulated, read_spectra
from outcrop.night.fiber_observations import read_fiber_observations
from tests.outcrop_sdk.mutants import write_mutants
from tests.outcrop_sdk.sample import write_coadd, write_redrock

pytestmark = pytest.mark.long

NUMBER = 1000


# astropy warns of some damage before the file is refused.
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_are_refused_by_name_or_do_not_matter(tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [7, 8, 9], ["r"], NIGHT=20210324)
    redrock = write_redrock(tmp_path / "redrock.fits", [9, 8, 7])
    write_mutants(coadd, redrock, tmp_path / "tree", NUMBER, first=10_000)

    refused = 0
    for path in sorted((tmp_path / "tree").glob("coadd-*")):
        other = path.with_name(path.name.replace("coadd", "redrock"))
        try:
            read_spectra(path, other)
            read_fiber_observations(path, np.array([7]))
            is_simulated(path)
        except InputError as error:
            refused += 1
            assert path.name.removeprefix("coadd") in str(error)  # noqa: PT017 (it may be read)
            assert "\n" not in str(error)  # noqa: PT017
    assert NUMBER / 3 < refused < NUMBER
