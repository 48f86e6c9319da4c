"""Sizes: how much a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Of the material and of the measurements.

    Attributes
    ----------
    petals : int
        Of the night; the first ten or fewer train the model.
    config : str
        Recipe of the model, or the path of one.
    epochs : int
        Few: weights do not change the speed.
    reference : int
        Reference latents, where they do not vary.
    references : tuple of int
    batches : tuple of int
        Spectra per request.
    callers : tuple of int
        At the same time.
    petal : int
        Spectra of a petal.
    json : tuple of int
        Spectra in a JSON request.
    seconds : float
        For each group of functions that take turns.
    requests : int
        Requests of one spectrum; of several, each caller's.
    """

    petals: int
    config: str
    epochs: int
    reference: int
    references: tuple[int, ...]
    batches: tuple[int, ...]
    callers: tuple[int, ...]
    petal: int
    json: tuple[int, ...]
    seconds: float
    requests: int


FULL = Sizes(
    petals=40,
    config="default",
    epochs=2,
    reference=156_000,
    references=(10_000, 30_000, 100_000, 300_000, 1_000_000),
    batches=(1, 3, 10, 30, 100, 300, 1000),
    callers=(1, 2, 4, 8, 16, 32),
    petal=500,
    json=(1, 20),
    seconds=10.0,
    requests=300,
)
QUICK = Sizes(
    petals=2,
    config="tests/tiny.toml",
    epochs=1,
    reference=2000,
    references=(500, 2000),
    batches=(1, 20),
    callers=(1, 2),
    petal=40,
    json=(1, 2),
    seconds=0.0,
    requests=3,
)
