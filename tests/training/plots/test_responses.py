"""Table 1 finds the known response of a linear decoder."""

import csv
from pathlib import Path

import numpy as np
import pytest

from scoring.resample import RestGrid
from tests.training.plots.helpers import WAVE, gaussian_line
from tests.training.plots.linear_vae import linear_vae
from training.plots.indices import NAMES
from training.plots.responses import EXPLANATION, responses, symbol, table_rows, write_table


def test_table_1_finds_what_each_latent_of_a_known_decoder_does() -> None:
    tilt = 0.05 * (WAVE - WAVE.mean()) / np.ptp(WAVE)
    oxygen = gaussian_line(5008.2, 4.0, 2.0) - gaussian_line(3728.5, 4.0, 2.0)
    vae = linear_vae(
        np.array([gaussian_line(6564.6, 4.0, 1.0), -tilt, oxygen, np.zeros_like(WAVE)])
    )
    latents = np.random.default_rng(3).normal(size=(4000, 4)).astype(np.float32)
    table = responses(vae, latents, WAVE)
    arrows = {
        name: [symbol(value) for value in column]
        for name, column in zip(NAMES, table.T, strict=True)
    }
    assert arrows["Hα"] == ["↑", "–", "–", "–"]
    assert arrows["colour"] == ["–", "↓", "–", "–"]
    assert arrows["[O III]"] == ["–", "–", "↑", "–"]
    assert arrows["[O II]"] == ["–", "–", "↓", "–"]
    # An index that one dimension sets alone responds with about 1, one that none touches with 0.
    assert table[0, NAMES.index("Hα")] == pytest.approx(1, abs=0.1)
    assert table[1, NAMES.index("colour")] == pytest.approx(-1, abs=0.1)
    np.testing.assert_allclose(table[3], 0, atol=1e-3)


def test_table_1_says_where_the_grid_holds_nogaussian_line() -> None:
    wave = RestGrid(3600, 5500, 480).wave
    vae = linear_vae(np.ones((2, 480)) * 0.01)
    latents = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    rows = table_rows(responses(vae, latents, wave))
    assert [row[0] for row in rows] == ["", "latent 1", "latent 2"]
    assert rows[1][rows[0].index("Hα")] == "?"


def test_the_table_is_written_as_markdown_and_csv(tmp_path: Path) -> None:
    table = np.full((2, len(NAMES)), 0.5)
    table[1, 0] = np.nan
    markdown, numbers = write_table(tmp_path, table)
    lines = markdown.read_text(encoding="utf-8").splitlines()
    assert lines[0] == EXPLANATION
    assert lines[3] == "|" + "---|" * (len(NAMES) + 1)
    assert lines[4:] == [
        "| latent 1 |" + " ↑ +0.50 |" * len(NAMES),
        "| latent 2 | ? |" + " ↑ +0.50 |" * (len(NAMES) - 1),
    ]

    with numbers.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["latent", *NAMES]
    assert rows[2][:3] == ["2", "nan", "0.5000"]
