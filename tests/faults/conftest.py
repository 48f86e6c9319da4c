"""The service as users start it, and the bytes of one small message."""

import psutil
import pytest

from outcrop.wire import encode_request
from tests.service.conftest import ServedProcess, served
from tests.service.helpers import make_spectra

__all__ = ["served"]


@pytest.fixture(scope="session")
def message() -> tuple[dict[str, str], bytes]:
    """Headers and body of a binary message that holds one spectrum of one camera."""
    return encode_request(make_spectra(1, ("b",)))


@pytest.fixture
def processes(served: ServedProcess) -> list[psutil.Process]:
    """The served process and its worker."""
    supervisor = psutil.Process(served.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]
