"""Latent map: places of the reference spectra on a plane, near each other where latents are (UMAP).

McInnes, Healy and Melville 2018, arXiv:1802.03426. The neighbours are found by scikit-learn's exact
search: UMAP's own approximate one takes longer to compile than the whole map to compute.
"""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from umap import UMAP

from explanation.neighbours import COUNT, mean_place

LARGEST: Final = 20_000
"""Points of a map; more are placed between them."""
_NEIGHBOURS = 15
_EPOCHS = 200
_SEED = 0


def latent_map(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a place (R, 2) for each of R points (R, D), the same one in each run.

    Of more than 20,000 points, that many are chosen for the map. Each of the others is put at the
    mean place of the five nearest of them.
    """
    chosen = np.sort(np.random.default_rng(_SEED).permutation(len(points))[:LARGEST])
    search = NearestNeighbors(algorithm="kd_tree").fit(points[chosen])
    place = np.empty((len(points), 2), np.float32)
    place[chosen] = _umap(points[chosen], search)

    others = np.setdiff1d(np.arange(len(points)), chosen)
    if len(others):
        distance, near = search.kneighbors(points[others], COUNT)
        place[others] = mean_place(distance, place[chosen[near]])
    return place


def _umap(points: NDArray[np.float32], search: NearestNeighbors) -> NDArray[np.float32]:
    # Each point is the first of its own neighbours.
    distance, near = search.kneighbors(points, min(_NEIGHBOURS, len(points) - 1))
    umap = UMAP(
        n_neighbors=distance.shape[1],
        # The two directions in which latents differ most: unlike spectral ones, never degenerate.
        init="pca",
        precomputed_knn=(near, distance),
        random_state=_SEED,
        n_epochs=_EPOCHS,
        n_jobs=1,
        tqdm_kwds={"disable": False, "desc": "map", "unit": "epoch"},
    )
    with warnings.catch_warnings():
        # New points cannot be transformed without UMAP's own search.
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
        return umap.fit_transform(points)
