"""A petal's table is made whole, of files that stayed what they were."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop import Client, InputError, OutcropError, Petal, read_spectra
from outcrop.night.retries import Patient
from outcrop.night.tables import is_current, make_table
from tests.outcrop_sdk.sample import read_table, some_model, write_coadd, write_redrock
from tests.outcrop_sdk.server import Service, failing


@pytest.fixture
def petal(tmp_path: Path) -> Petal:
    return Petal(
        write_coadd(tmp_path / "coadd-1.fits", [11, 12, 13]),
        write_redrock(tmp_path / "redrock-1.fits", [13, 12, 11]),
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "out" / "1" / "outliers-1.fits"


@pytest.fixture
def over() -> threading.Event:
    return threading.Event()


@pytest.fixture
def patient(service: Service, over: threading.Event) -> Iterator[Patient]:
    with Client(service.url, timeout=5) as client:
        yield Patient(client, over)


def test_a_table_is_current_once_it_is_made(patient: Patient, petal: Petal, table: Path) -> None:
    assert not is_current(table, petal, some_model())
    scores = make_table(table, petal, some_model(), patient)
    assert is_current(table, petal, some_model())
    assert scores.targetid.tolist() == read_table(table)["TARGETID"].tolist() == [13, 12, 11]


def test_files_that_change_while_they_are_read_make_no_table(
    patient: Patient, petal: Petal, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(*paths: Any) -> Any:
        spectra = read_spectra(*paths)
        os.utime(petal.coadd, ns=(1, 1))
        return spectra

    monkeypatch.setattr("outcrop.night.tables.read_spectra", reading)
    with pytest.raises(InputError, match=r"coadd-1\.fits or .* changed while it was read"):
        make_table(table, petal, some_model(), patient)
    assert not table.exists()


def test_a_healpixel_of_many_spectra_goes_in_chunks(
    service: Service, patient: Patient, tmp_path: Path
) -> None:
    ids = list(range(1, 1202))
    petal = Petal(
        write_coadd(tmp_path / "coadd-1.fits", ids, ["r"]),
        write_redrock(tmp_path / "redrock-1.fits", ids),
    )
    make_table(tmp_path / "outliers-1.fits", petal, some_model(), patient)
    assert service.sizes == [500, 500, 201]
    assert read_table(tmp_path / "outliers-1.fits")["TARGETID"].tolist() == ids


def test_nothing_is_waited_for_once_it_is_over(
    service: Service, patient: Patient, over: threading.Event, petal: Petal, table: Path
) -> None:
    over.set()
    # Longer than a call has: it gives up at once, and so does the night.
    service.script = [failing(503, Retry_After="99")]
    with pytest.raises(OutcropError, match="answered 503"):
        make_table(table, petal, some_model(), patient)
    assert len(service.paths) == 1
