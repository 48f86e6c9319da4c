"""`python -m scoring` writes the table without a server, or prints one line that says why not."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from outcrop.desi import Petal

pytestmark = pytest.mark.long

Command = Callable[..., CompletedProcess[str]]


def data(path: Path, name: str) -> Any:
    """The rows or the image of an HDU."""
    return fits.getdata(path, name)


def test_the_table_has_redrocks_rows(
    command: Command, petal: Petal, bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "outliers.fits"
    files = ("--coadd", petal.coadd, "--redrock", petal.redrock, "--output", output)
    done = command("-m", "scoring", *files, "--model", bundle, "--reconstruction")
    assert done.returncode == 0, done.stderr
    assert "simulated" in done.stdout
    assert "noise corrected from " in done.stdout
    table = data(output, "OUTLIERS")
    np.testing.assert_array_equal(table["TARGETID"], data(petal.redrock, "REDSHIFTS")["TARGETID"])
    assert data(output, "MODEL").shape == (500, 250)
    assert np.isfinite(table["P_VALUE"]).sum() > 350

    again = command("-m", "scoring", *files, "--model", bundle)
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_a_wrong_model_is_named(command: Command, petal: Petal, tmp_path: Path) -> None:
    output = tmp_path / "outliers.fits"
    files = ("--coadd", petal.coadd, "--redrock", petal.redrock, "--output", output)
    done = command("-m", "scoring", *files, "--model", "no-such-model")
    assert done.returncode == 1
    assert "no-such-model" in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_real_files_are_scored_with_a_warning(
    command: Command, real: Path, bundle: Path, tmp_path: Path
) -> None:
    for name in ("4-80613-thru20210324", "special-dark-27247"):
        done = command(
            "-m",
            "scoring",
            *("--coadd", real / f"coadd-{name}.fits", "--redrock", real / f"redrock-{name}.fits"),
            *("--output", tmp_path / f"{name}.fits", "--model", bundle),
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("simulated sky") == 1
        assert np.isfinite(data(tmp_path / f"{name}.fits", "OUTLIERS")["WMSE"]).all()
