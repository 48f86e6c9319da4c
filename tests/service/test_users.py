"""What users do, against the served process: the README's lines, and real DESI files."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import httpx2
import numpy as np
import pytest
from astropy.io import fits

from outcrop import Client, Spectra, Status, read_spectra, write_scores
from outcrop.cli import main
from outcrop.desi import Petal
from tests.service.conftest import Served
from tests.service.helpers import document

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """Return the README's only block of a language that contains some words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


def test_the_readmes_python_runs(
    served: Served, petal: Petal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coadd.fits").symlink_to(petal.coadd)
    (tmp_path / "redrock.fits").symlink_to(petal.redrock)
    monkeypatch.chdir(tmp_path)
    text = block("python", "import outcrop").replace("http://127.0.0.1:3000", served.url)
    exec(compile(text, "README.md", "exec"), {})  # noqa: S102 (our own file)
    assert (tmp_path / "outliers.fits").exists()


def test_the_readmes_json_answer_has_the_fields_that_are_answered(
    served: Served, spectra: Spectra
) -> None:
    body = document(spectra.rows(slice(0, 1))) | {"reconstruction": False}
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
        # The command behind the `served` fixture, word for word.
        assert "bentoml serve service.app:OutlierService --host 127.0.0.1 --port 3000" in README
        return
    package = module.replace("outcrop", "outcrop.cli") if module.startswith("outcrop") else module
    if package.startswith("outcrop.cli"):
        assert main([*module.split()[1:], "--help"]) == 0
        return
    assert command("-m", *package.split(), "--help").returncode == 0


@pytest.mark.parametrize("name", ["4-80613-thru20210324", "special-dark-27247"])
def test_real_petals_are_scored_from_the_command_line(
    served: Served, real: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "outliers.fits"
    coadd, redrock = real / f"coadd-{name}.fits", real / f"redrock-{name}.fits"
    arguments = ["--coadd", coadd, "--redrock", redrock, "--output", output, "--url", served.url]
    assert main(["score", *map(str, arguments), "--reconstruction"]) == 0
    assert capsys.readouterr().err.count("simulated sky") == 1
    with fits.open(output) as table, fits.open(redrock) as original:
        rows, expected = table["OUTLIERS"].data, original["REDSHIFTS"].data
        np.testing.assert_array_equal(rows["TARGETID"], expected["TARGETID"])
        np.testing.assert_array_equal(rows["Z"], expected["Z"])
        assert np.isfinite(rows["WMSE"]).all()
        assert np.isfinite(table["MODEL"].data).all()


@pytest.mark.parametrize("name", ["5-169-thru20210419", "sv3-dark-26065"])
def test_real_coadds_without_redrock_are_scored_with_redshifts_given(
    served: Served, real: Path, tmp_path: Path, name: str
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
    with fits.open(tmp_path / "outliers.fits") as table:
        assert len(table["OUTLIERS"].data) == len(spectra)
