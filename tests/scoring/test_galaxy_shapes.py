"""The distance from galaxies against plain linear algebra, row by row."""

import numpy as np
import pytest

from scoring.galaxy_shapes import GalaxyShapes


@pytest.fixture(scope="module")
def shapes() -> GalaxyShapes:
    rng = np.random.default_rng(1)
    axes, _ = np.linalg.qr(rng.normal(size=(200, 5)))
    mean = rng.normal(size=200).astype(np.float32)
    features = rng.normal(size=(2, 32)).astype(np.float32)
    return GalaxyShapes(mean, axes.astype(np.float32), 0.2, features)


def test_the_distance_is_that_from_the_nearest_point_of_the_axes(shapes: GalaxyShapes) -> None:
    points = np.random.default_rng(2).normal(size=(20, 200)).astype(np.float32)
    centred = points.astype(float) - shapes.mean
    nearest = np.linalg.lstsq(shapes.axes.astype(float), centred.T)[0]
    expected = np.linalg.norm(centred.T - shapes.axes @ nearest, axis=0) / 0.2
    np.testing.assert_allclose(shapes.distance(points), expected, rtol=1e-5)


def test_along_the_axes_there_is_no_distance(shapes: GalaxyShapes) -> None:
    along = np.random.default_rng(3).normal(size=(20, 5)).astype(np.float32) @ shapes.axes.T
    beyond, _ = np.linalg.qr(np.column_stack([shapes.axes, np.ones(200)]))
    points = (shapes.mean + along).astype(np.float32)
    assert (shapes.distance(points) < 1e-2).all()
    moved = (points + 0.6 * beyond[:, -1]).astype(np.float32)
    np.testing.assert_allclose(shapes.distance(moved), 3, rtol=1e-4)


def test_no_row_changes_another(shapes: GalaxyShapes) -> None:
    points = np.random.default_rng(4).normal(size=(33, 200)).astype(np.float32)
    alone = np.concatenate([shapes.distance(points[i : i + 1]) for i in range(33)])
    np.testing.assert_array_equal(shapes.distance(points), alone)
    assert shapes.distance(points[:0]).shape == (0,)


def test_a_bundle_keeps_them(shapes: GalaxyShapes) -> None:
    again = GalaxyShapes.from_arrays(shapes.to_arrays())
    points = np.random.default_rng(5).normal(size=(9, 200)).astype(np.float32)
    np.testing.assert_array_equal(again.distance(points), shapes.distance(points))
    np.testing.assert_array_equal(again.features, shapes.features)
