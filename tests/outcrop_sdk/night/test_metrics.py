"""What a night is to Prometheus: the numbers of the summary, in the format of its collector."""

import dataclasses
import logging
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from outcrop import Client, InputError, write_scores
from outcrop.inputs import Inputs, NoiseCards
from outcrop.night.metrics import FAMILIES, NightMetrics, night_of
from outcrop.night.run import Night
from outcrop.night.summary import Summary
from tests.outcrop_sdk.fault_server import FaultInjectingServer
from tests.outcrop_sdk.sample import (
    fibermap,
    some_model,
    some_scores,
    some_spectra,
    write,
    write_coadd,
    write_redrock,
)

OLD, NEW = "thru20210323", "thru20210324"
Samples = dict[tuple[str, ...], float]


def cards(variance: float, sky_fibers: int = 40, corrected: bool = True) -> NoiseCards:
    return {
        **{"NOISE_B": variance, "NOISE_R": 1.0, "NOISE_Z": 1.1},
        **{"OFFSET_B": variance / 100, "OFFSET_Z": -0.01},
        **{"NSKY": sky_fibers, "SKYCORR": corrected},
    }


def add_petal(
    summary: Summary,
    number: int,
    ending: str,
    noise: NoiseCards | None = None,
    p_value: NDArray[np.float64] | None = None,
) -> None:
    """Add the table of a petal of a hundred eligible spectra, of which one has p = 1e-9."""
    if p_value is None:
        p_value = np.linspace(0.02, 1, 100)
        p_value[0] = 1e-9
    rows = np.arange(len(p_value))
    spectra = dataclasses.replace(
        some_spectra(len(rows), 1 + 500 * number),
        status=np.zeros(len(rows), np.int32),
        fiber=(500 * number + rows).astype(np.int32),
        inputs=Inputs(noise=noise or {}),
    )
    scores = dataclasses.replace(some_scores(spectra), p_value=p_value, anomaly=p_value < 0.01)
    name = f"{number}-80613-{ending}.fits"
    coadd = write(summary.root / f"coadd-{name}", [fibermap(spectra.targetid.tolist())])
    write_scores(summary.root / f"outliers-{name}", spectra, scores, some_model())
    summary.scored(coadd, summary.root / f"outliers-{name}")


def samples(path: Path) -> dict[str, Samples]:
    """Return the values of each gauge by its night and its other labels, sorted by their names."""
    families = list(text_string_to_metric_families(path.read_text()))
    assert {family.type for family in families} == {"gauge"}
    return {
        family.name: {_labels(each.labels): each.value for each in family.samples}
        for family in families
    }


def _labels(labels: dict[str, str]) -> tuple[str, ...]:
    others = (labels[name] for name in sorted(labels) if name != "night")
    return (labels["night"], *others)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The metrics of a night with six petals, one of them failed, and of one of the night before.

    Of the scored ones one has a third of its spectra flagged, one a noise far from the reported.
    """
    summary = Summary(tmp_path, some_model(), now=6)
    add_petal(summary, 0, NEW, cards(0.9))
    faulty = np.linspace(0.02, 1, 100)
    faulty[::3] = 1e-12
    add_petal(summary, 1, NEW, cards(1.0), faulty)
    add_petal(summary, 2, NEW, cards(5.0, corrected=False))
    add_petal(summary, 3, NEW, cards(1.0, sky_fibers=9, corrected=False))
    add_petal(summary, 4, NEW)
    summary.failed(tmp_path / f"coadd-5-80613-{NEW}.fits", "truncated")
    add_petal(summary, 6, OLD, cards(1.2))
    summary.failed(tmp_path / f"coadd-7-80613-{OLD}.fits", "truncated")
    summary.write(tmp_path)
    return NightMetrics(summary.entries, summary.model).write(tmp_path)


def test_it_counts_the_petals_of_the_newest_night(written: Path) -> None:
    found, night = samples(written), "20210324"
    assert written.name == "metrics.prom"
    assert {labels[0] for each in found.values() for labels in each} == {night}
    assert found["outcrop_night_petals"] == {
        **{(night, "scored"): 5, (night, "failed"): 1},
        **{(night, "waiting"): 0, (night, "unpaired"): 0},
    }
    assert found["outcrop_night_set_apart_petals"] == {(night,): 2}
    assert found["outcrop_night_faulty_petals"] == {
        **{(night, "noise"): 1, (night, "fibers"): 0, (night, "flagged"): 1}
    }


def test_it_counts_the_spectra(written: Path) -> None:
    found, night = samples(written), ("20210324",)
    assert found["outcrop_night_spectra"] == {night: 500}
    assert found["outcrop_night_eligible_spectra"] == {night: 500}
    assert found["outcrop_night_flagged_spectra"] == {night: 38}
    assert found["outcrop_night_flagged_ratio"] == {night: 38 / 500}
    assert found["outcrop_night_p_level_ratio"] == {night: 0.01}
    # One in each of three petals; nothing that is set apart is a discovery.
    assert found["outcrop_night_discovered_spectra"] == {night: 3}


def test_it_has_the_noise_of_petals_with_enough_sky_fibers(written: Path) -> None:
    found, night = samples(written), "20210324"
    assert found["outcrop_night_noise_petals"] == {
        **{(night, "corrected"): 2, (night, "few_sky_fibers"): 1},
        **{(night, "implausible"): 1, (night, "off"): 1},
    }
    variance = found["outcrop_night_noise_variance_ratio"]
    spread = [variance[night, "b", name] for name in ("smallest", "median", "largest")]
    assert spread == [0.9, 1.0, 5.0]
    assert variance[night, "z", "median"] == 1.1
    offset = found["outcrop_night_camera_offset_ratio"]
    spread = [offset[night, "b", name] for name in ("smallest", "median", "largest")]
    assert spread == pytest.approx([0.009, 0.01, 0.05])
    assert offset[night, "z", "largest"] == -0.01


def test_it_names_the_model_and_when_it_was_written(written: Path) -> None:
    found = samples(written)
    model = {("20210324", "outcrop", "ab" * 32, "20260101"): 1}
    assert found["outcrop_night_model_info"] == model
    (made,) = found["outcrop_night_written_timestamp_seconds"].values()
    assert abs(made - time.time()) < 600


def test_it_is_in_the_format_of_the_textfile_collector(written: Path) -> None:
    lines = written.read_text().splitlines()
    for kind in ("HELP", "TYPE"):
        named = [line.split()[2] for line in lines if line.startswith(f"# {kind} ")]
        assert named == list(FAMILIES)
    # A sample with a timestamp, a third field, makes node_exporter refuse the file.
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r'\w+\{.*night="20210324".*\} [-+.e\d]+', line)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_it_passes_the_lint_of_promtool(written: Path) -> None:
    text = written.read_text()
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_tree_without_nights_is_counted_as_a_whole(tmp_path: Path) -> None:
    summary = Summary(tmp_path, some_model(), now=1)
    add_petal(summary, 1, "main-dark")
    summary.waiting(tmp_path / "coadd-sv3-dark-26065.fits")
    summary.write(tmp_path)
    found = samples(NightMetrics(summary.entries, summary.model).write(tmp_path))
    assert found["outcrop_night_petals"]["", "scored"] == 1
    assert found["outcrop_night_petals"]["", "waiting"] == 1
    assert not found["outcrop_night_noise_variance_ratio"]


def test_a_night_without_a_table_has_no_shares(tmp_path: Path) -> None:
    summary = Summary(tmp_path, some_model(), now=0)
    summary.waiting(tmp_path / f"coadd-0-1-{NEW}.fits")
    summary.write(tmp_path)
    found = samples(NightMetrics(summary.entries, summary.model).write(tmp_path))
    assert not found["outcrop_night_flagged_ratio"]
    assert found["outcrop_night_spectra"] == {("20210324",): 0}


@pytest.mark.parametrize(
    ("name", "night"),
    [
        ("coadd-4-80613-thru20210324.fits.gz", "20210324"),
        ("coadd-4-80613-20210324.fits", "20210324"),
        ("coadd-4-00081234.fits", ""),
        ("coadd-sv3-dark-26065.fits", ""),
    ],
)
def test_the_night_is_that_of_the_name(name: str, night: str) -> None:
    assert night_of(Path("tiles/cumulative/80613/20200101", name)) == night


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.prom").mkdir()
    with pytest.raises(InputError, match=r"metrics\.prom"):
        NightMetrics([], some_model()).write(tmp_path)


# --- of `outcrop night`


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    name = f"0-80613-{NEW}.fits"
    write_coadd(folder / f"coadd-{name}", [11, 12, 13], ["r"], NIGHT=20210324)
    write_redrock(folder / f"redrock-{name}", [11, 12, 13])
    return folder


@pytest.mark.long
def test_a_night_writes_its_metrics_anew(
    server: FaultInjectingServer, tree: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "metrics.prom").write_text("of the night before\n")
    with Client(server.url) as client:
        night = Night([tree], output, client, workers=1)
        night.run()
    found = samples(output / "metrics.prom")
    assert found["outcrop_night_spectra"] == {("20210324",): 3}
    assert found["outcrop_night_noise_petals"]["20210324", "few_sky_fibers"] == 1
    assert night.text.endswith(f", {output / 'metrics.prom'}")
    assert not [path for path in output.iterdir() if path.suffix == ".tmp"]


@pytest.mark.long
def test_without_prometheus_client_a_night_has_all_but_its_metrics(
    server: FaultInjectingServer,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "outcrop.night.metrics")
    output = tmp_path / "out"
    with caplog.at_level(logging.WARNING, "outcrop"), Client(server.url) as client:
        night = Night([tree], output, client, workers=1)
        night.run()
        night.run()
    assert (output / "summary.ecsv").exists()
    assert not (output / "metrics.prom").exists()
    said = [each for each in caplog.messages if "metrics.prom" in each]
    assert len(said) == 1
    assert "pip install prometheus-client" in said[0]
