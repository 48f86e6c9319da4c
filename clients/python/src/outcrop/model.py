"""Model: its identity, which scores carry, and its full description."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ModelChanged


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
    packages : mapping
        Versions of the packages that score.
    bundle_packages : mapping
        Versions of the packages that the bundle was made with; empty where the service is too old
        to tell.
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
    packages: Mapping[str, str]
    bundle_packages: Mapping[str, str]

    @property
    def identity(self) -> ModelIdentity:
        """Name, version and checksum, which scores carry."""
        return ModelIdentity(self.name, self.version, self.sha256)

    @property
    def simulated(self) -> bool:
        """Whether the model was trained on a simulated sky."""
        return self.sample.startswith("simulated")

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
            "packages": dict(self.packages),
            "bundle_packages": dict(self.bundle_packages),
        }

    @staticmethod
    def from_json(answer: Mapping[str, Any]) -> "Model":
        """Read what `to_json` wrote; KeyError, TypeError or ValueError where it is not that."""
        wave = answer["wave"]
        low, high = answer["redshift_range"]
        return Model(
            name=str(answer["name"]),
            version=str(answer["version"]),
            sha256=str(answer["sha256"]),
            sample=str(answer["sample"]),
            wave=np.linspace(float(wave["first"]), float(wave["last"]), int(wave["bins"])),
            latents=int(answer["latents"]),
            redshift_range=(float(low), float(high)),
            thresholds={str(k): float(v) for k, v in answer["thresholds"].items()},
            p_level=float(answer["p_level"]),
            packages={str(k): str(v) for k, v in answer["packages"].items()},
            bundle_packages={str(k): str(v) for k, v in answer.get("bundle_packages", {}).items()},
        )
