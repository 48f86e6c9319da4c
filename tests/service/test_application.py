"""The application starts only with a model that scores, and stops all that it started."""

import threading
from collections.abc import Callable

import pytest

from model_store.bundle import BundleError
from service.application import Application
from tests.service.helpers import FaultyScorer


def test_a_model_that_cannot_score_a_flat_spectrum_is_not_served(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    faulty_scorer.wmse_factor = float("nan")
    with pytest.raises(BundleError, match="gives a flat spectrum wmse nan"):
        make_application(faulty_scorer)


def test_it_is_ready_once_it_is_made(make_application: Callable[..., Application]) -> None:
    assert make_application().health.trouble is None


def test_closing_ends_its_threads(
    make_application: Callable[..., Application],
) -> None:
    before = set(threading.enumerate())
    application = make_application()
    begun = set(threading.enumerate()) - before
    assert {thread.name.partition("_")[0] for thread in begun} == {"canary", "explain"}
    application.close()
    assert not any(thread.is_alive() for thread in begun)
