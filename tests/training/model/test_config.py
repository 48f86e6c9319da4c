"""The configuration of the paper is the default; mistakes are named."""

from pathlib import Path

import pytest

from training import TrainingError
from training.model.config import Config, load_config


def test_paper_toml_is_what_the_paper_says() -> None:
    paper = load_config("paper")
    assert paper == Config()
    assert paper.network.hidden == (800, 600, 500, 300)
    assert (paper.network.latents, paper.network.dropout) == (10, 0.2)
    assert not paper.network.linear_path
    fit = paper.fit
    assert (fit.epochs, fit.batch_size, fit.learning_rate) == (50, 512, 1e-3)
    assert (fit.schedule, fit.patience) == ("plateau", 5)
    assert (paper.split.validation, paper.split.calibration) == (0.25, 0)
    assert paper.sample.redshift_range == (0, 0.3)
    assert paper.sample.min_snr == 5
    assert (paper.grid.first, paper.grid.last, paper.grid.bins) == (3600, 7556, 1000)
    assert paper.density.neighbours == 20


@pytest.mark.parametrize("name", ["default", "demo"])
def test_our_recipes_keep_stars_and_calibrate_apart(name: str) -> None:
    config = load_config(name)
    assert config.network.linear_path
    assert config.sample.redshift_range == (-0.002, 0.3)
    assert config.split.calibration > 0


def test_a_toml_file_lists_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[network]\nlatents = 8\n")
    network = Config().network.model_copy(update={"latents": 8})
    assert load_config(path) == Config().model_copy(update={"network": network})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nepochs = 0\n", r"fit\.epochs = 0: .*greater than or equal to 1"),
        ("[fit]\nepoch = 5\n", r"fit\.epoch = 5: Extra inputs"),
        ("[grid]\nfirst = 8000\n", r"grid = .*first = 8000\.0 is not below last = 7556\.0"),
        ("[sample]\nredshift_range = [0.3, 0.1]\n", r"redshift_range = \[0\.3, 0\.1\]"),
        ("[split]\nvalidation = 0.5\ncalibration = 0.6\n", "leave nothing to train on"),
        ("[fit\n", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_value(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_config(path)


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(TrainingError, match="'papr' cannot be read; give one of default, demo, pa"):
        load_config("papr")
