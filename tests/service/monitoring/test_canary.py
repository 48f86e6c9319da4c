"""The canary keeps a service that scores wrongly from being used, and is checked on and on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from model_store.bundle import Bundle
from outcrop import Scores, Spectra
from scoring.scorer import Scorer
from scoring.stage_timer import Observe
from service.application import Application
from tests.service.helpers import URL, Held, assert_error, wait_for


class Wrong(Scorer):
    """A scorer whose wmse is off by a factor, or that fails."""

    factor = 1.0

    def score(
        self, spectra: Spectra, *, reconstruction: bool = False, observe: Observe | None = None
    ) -> Scores:
        if self.factor == 0:
            raise RuntimeError("the processor is on fire")
        scores = super().score(spectra, reconstruction=reconstruction, observe=observe)
        scores.wmse[:] *= self.factor
        return scores


@pytest.fixture
def wrong(bundle: Path) -> Wrong:
    return Wrong(Bundle.open(bundle), 1)


def value(made: Application, name: str) -> float:
    found = made.metrics.registry.get_sample_value(f"outcrop_{name}")
    assert found is not None
    return found


def test_a_canary_that_agrees_is_told(application: Callable[..., Application]) -> None:
    made = application()
    assert value(made, "canary_difference_ratio") < 1e-3
    assert value(made, "canary_flags") == 0
    assert value(made, "canary_checked_timestamp_seconds") > 1.7e9
    assert value(made, "ready") == 1


def test_a_canary_that_differs_at_the_start_keeps_the_service_unready(
    application: Callable[..., Application], wrong: Wrong, caplog: pytest.LogCaptureFixture
) -> None:
    wrong.factor = 1.01
    made = application(wrong)
    client = TestClient(made.door, base_url=URL)
    for path in ("/readyz", "/v2/health/ready"):
        assert_error(client.get(path), 503, "the canary", "differ by up to 0.01 relative")
    assert client.get("/livez").is_success
    assert value(made, "ready") == 0
    assert value(made, "canary_difference_ratio") == pytest.approx(0.01, rel=0.1)
    assert "the canary does not score" in caplog.text


def test_a_canary_that_differs_later_is_told_and_the_service_goes_on(
    application: Callable[..., Application], wrong: Wrong
) -> None:
    made = application(wrong, canary_seconds=0.01)
    wrong.factor = 1.01
    wait_for(lambda: value(made, "canary_difference_ratio") > 1e-3)
    assert TestClient(made.door, base_url=URL).get("/readyz").is_success
    wrong.factor = 1.0
    wait_for(lambda: value(made, "canary_difference_ratio") < 1e-3)


def test_a_canary_that_cannot_be_scored_differs_and_is_tried_again(
    application: Callable[..., Application], wrong: Wrong, caplog: pytest.LogCaptureFixture
) -> None:
    made = application(wrong, canary_seconds=0.01)
    wrong.factor = 0
    wait_for(lambda: value(made, "canary_difference_ratio") == float("inf"))
    assert "on fire" in caplog.text
    wrong.factor = 1.0
    wait_for(lambda: value(made, "canary_difference_ratio") < 1e-3)


def test_a_check_takes_no_place_of_a_request_and_ends_with_the_service(
    application: Callable[..., Application], bundle: Path
) -> None:
    held = Held(Bundle.open(bundle))
    made = application(held, canary_seconds=0.01)
    held.go.clear()
    begun = held.begun
    wait_for(lambda: held.begun > begun)
    assert made.work.taken == 0
    held.go.set()
    made.close()
    begun = held.begun
    assert value(made, "canary_difference_ratio") < 1e-3
    assert held.begun == begun
