"""The cost of a plan follows from its spectra, a rate and a bandwidth."""

from pathlib import Path

import pytest

from outcrop import InputError
from release.journal import CURRENT, FAILED, SCORED, Event, Journal
from release.plan.cost import BYTES_A_SPECTRUM, Cost, measured_rate


def test_the_arithmetic() -> None:
    cost = Cost(28_000_000, 1000, 50e6)
    assert cost.core_hours == pytest.approx(28_000 / 3600)
    assert cost.hours(1) == pytest.approx(28_000 / 3600 / 128)
    assert cost.hours(10) == pytest.approx(28_000 / 3600 / 1280)
    # 7958 pixels of flux, ivar and mask, four bytes each
    assert cost.size == 28_000_000 * 7958 * 12
    assert cost.transfer_hours == pytest.approx(28_000_000 * BYTES_A_SPECTRUM / 50e6 / 3600)
    assert Cost(5, 1).transfer_hours is None


def test_the_arithmetic_is_written_out() -> None:
    assert Cost(28_000_000, 1000, 50e6).lines() == [
        "score: 28,000,000 spectra / 1,000 spectra/s a core = 7.78 h of one core (7.78 core-hours)",
        "  1 node of 128 cores: 3.65 min",
        "  10 nodes of 128 cores: 22 s",
        "fetch: 28,000,000 spectra x 95,496 B = 2,674 GB / 50 MB/s = 14.9 h",
    ]
    assert len(Cost(5, 1).lines()) == 3


def test_the_rate_of_a_run_is_that_of_its_processes(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for event in (
        Event(SCORED, "a", spectra=500, seconds=0.4),
        Event(SCORED, "b", spectra=100, seconds=0.1),
        Event(CURRENT, "c", spectra=10_000, seconds=0.1),
        Event(FAILED, "d", seconds=100),
    ):
        journal.write(event)
    assert measured_rate(tmp_path) == pytest.approx(1200)


def test_a_folder_without_a_run_has_no_rate(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no journal of scored spectra; name the --output"):
        measured_rate(tmp_path)
