"""The canary keeps a service that scores wrongly from being used, and is checked at intervals."""

from collections.abc import Callable

import pytest

from scoring.canary import Disagreement
from service.application import Application
from tests.service.helpers import FaultyScorer, assert_error, client_of, wait_for


def value(application: Application, name: str) -> float:
    found = application.metrics.registry.get_sample_value(f"outcrop_{name}")
    assert found is not None
    return found


def test_a_canary_that_agrees_is_reported(make_application: Callable[..., Application]) -> None:
    application = make_application()
    assert value(application, "canary_difference_ratio") < 1e-3
    assert value(application, "canary_flags") == 0
    assert value(application, "canary_p_values") == 0
    assert value(application, "canary_checked_timestamp_seconds") > 1.7e9
    assert value(application, "ready") == 1


def test_what_differs_is_counted(make_application: Callable[..., Application]) -> None:
    application = make_application()
    application.metrics.observe_canary(Disagreement(0.5, 2, 3))
    found = [value(application, f"canary_{n}") for n in ("difference_ratio", "flags", "p_values")]
    assert found == [0.5, 2, 3]


def test_a_canary_that_differs_at_the_start_keeps_the_service_unready(
    make_application: Callable[..., Application],
    faulty_scorer: FaultyScorer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faulty_scorer.wmse_factor = 1.01
    application = make_application(faulty_scorer)
    client = client_of(application)
    for path in ("/readyz", "/v2/health/ready"):
        assert_error(client.get(path), 503, "the canary", "differ by up to 0.01 relative")
    assert client.get("/livez").is_success
    assert value(application, "ready") == 0
    assert value(application, "canary_difference_ratio") == pytest.approx(0.01, rel=0.1)
    assert "the canary's scores differ" in caplog.text


def test_a_canary_that_differs_later_is_reported_and_the_service_goes_on(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, canary_seconds=0.01)
    faulty_scorer.wmse_factor = 1.01
    wait_for(lambda: value(application, "canary_difference_ratio") > 1e-3)
    assert client_of(application).get("/readyz").is_success
    faulty_scorer.wmse_factor = 1.0
    wait_for(lambda: value(application, "canary_difference_ratio") < 1e-3)


def test_a_canary_that_cannot_be_scored_differs_and_is_tried_again(
    make_application: Callable[..., Application],
    faulty_scorer: FaultyScorer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    application = make_application(faulty_scorer, canary_seconds=0.01)
    faulty_scorer.error = RuntimeError("the processor is on fire")
    wait_for(lambda: value(application, "canary_difference_ratio") == float("inf"))
    assert "on fire" in caplog.text
    faulty_scorer.error = None
    wait_for(lambda: value(application, "canary_difference_ratio") < 1e-3)


def test_a_check_takes_no_slot_of_a_request_and_ends_with_the_service(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, canary_seconds=0.01)
    faulty_scorer.pause()
    calls = faulty_scorer.calls
    wait_for(lambda: faulty_scorer.calls > calls)
    assert application.work.taken == 0
    faulty_scorer.resume()
    application.close()
    calls = faulty_scorer.calls
    assert value(application, "canary_difference_ratio") < 1e-3
    assert faulty_scorer.calls == calls
