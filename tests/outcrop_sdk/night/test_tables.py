"""A petal's table is made of files that did not change while they were read."""

import dataclasses
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop import Client, InputError, ModelChanged, Petal, read_spectra
from outcrop.night.retries import RetryingClient
from outcrop.night.tables import is_current, make_table, read_noise, read_table
from tests.outcrop_sdk.fault_server import FaultInjectingServer, no_fault
from tests.outcrop_sdk.sample import (
    read_header,
    some_model,
    write_coadd,
    write_petal,
    write_redrock,
)
from tests.outcrop_sdk.sample import read_table as read_fits_table
from tests.outcrop_sdk.test_exposures import IDS, write_spectra


@pytest.fixture
def petal(tmp_path: Path) -> Petal:
    return Petal(
        write_coadd(tmp_path / "coadd-1.fits", [11, 12, 13], ["r"]),
        write_redrock(tmp_path / "redrock-1.fits", [13, 12, 11]),
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "out" / "1" / "outliers-1.fits"


@pytest.fixture
def client(server: FaultInjectingServer) -> Iterator[RetryingClient]:
    with Client(server.url, timeout=5) as client:
        yield RetryingClient(client, threading.Event())


def test_a_table_is_current_once_it_is_made(
    client: RetryingClient, petal: Petal, table: Path
) -> None:
    assert not is_current(table, petal, some_model())
    scores = make_table(table, petal, some_model(), client)
    assert is_current(table, petal, some_model())
    assert scores.targetid.tolist() == [13, 12, 11]
    assert read_fits_table(table)["TARGETID"].tolist() == [13, 12, 11]


def test_segments_are_looked_for_in_the_exposures_beside_the_coadd(
    client: RetryingClient, tmp_path: Path, table: Path
) -> None:
    petal = Petal(
        write_coadd(tmp_path / "coadd-1.fits", [int(IDS[0]), 12], ["r"]),
        write_redrock(tmp_path / "redrock-1.fits", [int(IDS[0]), 12]),
    )
    write_spectra(tmp_path / "spectra-1.fits")
    scores = make_table(table, petal, some_model(), client)
    assert scores.anomaly.all()
    segments = read_fits_table(table, "SEGMENTS")
    assert segments["TARGETID"].tolist() == [IDS[0], 12]
    # There are no exposures of 12, and of the other they are without noise.
    assert segments["REPEATS"].tolist() == ["unknown", "unknown"]


def test_damaged_exposures_leave_a_petal_without_repeats(
    client: RetryingClient,
    petal: Petal,
    table: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "spectra-1.fits").write_bytes(b"SIMPLE" + bytes(2874))
    make_table(table, petal, some_model(), client)
    assert is_current(table, petal, some_model())
    assert set(read_fits_table(table, "SEGMENTS")["REPEATS"].tolist()) == {""}
    assert "spectra-1.fits" in caplog.text
    assert "its segments are not looked for in single exposures" in caplog.text


def test_a_table_is_not_current_for_another_model(
    client: RetryingClient, petal: Petal, table: Path
) -> None:
    make_table(table, petal, some_model(), client)
    assert not is_current(table, petal, dataclasses.replace(some_model(), sha256="cd" * 32))


@pytest.mark.parametrize("corrected", [True, False])
def test_a_table_is_not_current_for_another_choice_of_the_noise(
    client: RetryingClient, petal: Petal, table: Path, corrected: bool
) -> None:
    make_table(table, petal, some_model(), client, noise_correction=corrected)
    assert is_current(table, petal, some_model(), corrected)
    assert not is_current(table, petal, some_model(), not corrected)


@pytest.mark.parametrize("explained", [True, False])
def test_a_table_is_not_current_where_it_is_explained_and_shall_not_be_or_the_reverse(
    client: RetryingClient, petal: Petal, table: Path, explained: bool
) -> None:
    make_table(table, petal, some_model(), client, explained=explained)
    assert is_current(table, petal, some_model(), explained=explained)
    assert not is_current(table, petal, some_model(), explained=not explained)


def test_explanations_of_another_model_make_no_table(
    server: FaultInjectingServer, client: RetryingClient, petal: Petal, table: Path
) -> None:
    def upgrade(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        server.model = dataclasses.replace(some_model(), version="20260202")
        return False

    server.faults = [no_fault, upgrade]
    with pytest.raises(ModelChanged, match=r"from outcrop 20260101 .* to outcrop 20260202"):
        make_table(table, petal, some_model(), client)
    assert not table.exists()


def test_a_table_says_how_the_noise_was_corrected(
    client: RetryingClient, tmp_path: Path, table: Path
) -> None:
    make_table(table, write_petal(tmp_path), some_model(), client)
    header = read_header(table, "PRIMARY")
    for camera in "BRZ":
        assert header[f"NOISE_{camera}"] == pytest.approx(1.44, rel=0.05)
    assert (header["OFFSET_B"], header["OFFSET_Z"]) == (0, 0)
    assert (header["NSKY"], header["SKYCORR"]) == (12, True)
    names = ("NOISE_B", "NOISE_R", "NOISE_Z", "OFFSET_B", "OFFSET_Z", "NSKY", "SKYCORR")
    assert read_noise(table) == {name: header[name] for name in names}


def test_a_table_without_correction_says_nothing_of_the_noise(
    client: RetryingClient, tmp_path: Path, table: Path
) -> None:
    make_table(table, write_petal(tmp_path), some_model(), client, noise_correction=False)
    assert read_noise(table) == {}


def test_scores_of_another_model_make_no_table(
    client: RetryingClient, petal: Petal, table: Path
) -> None:
    expected = dataclasses.replace(some_model(), version="20250101")
    with pytest.raises(ModelChanged, match=r"from outcrop 20250101 .* to outcrop 20260101"):
        make_table(table, petal, expected, client)
    assert not table.exists()


def test_files_that_change_while_they_are_read_make_no_table(
    client: RetryingClient, petal: Petal, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(*paths: Any, **options: Any) -> Any:
        spectra = read_spectra(*paths, **options)
        os.utime(petal.coadd, ns=(1, 1))
        return spectra

    monkeypatch.setattr("outcrop.night.tables.read_spectra", reading)
    with pytest.raises(InputError, match=r"coadd-1\.fits or .* changed while it was read"):
        make_table(table, petal, some_model(), client)
    assert not table.exists()


def test_a_healpixel_of_many_spectra_is_sent_in_chunks(
    server: FaultInjectingServer, client: RetryingClient, tmp_path: Path
) -> None:
    ids = list(range(1, 1202))
    petal = Petal(
        write_coadd(tmp_path / "coadd-1.fits", ids, ["r"]),
        write_redrock(tmp_path / "redrock-1.fits", ids),
    )
    make_table(tmp_path / "outliers-1.fits", petal, some_model(), client)
    assert server.sizes == [500, 500, 201]
    assert read_fits_table(tmp_path / "outliers-1.fits")["TARGETID"].tolist() == ids


def test_a_table_is_read_as_it_was_written(
    client: RetryingClient, petal: Petal, table: Path
) -> None:
    scores = make_table(table, petal, some_model(), client)
    columns = read_table(table)
    for name in ("targetid", "status", "snr", "wmse", "nof", "p_value", "anomaly"):
        assert columns[name.upper()].tolist() == pytest.approx(
            scores.columns()[name].tolist(), nan_ok=True
        )
    assert columns["SPECTYPE"].tolist() == ["GALAXY"] * 3
    # Of the three, 12 is flagged.
    assert columns["CAUSE"].tolist() == ["", "emission_line", ""]
    assert columns["SENTENCE"].tolist() == ["", "Halpha stands out in 12", ""]
    assert columns["CAUSE_PROB"].tolist() == pytest.approx([np.nan, 0.75, np.nan], nan_ok=True)
    assert columns["FIBER"].tolist() == [1002, 1001, 1000]
