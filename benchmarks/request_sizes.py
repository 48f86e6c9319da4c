"""Request sizes: how many spectra, requests and petals a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RequestSizes:
    """Sizes of the workload and of the measurements.

    Attributes
    ----------
    petals : int
        Petals of the night; the first tile's train the model.
    config : str
        Name or path of the model's recipe.
    epochs : int
        Epochs of the fit; few, because weights do not change the speed.
    reference_latents : int
        Reference latents where their number is fixed.
    reference_latents_range : tuple of int
        Reference latents where their number varies.
    batches : tuple of int
        Spectra per request.
    callers : tuple of int
        Clients at the same time.
    petal : int
        Spectra per petal.
    json : tuple of int
        Spectra per JSON request.
    release_petals : int
        Petals of the release.
    release_turns : int
        How often it is run with each number of workers, in turns: a machine is not always as fast.
    seconds : float
        Time for each group of functions that run in turn.
    requests : int
        Requests of one spectrum, and of all callers together.
    """

    petals: int
    config: str
    epochs: int
    reference_latents: int
    reference_latents_range: tuple[int, ...]
    batches: tuple[int, ...]
    callers: tuple[int, ...]
    petal: int
    json: tuple[int, ...]
    release_petals: int
    release_turns: int
    seconds: float
    requests: int


FULL = RequestSizes(
    petals=40,
    config="default",
    epochs=2,
    reference_latents=156_000,
    reference_latents_range=(10_000, 30_000, 100_000, 300_000, 1_000_000),
    batches=(1, 3, 10, 30, 100, 300, 1000),
    callers=(1, 2, 4, 8, 16, 32),
    petal=500,
    json=(1, 20),
    release_petals=400,
    release_turns=3,
    seconds=10.0,
    requests=300,
)
QUICK = RequestSizes(
    petals=2,
    config="tests/tiny.toml",
    epochs=1,
    reference_latents=2000,
    reference_latents_range=(500, 2000),
    batches=(1, 20),
    callers=(1, 2),
    petal=40,
    json=(1, 2),
    release_petals=4,
    release_turns=1,
    seconds=0.0,
    requests=3,
)
