"""Jupyter shows the first rows of spectra and scores, whatever the files hold."""

import dataclasses

import numpy as np

from outcrop.notebook import ROWS, html_table
from tests.outcrop_sdk.sample import some_scores, some_spectra


def test_only_the_first_rows_are_shown() -> None:
    html = html_table("25 spectra", {"targetid": np.arange(25), "z": np.full(25, 1 / 3)})
    assert html.count("<td>0.333333</td>") == ROWS
    assert "<td>9</td>" in html
    assert "<td>10</td>" not in html


def test_text_of_files_is_escaped() -> None:
    spectra = dataclasses.replace(some_spectra(2), spectype=np.array(["<script>", "A&B"]))
    html = spectra._repr_html_()
    assert "<script>" not in html
    assert "<td>&lt;script&gt;</td>" in html
    assert "<td>A&amp;B</td>" in html
    assert "&lt;b&gt;" in html_table("<b>", {"z": np.zeros(1)})


def test_status_is_shown_by_name() -> None:
    spectra = some_spectra(3)
    for shown in (spectra, some_scores(spectra, reconstruction=True)):
        html = shown._repr_html_()
        assert "<td>none</td>" in html
        assert "<td>NO_REDSHIFT</td>" in html


def test_nothing_is_a_table_too() -> None:
    empty = some_spectra(0)
    assert "0 spectra" in empty._repr_html_()
    assert "0 spectra, 0 eligible" in some_scores(empty)._repr_html_()
