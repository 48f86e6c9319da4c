"""The service as users start it, and the bytes of one small message."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from outcrop.wire import encode_request
from tests.service.conftest import Served, serving
from tests.service.helpers import made_spectra


@pytest.fixture(scope="session")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The bundle served by `bentoml serve`; no test may leave it worse than it was."""
    with serving(tmp_path_factory.mktemp("served"), OUTCROP_MODEL=str(bundle)) as process:
        yield process


@pytest.fixture(scope="session")
def message() -> tuple[dict[str, str], bytes]:
    """Headers and body of a binary message that holds one spectrum of one camera."""
    return encode_request(made_spectra(1, ("b",)))


@pytest.fixture
def processes(served: Served) -> list[psutil.Process]:
    """The served process and its worker."""
    supervisor = psutil.Process(served.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]
