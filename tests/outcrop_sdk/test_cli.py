"""The command line, called in process."""

import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import outcrop
from outcrop.cli import main
from outcrop.labels import LabelStore
from tests.outcrop_sdk.fault_server import FaultInjectingServer, failing, no_fault
from tests.outcrop_sdk.sample import (
    LATENTS,
    open_fits,
    read_header,
    read_table,
    some_model,
    write_coadd,
    write_petal,
    write_redrock,
)

IDS = [39633345008634465, 12, 13, 14, 15]


@pytest.fixture
def arguments(server: FaultInjectingServer, tmp_path: Path) -> list[str]:
    """Arguments that score five spectra."""
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    redrock = write_redrock(tmp_path / "redrock.fits", IDS[::-1])
    output = tmp_path / "o.fits"
    return [
        *("score", "--coadd", str(coadd), "--redrock", str(redrock)),
        *("--output", str(output), "--url", server.url),
    ]


def test_score_writes_the_table_and_prints_its_counts(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert read_table(tmp_path / "o.fits")["TARGETID"].tolist() == IDS[::-1]
    assert read_header(tmp_path / "o.fits")["MODELSHA"] == some_model().sha256
    primary = read_header(tmp_path / "o.fits", "PRIMARY")
    assert [primary["INFIL000"], primary["INFIL001"]] == ["coadd.fits", "redrock.fits"]
    out, err = capsys.readouterr()
    assert out.startswith("5 spectra, 5 eligible, 3 anomalies (p < 0.01); model outcrop 20260101")
    # The coadd has no column of target bits.
    assert "population BGS (0 outside, 5 unknown); status: " in out
    assert f"written to {tmp_path / 'o.fits'}" in out
    assert err == ""


def test_score_explains_the_flagged_spectra_on_request(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, "--explain"]) == 0
    # Flagged are 12, and 15 and the long one, which have no cause because 5 divides them.
    assert server.explained == [3]
    rows = read_table(tmp_path / "o.fits")
    assert rows["CAUSE"].tolist() == ["", "", "", "emission_line", ""]
    assert read_header(tmp_path / "o.fits", "PRIMARY")["EXPLAIND"] == 1
    assert "causes of the anomalies: 1 emission_line\n" in capsys.readouterr().out


def test_score_writes_reconstructions_on_request(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--reconstruction"]) == 0
    with open_fits(tmp_path / "o.fits") as hdus:
        names = [hdu.name for hdu in hdus]
    assert names == ["PRIMARY", "OUTLIERS", "WAVELENGTH", "FLUX", "MODEL", "IVAR"]


@pytest.mark.parametrize(
    ("options", "said", "cards"),
    [
        ([], "noise corrected from 12 sky fibers: variance 1.4", 5),
        (["--no-noise-correction"], "", 0),
    ],
)
def test_the_noise_is_corrected_unless_that_is_switched_off(
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
    cards: int,
) -> None:
    petal, output = write_petal(tmp_path), tmp_path / "o.fits"
    files = ["-i", str(petal.coadd), "-r", str(petal.redrock), "-o", str(output)]
    assert main(["score", *files, "--url", server.url, *options]) == 0
    out = capsys.readouterr().out
    assert said in out
    assert ("sky fibers" in out) == bool(said)
    primary = read_header(output, "PRIMARY")
    assert len({"NOISE_B", "NOISE_R", "NOISE_Z", "NSKY", "SKYCORR"} & set(primary)) == cards


def test_short_options_work(arguments: list[str], tmp_path: Path) -> None:
    short = {"--coadd": "-i", "--redrock": "-r", "--output": "-o"}
    assert main([short.get(argument, argument) for argument in arguments]) == 0
    assert (tmp_path / "o.fits").exists()


def test_an_existing_output_is_refused_before_any_request(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "o.fits").write_text("precious")
    assert main(arguments) == 1
    assert "o.fits exists" in capsys.readouterr().err
    assert server.paths == []
    assert main([*arguments, "--overwrite"]) == 0
    assert len(read_table(tmp_path / "o.fits")) == 5


def test_an_output_that_is_not_fits_is_refused_before_any_request(
    arguments: list[str], server: FaultInjectingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.replace("o.fits", "o.csv") for argument in arguments]) == 1
    assert "o.csv does not end in .fits or .fits.gz" in capsys.readouterr().err
    assert server.paths == []


def test_an_empty_petal_gives_an_empty_table(server: FaultInjectingServer, tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [])
    redrock = write_redrock(tmp_path / "redrock.fits", [])
    output = tmp_path / "o.fits"
    options = ["--coadd", coadd, "--redrock", redrock, "--output", output, "--url", server.url]
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


def test_files_that_do_not_belong_together_are_refused_unless_allowed(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "redrock.fits").unlink()
    write_redrock(tmp_path / "redrock.fits", [1, 2, 12])
    assert main(arguments) == 1
    assert "2 of 3 rows of" in capsys.readouterr().err
    assert not (tmp_path / "o.fits").exists()
    assert main([*arguments, "--allow-mismatch"]) == 0
    assert len(read_table(tmp_path / "o.fits")) == 3


def test_a_refused_request_is_one_line_and_no_output(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.faults = [no_fault, failing(413, b'{"error": "send at most 9 spectra"}')]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("outcrop: error: ")
    assert "413" in err
    assert "send at most 9 spectra" in err
    assert f"(request {server.request_ids[-1]})" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coadd.fits", "redrock.fits"]


def test_an_address_without_a_service_is_named(
    arguments: list[str], closed_port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--url", closed_port, "--timeout", "1.5"]) == 1
    err = capsys.readouterr().err
    assert f"outcrop: error: {closed_port}/model cannot be reached" in err
    assert "Traceback" not in err


@pytest.fixture
def short_rollout_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outcrop.cli.ROLLOUT_PAUSE", 0.05)


@pytest.mark.usefixtures("short_rollout_pause")
def test_a_model_that_changes_has_the_spectra_scored_again(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def upgrade(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        server.model = dataclasses.replace(some_model(), sha256="cd" * 32)
        return False

    server.faults = [no_fault, upgrade]
    assert main(arguments) == 0
    assert "changed its model" in capsys.readouterr().err
    assert read_header(tmp_path / "o.fits")["MODELSHA"] == "cd" * 32


@pytest.mark.usefixtures("short_rollout_pause")
def test_scores_of_another_model_than_described_are_never_written(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = itertools.cycle([some_model(), dataclasses.replace(some_model(), sha256="cd" * 32)])

    def alternate(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        server.model = next(models)
        return False

    server.faults = [alternate] * 100
    assert main(arguments) == 1
    assert "changed its model" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "o.fits").exists()


def test_the_model_is_requested_once(
    arguments: list[str], server: FaultInjectingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._http.inference.CHUNK", 2)
    assert main(arguments) == 0
    assert server.paths == ["/model", *["/v2/models/outcrop/infer"] * 3]


@pytest.mark.long
def test_the_timeout_is_for_each_chunk(
    arguments: list[str], server: FaultInjectingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._http.inference.CHUNK", 2)
    monkeypatch.setattr("outcrop.cli.CHUNK", 2)

    def slow(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        return server.closing.wait(0.4)

    server.faults = [no_fault, slow, slow, slow]
    assert main([*arguments, "--timeout", "1"]) == 0
    assert server.sizes == [2, 2, 1]


@pytest.mark.parametrize(
    ("sample", "simulated_file", "warned"),
    [("simulated", False, 1), ("simulated", True, 0), ("desi edr", False, 0)],
)
def test_a_simulated_model_on_real_spectra_is_warned_of_once(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sample: str,
    simulated_file: bool,
    warned: int,
) -> None:
    server.model = some_model(sample)
    if simulated_file:
        (tmp_path / "coadd.fits").unlink()
        write_coadd(tmp_path / "coadd.fits", IDS, SIMULATD=True)
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err.count("outcrop: WARNING: ") == warned
    assert err.count("was trained on a simulated sky") == warned
    assert f"sample {sample}" in out


@pytest.mark.parametrize(
    ("fitted", "options", "remedy"),
    [
        (True, [], ""),
        (True, ["--no-noise-correction"], "score without --no-noise-correction"),
        (False, [], "score with --no-noise-correction"),
        (False, ["--no-noise-correction"], ""),
        (None, [], ""),
    ],
)
@pytest.mark.parametrize("command", ["score", "night"])
def test_a_model_of_other_noise_is_warned_of_once(
    arguments: list[str],
    server: FaultInjectingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    fitted: bool | None,
    options: list[str],
    remedy: str,
) -> None:
    sha256 = hashlib.sha256(f"{command} {fitted} {options}".encode()).hexdigest()
    server.model = dataclasses.replace(some_model(), sha256=sha256, noise_correction=fitted)
    if command == "night":
        for kind in ("coadd", "redrock"):
            (tmp_path / f"{kind}.fits").rename(tmp_path / f"{kind}-0.fits")
        arguments = ["night", str(tmp_path), "-o", str(tmp_path / "out"), "--url", server.url]
    assert main([*arguments, *options]) == 0
    err = capsys.readouterr().err
    assert err.count("outcrop: WARNING: ") == bool(remedy)
    assert remedy in err


def test_health_prints_whether_the_service_is_ready(
    server: FaultInjectingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["health", "--url", server.url]) == 0
    server.faults = [failing(503, b'{"error": "draining: the drain file exists"}')]
    assert main(["health", "--url", server.url]) == 1
    assert capsys.readouterr().out == (
        f"{server.url} is ready\n{server.url} is not ready: draining: the drain file exists\n"
    )


def test_a_refused_token_names_where_it_comes_from(
    server: FaultInjectingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = [failing(401, b'{"error": "the header Authorization is missing"}')]
    assert main(["model", "--url", server.url]) == 1
    error = capsys.readouterr().err
    assert "the header Authorization is missing; the token is that of OUTCROP_TOKEN" in error


def test_model_is_printed_as_json(
    server: FaultInjectingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "--url", server.url]) == 0
    assert json.loads(capsys.readouterr().out) == some_model().to_json()


def test_the_environment_sets_address_and_token(
    server: FaultInjectingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_URL", server.url)
    monkeypatch.setenv("OUTCROP_TOKEN", "s3cret")
    assert main(["health"]) == 0
    assert server.tokens == ["Bearer s3cret"]


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("WARNING", 0)])
def test_desi_loglevel_sets_the_level_and_logging_is_restored(
    server: FaultInjectingServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: str,
    lines: int,
) -> None:
    package = logging.getLogger("outcrop")
    before = (package.level, list(package.handlers))
    monkeypatch.setenv("DESI_LOGLEVEL", level)
    server.faults = [failing(503, Retry_After="0")]
    assert main(["model", "--url", server.url]) == 0
    assert capsys.readouterr().err.count("next try in") == lines
    assert (package.level, list(package.handlers)) == before


def test_an_unknown_log_level_is_refused(
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


def test_a_redshift_may_be_given_in_place_of_a_redrock_file(
    server: FaultInjectingServer, tmp_path: Path
) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    options = ["--coadd", str(coadd), "--output", str(tmp_path / "o.fits"), "--url", server.url]
    assert main(["score", *options, "--z", "-0.001"]) == 0
    table = read_table(tmp_path / "o.fits")
    assert table["Z"].tolist() == [-0.001] * 5
    assert table["TARGETID"].tolist() == IDS
    assert main(["score", *options, "--overwrite"]) == 2
    assert main(["score", *options, "--z", "0.1", "--redrock", "r.fits"]) == 2


@pytest.fixture
def two_petals(tmp_path: Path) -> list[str]:
    """Patterns of the coadds and redrock files of two petals."""
    for number in (1, 2):
        ids = [10 * number + row for row in range(3)]
        write_coadd(tmp_path / f"coadd-{number}.fits", ids)
        write_redrock(tmp_path / f"redrock-{number}.fits", ids)
    return ["--coadd", f"{tmp_path}/coadd-*.fits", "--redrock", f"{tmp_path}/redrock-*.fits"]


def test_several_petals_are_scored_into_a_folder(
    server: FaultInjectingServer,
    two_petals: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["score", *two_petals, "--url", server.url, "--output"]
    assert main([*arguments, str(tmp_path / "o.fits")]) == 1
    assert "o.fits is not a folder; name one for 2 outputs" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert main([*arguments, str(tmp_path / "out")]) == 0
    for number in (1, 2):
        table = read_table(tmp_path / "out" / f"outliers-{number}.fits")
        assert table["TARGETID"].tolist() == [10 * number + row for row in range(3)]


def test_a_pattern_without_a_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--coadd", "absent-*.fits", "--z", "0", "--output", "o.fits"]
    assert main(["score", *arguments]) == 1
    assert "no file matches absent-*.fits" in capsys.readouterr().err


def test_plot_finds_its_spectrum_and_writes_its_figure(
    server: FaultInjectingServer,
    two_petals: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["plot", *two_petals, "--url", server.url, "--targetid"]
    assert main([*arguments, "21", "10"]) == 0
    assert capsys.readouterr().out == ("written to spectrum-10.png\nwritten to spectrum-21.png\n")
    assert server.sizes == [1, 1]
    assert (tmp_path / "spectrum-21.png").read_bytes().startswith(b"\x89PNG")

    assert main([*arguments, "21", "--explain", "--output", "why.png"]) == 0
    assert server.explained == [1]
    plain = (tmp_path / "spectrum-21.png").read_bytes()
    assert (tmp_path / "why.png").read_bytes()[16:24] != plain[16:24]  # width and height

    assert main([*arguments, "21"]) == 1
    assert "spectrum-21.png exists" in capsys.readouterr().err
    assert main([*arguments, "21", "--output", "one.pdf"]) == 0
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_a_figure_that_cannot_be_made_is_one_line(
    server: FaultInjectingServer,
    two_petals: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["plot", *two_petals, "--url", server.url, "--output"]
    assert main([*arguments, str(tmp_path / "o.png"), "--targetid", "-99"]) == 1
    assert "TARGETID -99 is in none of 2 petals" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "o.txt"), "--targetid", "11"]) == 1
    err = capsys.readouterr().err
    assert "o.txt: Format 'txt' is not supported" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o.txt").exists()


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    version = importlib.metadata.version("outcrop")
    assert capsys.readouterr().out == f"outcrop {version}\n"
    assert outcrop.__version__ == version


def test_the_installed_command_is_this_one() -> None:
    command = Path(sys.executable).with_name("outcrop")
    done = subprocess.run(
        [command, "health", "--url", "nowhere"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == ("outcrop: error: url is 'nowhere'; expected as http://127.0.0.1:3000\n")


@pytest.mark.long
def test_a_password_in_the_address_is_never_printed(
    arguments: list[str],
    server: FaultInjectingServer,
    closed_port: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DESI_LOGLEVEL", "debug")
    address = server.url.replace("://", "://ada:s3cret@")
    monkeypatch.setenv("OUTCROP_URL", address)
    server.faults = [failing(503, Retry_After="0")]
    assert main([address if each == server.url else each for each in arguments]) == 0
    assert set(server.tokens) == {"Basic YWRhOnMzY3JldA=="}
    assert main(["health"]) == 0
    assert main(["health", "--help"]) == 0
    server.faults = [failing(401)]
    assert main(["model"]) == 1
    assert main(["model", "--url", closed_port.replace("://", "://ada:s3cret@")]) == 1
    assert (
        main(["night", str(tmp_path), "-o", str(tmp_path), "--url", "http://ada:s3cret@x:y"]) == 1
    )
    out, err = capsys.readouterr()
    assert "cannot be reached" in err
    assert "s3cret" not in out + err
    assert b"s3cret" not in (tmp_path / "o.fits").read_bytes()


VI_FILE = """\
TARGETID,NIGHT,Redrock_spectype,Redrock_z,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype,VI_comment
39633345008634465,20210324,GALAXY,0.1234,ABC,4,,,,
12,20210324,STAR,-0.0003,ABC,1,RC,0.5000,GALAXY,""broad"" lines; see Halpha
"""


@pytest.fixture
def vi_file(tmp_path: Path) -> Path:
    path = tmp_path / "desi-vi_1_ABC.csv"
    path.write_text(VI_FILE)
    return path


def test_labels_are_imported_once_and_exported_as_they_were(
    vi_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, output = str(tmp_path / "labels.sqlite"), tmp_path / "again.csv"
    assert main(["labels", "import", database, str(vi_file)]) == 0
    assert main(["labels", "import", database, f"{tmp_path}/desi-vi_*.csv"]) == 0
    assert main(["labels", "export", database, "--output", str(output)]) == 0
    assert output.read_text() == VI_FILE
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "2 changes by 2 labels",
        "0 changes by 2 labels",
        f"2 of 2 labels written to {output}",
    ]
    assert err == ""


def test_labels_are_exported_for_the_neighbours_of_explanations(
    vi_file: Path, tmp_path: Path
) -> None:
    database, output = str(tmp_path / "labels.sqlite"), tmp_path / "labels.csv"
    assert main(["labels", "import", database, str(vi_file)]) == 0
    with LabelStore(database) as store:
        store.record("XYZ", 12, {"comment": "two spectra"})
        store.record("XYZ", 13, {"interest": 5})

    export = ["labels", "export", database, "--format", "labels", "--output", str(output)]
    assert main(export) == 0
    assert output.read_text() == "TARGETID,LABEL\n12,two spectra\n13,interest 5\n"
    assert main([*export, "--scanner", "ABC", "--overwrite"]) == 0
    assert output.read_text() == 'TARGETID,LABEL\n12,"""broad"" lines; see Halpha"\n'


def test_labels_of_files_and_databases_are_merged_and_conflicts_listed(
    vi_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, database = tmp_path / "other.csv", str(tmp_path / "labels.sqlite")
    other.write_text(VI_FILE.replace("ABC", "").replace(",1,RC", ",4,S"))
    with LabelStore(database) as store:
        store.record("XYZ", 39633345008634465, {"vi_quality": 3, "z": 0.1234})

    output = tmp_path / "merged.csv"
    inputs = [str(vi_file), str(other), database]
    assert main(["labels", "merge", *inputs, "--output", str(output)]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines() == [
        "conflict: TARGETID 12: qualities 1 and 4",
        f"2 targets, 1 with conflicts, written to {output}",
    ]
    assert output.read_text().splitlines()[1:] == [
        '12,-0.0003,0.5000,999,STAR,GALAXY,RCS,"""broad"" lines; see Halpha",none,2,,-1',
        "39633345008634465,0.1234,0.1234,3.66667,GALAXY,GALAXY,,,none,3,,-1",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "no.sqlite", "-o", "x.csv"], "no.sqlite does not exist; name a database"),
        (["export", "{vi}", "-o", "{vi}"], "exists; choose another name or overwrite it"),
        (["export", "{vi}", "-o", "x.csv"], "it is no label database; choose another name"),
        (["import", "x.sqlite", "no.csv"], "no.csv cannot be read"),
        (["import", "nowhere/x.sqlite", "{vi}"], "its folder nowhere does not exist"),
        (["merge", "*.no.csv", "-o", "x.csv"], "no file matches *.no.csv; check the pattern"),
    ],
)
def test_labels_that_cannot_be_had(
    arguments: list[str],
    message: str,
    vi_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(vi_file.parent)
    assert main(["labels", *(each.format(vi=vi_file) for each in arguments)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("outcrop: error: ")
    assert err.count("\n") == 1
    assert [each.name for each in vi_file.parent.iterdir()] == [vi_file.name]


def test_rows_without_a_scanner_are_imported_by_name_only(
    vi_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vi_file.write_text(VI_FILE.replace("ABC", ""))
    database = str(tmp_path / "labels.sqlite")
    assert main(["labels", "import", database, str(vi_file)]) == 1
    assert f"{vi_file}: row 1: VI_scanner is empty; say whose" in capsys.readouterr().err
    assert main(["labels", "import", database, str(vi_file), "--scanner", "XYZ"]) == 0
    with LabelStore(database) as store:
        assert {label.scanner for label in store.current()} == {"XYZ"}


def test_without_sqlalchemy_files_can_be_merged_and_databases_say_what_to_install(
    vi_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "outcrop.labels", None)
    assert main(["labels", "merge", str(vi_file), "-o", str(tmp_path / "merged.csv")]) == 0
    assert main(["labels", "import", str(tmp_path / "x.sqlite"), str(vi_file)]) == 1
    assert "install it: pip install sqlalchemy" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["export"], ["import"], ["merge"]])
def test_the_help_of_labels_has_examples(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["labels", *command, "--help"]) == 0
    assert "\n  outcrop labels merge labels.sqlite --output merged.csv" in capsys.readouterr().out
