"""Whatever the OpenAPI document allows or forbids, the service answers as the document says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.conftest import Served


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_service_keeps_to_its_openapi_document(served: Served, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{served.url}/openapi.json",
            "--max-examples=200",
            "--seed=1",
            "--no-color",
            # That arrays agree in length, and lie on DESI's grid, is more than a schema can say.
            "--exclude-checks=positive_data_acceptance",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 16" in done.stdout
    assert '"code": 500' not in served.log.read_text()
