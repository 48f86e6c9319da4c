"""The service responds as its OpenAPI document says, to requests it allows and to others."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.conftest import ServedProcess


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_service_keeps_to_its_openapi_document(served: ServedProcess, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{served.url}/openapi.json",
            "--max-examples=200",
            "--seed=1",
            "--no-color",
            # A schema cannot say that arrays agree in length and wavelengths lie on DESI's grid.
            "--exclude-checks=positive_data_acceptance",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 17" in done.stdout
    assert '"code": 500' not in served.log.read_text()
