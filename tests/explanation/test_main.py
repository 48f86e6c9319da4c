"""`python -m explanation` says why spectra stand out, or prints one line that says why not."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from explanation.reference import Reference
from model_store.bundle import Bundle
from outcrop.desi import Petal

pytestmark = pytest.mark.long

Command = Callable[..., CompletedProcess[str]]


def test_each_flagged_spectrum_has_a_line_and_its_row_of_the_table(
    command: Command, petal: Petal, bundle: Path, tmp_path: Path
) -> None:
    output, labels = tmp_path / "outliers.fits", tmp_path / "labels.csv"
    reference = Reference.from_arrays(Bundle.open(bundle).arrays("explanation.npz"))
    lines = [f"{one},elliptical" for one in reference.targetid.tolist()]
    labels.write_text("\n".join(["TARGETID,LABEL", *lines]))
    files = ("--coadd", petal.coadd, "--redrock", petal.redrock, "--model", bundle)

    done = command("-m", "explanation", *files, "--labels", labels, "--output", output)
    assert done.returncode == 0, done.stderr
    header, *rows, described, noise = done.stdout.splitlines()
    assert header.split() == ["TARGETID", "p", "cause", "probability", "neighbours", "sentence"]
    assert "simulated" in described
    assert noise.startswith("noise corrected from ")
    assert "5/5 elliptical" in done.stdout

    table: Any = fits.getdata(output, "OUTLIERS")
    flagged = table[table["ANOMALY"]]
    order = np.argsort(flagged["P_VALUE"], kind="stable")
    assert [line.split()[0] for line in rows] == flagged["TARGETID"][order].astype(str).tolist()
    assert [line.split()[2] for line in rows] == flagged["CAUSE"][order].tolist()
    assert not any(table["CAUSE"][~table["ANOMALY"]])

    again = command("-m", "explanation", *files, "--output", output)
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_mistakes_give_one_line(
    command: Command, petal: Petal, bundle: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("TARGETID,LABEL\nM31,galaxy\n")
    files = ("--coadd", petal.coadd, "--redrock", petal.redrock)
    for options, message in (
        (("--model", bundle, "--labels", labels), "labels.csv, line 2: TARGETID 'M31'"),
        (("--model", "no-such-model"), "no-such-model"),
    ):
        done = command("-m", "explanation", *files, *options)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.startswith("outcrop: error: ")
        assert done.stderr.count("\n") == 1
