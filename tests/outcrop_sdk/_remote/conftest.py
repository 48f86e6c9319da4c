"""Tests of remote files use TLS."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def one_tls_context() -> None:
    """These tests use TLS, and so the real context."""
