"""Config: every choice of a fit on one screen.

The values that stand here are those of Nicolaou et al. 2025 (Sections 3 and 4), or, where the
paper is silent, this project's decisions. A TOML file in `configs/` lists only what differs, so
each value has one home. The whole configuration travels in the bundle's manifest.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_store.bundle import Manifest
from model_store.grid import RestGrid

from .. import TrainingError

CONFIGS = Path(__file__).parents[1] / "configs"

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Sample(_Section):
    """Which spectra are trained on: eligible ones, and these cuts."""

    redshift_range: tuple[float, float] = (0.0, 0.3)
    """Inclusive."""
    bgs_any: bool = True
    """Bright Galaxy Survey targets only, in files that have a targeting column."""
    min_snr: float = 5.0
    """Training and validation spectra lie above this S/N per bin."""
    calibration_min_snr: float = 1.0
    """Calibration spectra have at least this S/N per bin."""

    @model_validator(mode="after")
    def _ordered(self) -> "Sample":
        low, high = self.redshift_range
        if not -1 < low < high:
            raise ValueError(f"redshift_range = [{low}, {high}]; expected -1 < low < high")
        return self


class Split(_Section):
    """Who trains, who validates, who calibrates. One TARGETID is never in two of them."""

    validation: Share = 0.25
    calibration: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share set aside as whole tiles or healpixels, petals where those are few, or single
    spectra. At 0 the validation spectra also calibrate, as in the paper."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _leaves_training(self) -> "Split":
        if self.validation + self.calibration >= 1:
            raise ValueError(
                f"validation = {self.validation} and calibration = {self.calibration} "
                "leave nothing to train on"
            )
        return self


class Infill(_Section):
    """Iterative PCA for bad bins (Yip et al. 2004a)."""

    components: Count = 10
    iterations: Count = 20
    """At most; it ends earlier once the infilled values stand still."""
    spectra: Count = 10_000
    """At most so many training spectra take part."""


class Network(_Section):
    """Shape of encoder and decoder, which mirrors it."""

    latents: Count = 10
    hidden: tuple[Count, ...] = (800, 600, 500, 300)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    linear_path: bool = False
    """Add the network to a linear map started from the noise-weighted PCA."""


class Fit(_Section):
    """How the networks are fitted, by Adam."""

    epochs: Count = 50
    batch_size: Count = 512
    learning_rate: Rate = 1e-3
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: Count = 5
    """plateau: epochs without a better validation loss before the rate falls tenfold."""
    final_learning_rate: Rate = 1e-5
    """cosine: the rate at the last step."""
    clip_norm: Rate | None = None
    """Gradients longer than this are shortened to it, so that no few spectra rule a step."""
    weight_decay: Rate | None = None
    """Share of a perceptron's weight that a step takes off, in units of the learning rate."""
    seed: Annotated[int, Field(ge=0)] = 0


class Density(_Section):
    """Local outlier factor in latent space."""

    neighbours: Count = 20
    latents: Count | None = None
    """At most so many latents span the space, those the posterior knows best. Default: all."""
    trim: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training spectra, the worst reconstructed at like S/N, that is no part of the
    reference: anomalies of one kind in it would be each other's neighbours and look ordinary."""


class Levels(_Section):
    """Shares of inliers that each flag may cost."""

    threshold: Share = 0.01
    """The paper's flags, on wmse and on nof."""
    p_value: Share = 0.01


class Config(_Section):
    """All choices of one fit."""

    grid: RestGrid = RestGrid()
    sample: Sample = Sample()
    split: Split = Split()
    infill: Infill = Infill()
    network: Network = Network()
    fit: Fit = Fit()
    density: Density = Density()
    levels: Levels = Levels()


def load_config(name_or_path: str | Path) -> Config:
    """Read a configuration by the name of one in `configs/`, or from a TOML file.

    Raises
    ------
    TrainingError
        There is no such configuration, or it has a key or a value that is not allowed.

    Examples
    --------
    >>> from training.model.config import load_config
    >>> load_config("paper").network.hidden
    (800, 600, 500, 300)
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CONFIGS / f"{name_or_path}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        names = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise TrainingError(
            f"configuration {str(name_or_path)!r} cannot be read; give one of {names}, "
            "or the path of a .toml file"
        ) from error
    try:
        return Config.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TrainingError(
            f"{path}: {where} = {first['input']!r}: {first['msg']}; "
            "training/model/config.py lists what is allowed"
        ) from error


def config_of(manifest: Manifest) -> Config:
    """Return the configuration that a model was trained with.

    Raises
    ------
    TrainingError
        If it has a key or a value that this code does not know.
    """
    try:
        return Config.model_validate(manifest.configuration)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise TrainingError(
            f"model {manifest.version}: {field} in the manifest's configuration: {first['msg']}; "
            f"use Outcrop {manifest.code}, which wrote it, or train again"
        ) from error
