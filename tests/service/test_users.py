"""What users do, against the served process: the README's lines, and real DESI files."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx2
import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from outcrop import Client, Spectra, Status, read_spectra, write_scores
from outcrop.cli import main
from outcrop.desi import Petal
from tests.service.conftest import ServedProcess
from tests.service.helpers import score_request

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


def block(language: str, containing: str) -> str:
    """Return the README's only block of a language that contains some words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


def table(path: Path, name: str) -> NDArray[Any]:
    """Return the data of one HDU of a FITS file."""
    return np.asarray(fits.getdata(path, name))


def test_the_readmes_python_runs(
    served: ServedProcess, petal: Petal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coadd.fits").symlink_to(petal.coadd)
    (tmp_path / "redrock.fits").symlink_to(petal.redrock)
    monkeypatch.chdir(tmp_path)
    text = block("python", "import outcrop").replace("http://127.0.0.1:3000", served.url)
    exec(compile(text, "README.md", "exec"), {})  # noqa: S102 (our own file)
    assert (tmp_path / "outliers.fits").exists()


def test_the_code_of_the_protocol_scores_with_the_standard_client(
    served: ServedProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PROTOCOL, re.DOTALL)
    names: dict[str, Any] = {}
    code = text.replace("127.0.0.1:3000", served.url.removeprefix("http://"))
    exec(compile(code, "protocol.md", "exec"), names)  # noqa: S102 (our own file)
    assert names["scores"].as_numpy("p_value").shape == (2,)
    assert np.isfinite(names["scores"].as_numpy("wmse")).all()
    assert capsys.readouterr().out


def test_reconstructions_are_answered_unless_the_request_leaves_them_out(
    served: ServedProcess, spectra: Spectra
) -> None:
    body = score_request(spectra[:1])
    for given, answered in (({"reconstruction": True}, True), ({"reconstruction": False}, False)):
        answer = httpx2.post(served.url + "/score", json=body | given).json()
        assert ("reconstruction" in answer["scores"][0]) == answered
    answer = httpx2.post(served.url + "/score", json={"spectra": body["spectra"]}).json()
    assert "reconstruction" in answer["scores"][0]
    for text in (README, PROTOCOL):
        assert '"reconstruction": false' in text


def test_the_readmes_json_answer_has_the_fields_that_are_answered(
    served: ServedProcess, spectra: Spectra
) -> None:
    body = score_request(spectra[:1]) | {"reconstruction": False}
    answer = httpx2.post(served.url + "/score", json=body).json()
    shown = json.loads(block("json", '"scores"').replace(", …]", "]"))
    assert list(shown["model"]) == list(answer["model"])
    assert list(shown["scores"][0]) == list(answer["scores"][0])


@pytest.mark.parametrize(
    "module", sorted(set(re.findall(r"uv run (?:python -m )?(\w+(?: \w+)?)", README)))
)
def test_the_readmes_commands_exist(
    command: Callable[..., CompletedProcess[str]], module: str
) -> None:
    if module.startswith("bentoml"):
        # The command of the `served` fixture, but for host and port.
        assert "bentoml serve service.app:OutlierService --host 127.0.0.1 --port 3000" in README
        return
    package = module.replace("outcrop", "outcrop.cli") if module.startswith("outcrop") else module
    if package.startswith("outcrop.cli"):
        assert main([*module.split()[1:], "--help"]) == 0
        return
    assert command("-m", *package.split(), "--help").returncode == 0


@pytest.mark.parametrize("name", ["4-80613-thru20210324", "special-dark-27247"])
def test_real_petals_are_scored_from_the_command_line(
    served: ServedProcess, real: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "outliers.fits"
    coadd, redrock = real / f"coadd-{name}.fits", real / f"redrock-{name}.fits"
    arguments = ["--coadd", coadd, "--redrock", redrock, "--output", output, "--url", served.url]
    assert main(["score", *map(str, arguments), "--reconstruction"]) == 0
    assert capsys.readouterr().err.count("simulated sky") == 1
    rows, expected = table(output, "OUTLIERS"), table(redrock, "REDSHIFTS")
    np.testing.assert_array_equal(rows["TARGETID"], expected["TARGETID"])
    np.testing.assert_array_equal(rows["Z"], expected["Z"])
    assert np.isfinite(rows["WMSE"]).all()
    assert np.isfinite(table(output, "MODEL")).all()


@pytest.mark.parametrize("name", ["5-169-thru20210419", "sv3-dark-26065"])
def test_real_coadds_without_redrock_are_scored_with_redshifts_given(
    served: ServedProcess, real: Path, tmp_path: Path, name: str
) -> None:
    spectra = read_spectra(real / f"coadd-{name}.fits", z=0.1)
    with Client(served.url) as client:
        scores = client.score(spectra)
        write_scores(tmp_path / "outliers.fits", spectra, scores, client.model())
    np.testing.assert_array_equal(scores.targetid, spectra.targetid)
    empty = (scores.status & int(Status.NO_DATA)) != 0
    assert empty.any()
    assert np.isnan(scores.wmse[empty]).all()
    assert np.isfinite(scores.wmse[~empty & (scores.coverage >= 0.5)]).all()
    assert len(table(tmp_path / "outliers.fits", "OUTLIERS")) == len(spectra)
