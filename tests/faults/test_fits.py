"""A night of 2,000 petals with damaged bytes ends, and names each petal that it cannot score."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

from tests.outcrop_sdk.fault_server import FaultInjectingServer
from tests.outcrop_sdk.mutants import write_mutants
from tests.outcrop_sdk.sample import write_coadd, write_redrock

NUMBER = 2000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_a_night_of_damaged_files(tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [7, 8, 9], ["r"], NIGHT=20210324)
    redrock = write_redrock(tmp_path / "redrock.fits", [9, 8, 7])
    write_mutants(coadd, redrock, tmp_path / "tree", NUMBER)
    command = Path(sys.executable).with_name("outcrop")
    folders = [str(tmp_path / "tree"), "--output", str(tmp_path / "out")]

    with FaultInjectingServer() as server:
        done = subprocess.run(
            [command, "night", *folders, "--url", server.url],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=3000,
        )

    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    summary: Any = Table.read(tmp_path / "out" / "summary.ecsv")
    assert len(summary) == NUMBER
    states = summary["STATE"].tolist()
    assert states.count("waiting") == 0
    # The damage is in what is never read of the others.
    assert states.count("failed") > NUMBER / 3
    for row in summary[summary["STATE"] == "failed"]:
        assert row["COADD"].removeprefix("coadd") in row["ERROR"]
