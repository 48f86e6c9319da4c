"""The command line, in process as the pipeline calls it."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from astropy.io import fits

from outcrop.cli import main
from tests.outcrop_sdk.sample import (
    LATENTS,
    read_table,
    some_model,
    write_coadd,
    write_redrock,
)
from tests.outcrop_sdk.server import Service, failing

IDS = [39633345008634465, 12, 13, 14, 15]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OUTCROP_URL", "OUTCROP_TOKEN", "DESI_LOGLEVEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def arguments(service: Service, tmp_path: Path) -> list[str]:
    """Arguments that score five spectra."""
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    redrock = write_redrock(tmp_path / "redrock.fits", IDS[::-1])
    output = tmp_path / "o.fits"
    return [
        *("score", "--coadd", str(coadd), "--redrock", str(redrock)),
        *("--output", str(output), "--url", service.url),
    ]


def test_score_writes_the_table_and_says_what_is_in_it(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert read_table(tmp_path / "o.fits")["TARGETID"].tolist() == IDS[::-1]
    assert fits.getheader(tmp_path / "o.fits", "OUTLIERS")["MODELSHA"] == some_model().sha256
    out, err = capsys.readouterr()
    assert out.startswith("5 spectra, 5 eligible, 3 anomalies (p < 0.01); model outcrop 20260101")
    assert f"written to {tmp_path / 'o.fits'}" in out
    assert err == ""


def test_score_writes_reconstructions_on_request(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--reconstruction"]) == 0
    with fits.open(tmp_path / "o.fits") as hdus:
        names = [hdu.name for hdu in hdus]
    assert names == ["PRIMARY", "OUTLIERS", "WAVELENGTH", "FLUX", "MODEL", "IVAR"]


def test_the_pipelines_short_options_work(arguments: list[str], tmp_path: Path) -> None:
    short = {"--coadd": "-i", "--redrock": "-r", "--output": "-o"}
    assert main([short.get(argument, argument) for argument in arguments]) == 0
    assert (tmp_path / "o.fits").exists()


def test_an_existing_output_stops_it_before_anything_is_sent(
    arguments: list[str], service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o.fits").write_text("precious")
    assert main(arguments) == 1
    assert "o.fits exists" in capsys.readouterr().err
    assert service.paths == []
    assert main([*arguments, "--overwrite"]) == 0
    assert len(read_table(tmp_path / "o.fits")) == 5


def test_an_empty_petal_gives_an_empty_table(service: Service, tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [])
    redrock = write_redrock(tmp_path / "redrock.fits", [])
    output = tmp_path / "o.fits"
    options = ["--coadd", coadd, "--redrock", redrock, "--output", output, "--url", service.url]
    assert main(["score", *map(str, options)]) == 0
    table = read_table(output)
    assert len(table) == 0
    assert table["LATENT"].shape == (0, LATENTS)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "coadd.fits does not exist"),
        (lambda path: path.write_text("hello"), "coadd.fits is not a FITS file"),
        (lambda path: path.write_bytes(path.read_bytes()[:9999]), "coadd.fits has 9999 bytes"),
    ],
)
def test_a_bad_file_is_one_line_and_no_output(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    reason: str,
) -> None:
    damage(tmp_path / "coadd.fits")
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("outcrop: error: ")
    assert reason in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o.fits").exists()


def test_a_refusing_service_is_one_line_and_no_output(
    arguments: list[str],
    service: Service,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service.script = [lambda *_: False, failing(413, b'{"error": "send at most 9 spectra"}')]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("outcrop: error: ")
    assert "413" in err
    assert "send at most 9 spectra" in err
    assert f"(request {service.request_ids[-1]})" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coadd.fits", "redrock.fits"]


def test_a_service_that_is_not_there_is_named(
    arguments: list[str], closed_port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--url", closed_port, "--timeout", "1.5"]) == 1
    err = capsys.readouterr().err
    assert f"outcrop: error: {closed_port}/model cannot be reached" in err
    assert "Traceback" not in err


def test_a_model_that_changes_under_way_is_never_named_wrongly(
    arguments: list[str], service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def upgrade(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        object.__setattr__(service.model, "sha256", "cd" * 32)
        return False

    service.script = [lambda *_: False, upgrade]
    assert main(arguments) == 1
    assert "changed its model" in capsys.readouterr().err
    assert not (tmp_path / "o.fits").exists()


@pytest.mark.parametrize(
    ("sample", "simulated_file", "warned"),
    [("simulated", False, 1), ("simulated", True, 0), ("desi edr", False, 0)],
)
def test_a_simulated_model_on_real_spectra_is_warned_of_once(
    arguments: list[str],
    service: Service,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sample: str,
    simulated_file: bool,
    warned: int,
) -> None:
    service.model = some_model(sample)
    if simulated_file:
        (tmp_path / "coadd.fits").unlink()
        write_coadd(tmp_path / "coadd.fits", IDS, SIMULATD=True)
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err.count("outcrop: WARNING: ") == warned
    assert err.count("was trained on a simulated sky") == warned
    assert f"sample {sample}" in out


def test_health(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--url", service.url]) == 0
    service.script = [failing(503)]
    assert main(["health", "--url", service.url]) == 1
    assert capsys.readouterr().out == f"{service.url} is ready\n{service.url} is not ready\n"


def test_model_is_printed_as_json(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "--url", service.url]) == 0
    assert json.loads(capsys.readouterr().out) == some_model().to_json()


def test_the_environment_names_service_and_token(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_URL", service.url)
    monkeypatch.setenv("OUTCROP_TOKEN", "s3cret")
    assert main(["health"]) == 0
    assert service.tokens == ["Bearer s3cret"]


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("WARNING", 0)])
def test_desi_loglevel_sets_what_is_logged_and_logging_stays_as_it_was(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: str,
    lines: int,
) -> None:
    package = logging.getLogger("outcrop")
    before = (package.level, list(package.handlers))
    monkeypatch.setenv("DESI_LOGLEVEL", level)
    service.script = [failing(503, Retry_After="0")]
    assert main(["model", "--url", service.url]) == 0
    assert capsys.readouterr().err.count("next try in") == lines
    assert (package.level, list(package.handlers)) == before


def test_a_level_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DESI_LOGLEVEL", "loud")
    assert main(["health"]) == 1
    assert "DESI_LOGLEVEL is 'loud'; expected one of debug" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["score"], ["grade"], ["health", "--timeout", "x"]])
def test_wrong_arguments_return_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: outcrop" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"]])
def test_help_shows_an_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "outcrop score --coadd coadd-0-80613-thru20210324.fits" in out
    assert "OUTCROP_URL" in out


def test_the_installed_command_is_this_one() -> None:
    command = Path(sys.executable).with_name("outcrop")
    done = subprocess.run(
        [command, "health", "--url", "nowhere"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == ("outcrop: error: url is 'nowhere'; expected as http://127.0.0.1:3000\n")
