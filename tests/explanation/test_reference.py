"""The reference sample of a density is described spectrum by spectrum."""

from dataclasses import replace

import numpy as np
import pytest

from explanation.reference import Reference, nearest_percentiles


def reference(count: int = 4) -> Reference:
    return Reference(
        np.arange(count) + 10**15,
        np.linspace(0, 0.3, count),
        np.array(["GALAXY"] * (count - 1) + ["STAR"]),
        np.zeros((count, 2), np.float32),
        np.linspace(0, 2, 101),
    )


def test_arrays_hold_the_whole_description_without_a_pickle() -> None:
    arrays = reference().to_arrays()
    again = Reference.from_arrays(arrays)
    for name, array in again.to_arrays().items():
        assert not array.dtype.hasobject
        np.testing.assert_array_equal(array, arrays[name])


def test_the_quantile_of_a_distance_is_the_share_of_inliers_that_are_nearer() -> None:
    distance = np.random.default_rng(0).gamma(3, size=20_000)
    found = replace(reference(), nearest=nearest_percentiles(distance))
    asked = np.array([0.0, 1.0, 3.0, 8.0, 1e9])
    expected = [(distance < one).mean() for one in asked]
    np.testing.assert_allclose(found.quantile(asked), expected, atol=2e-3)
    assert np.isnan(found.quantile(np.array([np.nan]))).all()


def test_distances_that_are_not_finite_do_not_count() -> None:
    distance = np.array([1.0, np.nan, 2.0, 3.0])
    np.testing.assert_array_equal(
        nearest_percentiles(distance), nearest_percentiles(distance[[0, 2, 3]])
    )


@pytest.mark.parametrize("name", ["z", "spectype", "place", "nearest"])
def test_arrays_that_do_not_fit_together_are_refused_by_name(name: str) -> None:
    arrays = reference().to_arrays()
    arrays[name] = arrays[name][1:]
    with pytest.raises(ValueError, match=rf"^{name} of explanation\.npz has the shape"):
        Reference.from_arrays(arrays)
