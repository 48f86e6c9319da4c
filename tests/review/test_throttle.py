"""Wrong tokens make an address wait; what is kept of addresses is bounded."""

import pytest

from review.throttle import FREE, LONGEST, Throttle


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def test_the_wait_doubles_up_to_a_minute(throttle: Throttle, clock: Clock) -> None:
    for _ in range(FREE):
        assert throttle.wait("192.0.2.1") == 0
        throttle.wrong("192.0.2.1")
    waits: list[float] = []
    for _ in range(8):
        waits.append(throttle.wait("192.0.2.1"))
        clock.now += waits[-1]
        assert throttle.wait("192.0.2.1") == 0
        throttle.wrong("192.0.2.1")
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]
    assert throttle.wait("192.0.2.2") == 0


def test_a_token_and_time_end_it(throttle: Throttle, clock: Clock) -> None:
    for _ in range(FREE + 3):
        throttle.wrong("192.0.2.1")
    throttle.right("192.0.2.1")
    assert throttle.wait("192.0.2.1") == 0
    for _ in range(FREE + 3):
        throttle.wrong("192.0.2.1")
    clock.now += 601
    assert throttle.wait("192.0.2.1") == 0
    throttle.wrong("192.0.2.1")
    assert throttle.wait("192.0.2.1") == 0


def test_addresses_of_one_network_are_one(throttle: Throttle) -> None:
    for last in range(FREE):
        throttle.wrong(f"2001:db8::{last + 1}")
    assert throttle.wait("2001:db8::ffff") > 0
    assert throttle.wait("2001:db8:0:1::1") == 0
    for _ in range(FREE):
        throttle.wrong("::ffff:192.0.2.7")
    assert throttle.wait("192.0.2.7") > 0


def test_many_addresses_are_kept_in_bounded_memory(throttle: Throttle, clock: Clock) -> None:
    tried = 0
    for number in range(3000):
        address = f"10.0.{number // 250}.{number % 250}"
        if throttle.wait(address) == 0:
            tried += 1
            throttle.wrong(address)
    assert tried == 1000
    assert throttle.wait("192.0.2.9") == LONGEST
    clock.now += 601
    assert throttle.wait("192.0.2.9") == 0


def test_the_longest_wait_stays_whoever_guesses_for_a_day(throttle: Throttle) -> None:
    for _ in range(2000):
        throttle.wrong("192.0.2.1")
    assert throttle.wait("192.0.2.1") == LONGEST
