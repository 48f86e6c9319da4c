"""Model: its identity, which scores carry, and its full description."""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .errors import ModelChanged

# A description with larger values is not of a model.
_MOST_BINS: Final = 1 << 15
_MOST_LATENTS: Final = 1 << 12
_LARGEST: Final = 1e12
_LONGEST: Final = 200
ANY: Final = "any"
"""The population of a model for any spectrum."""


@dataclass(frozen=True)
class ModelIdentity:
    """The identity of a model.

    Attributes
    ----------
    name, version : str
    sha256 : str
        Checksum of the bundle's manifest, which holds those of all its files.
    """

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} (sha256 {self.sha256[:8]})"

    def check_same(self, found: "ModelIdentity") -> None:
        """Raise ModelChanged where scores are of another model than this one.

        Examples
        --------
        >>> from outcrop.model import ModelIdentity
        >>> ModelIdentity("outcrop", "1", "ab" * 32).check_same(
        ...     ModelIdentity("outcrop", "2", "cd" * 32)
        ... )
        Traceback (most recent call last):
        ...
        outcrop.errors.ModelChanged: the service changed its model from outcrop 1 (sha256 \
abababab) to outcrop 2 (sha256 cdcdcdcd); score again
        """
        if found != self:
            raise ModelChanged(f"the service changed its model from {self} to {found}; score again")


@dataclass(frozen=True, eq=False)
class Model:
    """A served model, as `GET /model` describes it and the score table records it.

    Attributes
    ----------
    name, version : str
    sha256 : str
        Checksum of the bundle's manifest, which holds those of all its files.
    sample : str
        The training sample: ``simulated``, or ``desi`` with the release, as ``desi edr``.
    wave : (M,) float64
        Centres of the rest-frame bins, vacuum Å.
    latents : int
        Size of the latent space.
    redshift_range : (float, float)
    thresholds : mapping
        ``wmse`` (flagged above) and ``nof`` (flagged below).
    p_level : float
        Spectra with a smaller p_value are anomalies.
    finest_p : float or None
        The smallest p_value that is a rank in the calibration sample; smaller ones are
        extrapolated. None where the bundle or the service is too old to tell.
    packages : mapping
        Versions of the packages that score.
    bundle_packages : mapping
        Versions of the packages that the bundle was made with; empty where the service is too old
        to tell.
    population : str
        Name of the targets that the model is fitted on, as ``BGS``; ``any`` where it is not
        limited, or the service too old to tell.
    noise_correction : bool or None
        Whether the model is fitted on petals whose noise was corrected, by `correct_noise`. None
        where the bundle or the service is too old to tell.
    """

    name: str
    version: str
    sha256: str
    sample: str
    wave: NDArray[np.float64]
    latents: int
    redshift_range: tuple[float, float]
    thresholds: Mapping[str, float]
    p_level: float
    finest_p: float | None
    packages: Mapping[str, str]
    bundle_packages: Mapping[str, str]
    population: str
    noise_correction: bool | None = None

    @property
    def identity(self) -> ModelIdentity:
        """Name, version and checksum, which scores carry."""
        return ModelIdentity(self.name, self.version, self.sha256)

    @property
    def simulated(self) -> bool:
        """Whether the model was trained on a simulated sky."""
        return self.sample.startswith("simulated")

    def describe(self, outside: int, unknown: int) -> str:
        """Return in words which model scored some spectra, and how many are not of its population.

        Parameters
        ----------
        outside : int
            Targets outside the population.
        unknown : int
            Eligible spectra whose target bits are unknown.
        """
        text = f"model {self.name} {self.version}, sample {self.sample}, "
        text += f"population {self.population}"
        if self.population == ANY:
            return text
        return f"{text} ({outside} outside, {unknown} unknown)"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the answer to `GET /model`."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "sample": self.sample,
            "wave": {"first": self.wave[0], "last": self.wave[-1], "bins": len(self.wave)},
            "latents": self.latents,
            "redshift_range": list(self.redshift_range),
            "thresholds": dict(self.thresholds),
            "p_level": self.p_level,
            "finest_p": self.finest_p,
            "packages": dict(self.packages),
            "bundle_packages": dict(self.bundle_packages),
            "population": self.population,
            "noise_correction": self.noise_correction,
        }

    @staticmethod
    def from_json(answer: object) -> "Model":
        """Read what `to_json` wrote; ValueError, which names the field, where it is not that."""
        fields = _object(answer, "the answer")
        wave = _object(fields.get("wave"), "wave")
        first, last = _number(wave, "first"), _number(wave, "last")
        bins = _integer(wave, "bins", _MOST_BINS)
        low, high = _interval(fields, "redshift_range")
        thresholds = _object(fields.get("thresholds"), "thresholds")
        packages = _object(fields.get("packages"), "packages")
        bundle_packages = _object(fields.get("bundle_packages", {}), "bundle_packages")

        return Model(
            name=_text(fields, "name"),
            version=_text(fields, "version"),
            sha256=_text(fields, "sha256"),
            sample=_text(fields, "sample"),
            wave=np.linspace(first, last, bins),
            latents=_integer(fields, "latents", _MOST_LATENTS),
            redshift_range=(low, high),
            thresholds={name: _number(thresholds, name) for name in ("wmse", "nof")},
            p_level=_number(fields, "p_level"),
            finest_p=None if fields.get("finest_p") is None else _number(fields, "finest_p"),
            packages={name: _text(packages, name) for name in packages},
            bundle_packages={name: _text(bundle_packages, name) for name in bundle_packages},
            population=_text({"population": ANY, **fields}, "population"),
            noise_correction=_choice(fields, "noise_correction"),
        )


def _object(value: object, what: str) -> dict[str, Any]:
    if isinstance(value, dict):
        found = cast(dict[str, Any], value)
        if all(name.isprintable() for name in found):
            return found
    raise ValueError(f"{what} is {reprlib.repr(cast(Any, value))}; expected a JSON object")


def _interval(owner: Mapping[str, Any], key: str) -> tuple[float, float]:
    value = owner.get(key)
    if isinstance(value, list):
        ends = cast(list[Any], value)
        if len(ends) == 2:
            return _number({key: ends[0]}, key), _number({key: ends[1]}, key)
    raise ValueError(f"{key} is {reprlib.repr(cast(Any, value))}; expected two numbers")


def _text(owner: Mapping[str, Any], key: str) -> str:
    value = owner.get(key)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST:
        raise ValueError(f"{key} is {reprlib.repr(value)}; expected a printable text")
    return value


def _choice(owner: Mapping[str, Any], key: str) -> bool | None:
    value = owner.get(key)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{key} is {reprlib.repr(value)}; expected true, false or null")
    return value


def _number(owner: Mapping[str, Any], key: str) -> float:
    value = owner.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _LARGEST:
        raise ValueError(f"{key} is {reprlib.repr(value)}; expected a number")
    if math.isnan(value):
        raise ValueError(f"{key} is NaN; expected a number")
    return float(value)


def _integer(owner: Mapping[str, Any], key: str, most: int) -> int:
    value = owner.get(key)
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{key} is {reprlib.repr(value)}; expected an integer from 1 to {most}")
    return value
