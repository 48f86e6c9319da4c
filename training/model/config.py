"""Config: all options of a fit, with their default values.

The defaults are those of Nicolaou et al. 2025 (Sections 3 and 4) or, where the paper gives none,
decisions of this project. A TOML file in `configs/` lists only the values that differ. The whole
configuration is stored in the manifest of the bundle.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_store.bundle import Manifest
from model_store.grid import RestGrid
from model_store.population import BGS, Population

from .. import TrainingError

CONFIGS = Path(__file__).parents[1] / "configs"

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Cuts(_Section):
    """Cuts on the eligible spectra, section `[sample]`."""

    redshift_range: tuple[float, float] = (0.0, 0.3)
    """Lowest and highest redshift, inclusive."""
    bgs_any: bool = True
    """Bright Galaxy Survey targets only, in files that have a targeting column."""
    min_snr: float = 5.0
    """Training and validation spectra have an S/N per bin above this."""
    calibration_min_snr: float = 1.0
    """Calibration spectra have at least this S/N per bin."""
    spectra: Count = 208_000
    """Petals are drawn at random until there are this many spectra with an S/N above `min_snr`,
    each target counted once; the others are not read."""
    noise_correction: bool = True
    """Correct each petal for the noise that its sky fibers show, as clients do by default."""

    @model_validator(mode="after")
    def _ordered(self) -> "Cuts":
        low, high = self.redshift_range
        if not -1 < low < high:
            raise ValueError(f"redshift_range = [{low}, {high}]; expected -1 < low < high")
        return self

    @property
    def population(self) -> Population:
        """The population that the cuts leave."""
        return BGS if self.bgs_any else Population()


class SplitShares(_Section):
    """Shares of the validation and calibration splits, section `[split]`; the rest trains."""

    validation: Share = 0.25
    calibration: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share held out as whole tiles or healpixels, as petals if there are few tiles, or as single
    spectra. At 0 the validation split also calibrates, as in the paper."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _leaves_training(self) -> "SplitShares":
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
    """Maximum; the iteration stops earlier once the infilled values converge."""
    spectra: Count = 10_000
    """Maximum number of training spectra that the PCA uses."""


class Network(_Section):
    """Layers of the encoder; the decoder mirrors them."""

    latents: Count = 10
    hidden: tuple[Count, ...] = (800, 600, 500, 300)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    linear_path: bool = False
    """Add a linear map, initialised with the noise-weighted PCA, to each network."""


class Fit(_Section):
    """Fit of the networks with Adam."""

    epochs: Count = 50
    max_steps: Count | None = None
    """Steps at most, in whole epochs: a large sample needs fewer epochs. Default: any number."""
    batch_size: Count = 512
    learning_rate: Rate = 1e-3
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: Count = 5
    """plateau: epochs without a lower validation loss before the rate is divided by ten."""
    final_learning_rate: Rate = 1e-5
    """cosine: rate at the last step."""
    clip_norm: Rate | None = None
    """Global norm at which gradients are clipped, so that a few spectra cannot dominate a step."""
    weight_decay: Rate | None = None
    """Decoupled weight decay per step of the perceptrons, in units of the learning rate."""
    trim: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the galaxies left out, those with the worst reconstruction for their S/N: anomalies
    in the sample are not learned. Stars and quasars are rare, and all of them are kept."""
    seed: Annotated[int, Field(ge=0)] = 0


class Density(_Section):
    """Local outlier factor in latent space."""

    neighbours: Count = 20
    latents: Count | None = None
    """Maximum number of latents used, those with the smallest posterior variance. Default: all."""
    trim: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training spectra left out of the reference, those with the worst reconstruction
    for their S/N: anomalies of one kind would be each other's neighbours and look like inliers."""


class Levels(_Section):
    """Shares of inliers that each flag may select."""

    threshold: Share = 0.01
    """Level of the flags of the paper, on wmse and on nof."""
    p_value: Share = 0.01


class Config(_Section):
    """All options of a fit."""

    grid: RestGrid = RestGrid()
    sample: Cuts = Cuts()
    split: SplitShares = SplitShares()
    infill: Infill = Infill()
    network: Network = Network()
    fit: Fit = Fit()
    density: Density = Density()
    levels: Levels = Levels()


def load_config(name_or_path: str | Path) -> Config:
    """Read a configuration of `configs/` by its name, or from a TOML file.

    Raises
    ------
    TrainingError
        If there is no such configuration, or a key or a value in it is not allowed.

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
            "training/model/config.py lists the options"
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
