"""Neighbours are the nearest reference spectra but the spectrum itself, and vote on what it is."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from explanation.neighbours import Neighbours, Vote, vote
from explanation.reference import Reference
from model_store.bundle import Bundle
from outcrop import correct_noise, find_petals, read_spectra
from outcrop.explanations import Neighbour
from scoring.density import LocalOutlierFactor
from scoring.scorer import Scorer

# On a line at 0, 1, 3, 7, 15, 31, 63; a second latent that the density ignores.
POINTS = 2.0 ** np.arange(7) - 1
TARGETIDS = np.arange(7) + 10


def on_a_line(labels: Mapping[int, str] | None = None, count: int = 7) -> Neighbours:
    latents = np.stack([100 * np.cos(np.arange(count)), POINTS[:count]], 1).astype(np.float32)
    ones = np.ones(count, np.float32)
    reference = Reference(
        TARGETIDS[:count],
        POINTS[:count] / 100,
        np.array(["GALAXY", "GALAXY", "STAR", "STAR", "STAR", "QSO", "QSO"][:count]),
        np.stack([10 * POINTS[:count], -POINTS[:count]], 1).astype(np.float32),
        np.linspace(0, 10, 101),
    )
    density = LocalOutlierFactor(latents, ones, ones, 2, np.array([1]))
    return Neighbours(density, reference.to_arrays(), labels)


def at(*values: float) -> NDArray[np.float32]:
    return np.array([[0, value] for value in values], np.float32)


def test_five_neighbours_the_nearest_first_with_what_is_known_of_them() -> None:
    (found,) = on_a_line({12: "merger"}).of(at(2.5), np.array([99]))
    assert [one.targetid for one in found] == [12, 11, 10, 13, 14]
    assert found[0] == Neighbour(12, 0.03, "STAR", "merger", 0.5, found[0].quantile)
    assert found[0].quantile == pytest.approx(0.05)
    assert [one.distance for one in found] == [0.5, 1.5, 2.5, 4.5, 12.5]
    assert [one.label for one in found] == ["merger", "", "", "", ""]
    assert found[4].quantile == 1


def test_a_reference_spectrum_is_not_its_own_neighbour() -> None:
    itself, other = on_a_line().of(at(3, 3), np.array([12, 99]))
    assert [one.targetid for one in itself] == [11, 10, 13, 14, 15]
    assert [one.targetid for one in other] == [12, 11, 10, 13, 14]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_latent_that_no_search_can_place_has_neither_neighbours_nor_place(value: float) -> None:
    neighbours = on_a_line()
    first, second = neighbours.of(at(value, 0), np.array([98, 99]))
    assert first == ()
    assert len(second) == 5
    place = neighbours.place(at(value, 0))
    assert np.isnan(place[0]).all()
    assert np.isfinite(place[1]).all()


def test_no_spectra_have_no_neighbours() -> None:
    neighbours = on_a_line()
    assert neighbours.of(at()[:0].reshape(0, 2), np.zeros(0, np.int64)) == []
    assert neighbours.place(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_a_small_reference_sample_gives_fewer() -> None:
    (found,) = on_a_line(count=4).of(at(0), np.array([10]))
    assert [one.targetid for one in found] == [11, 12, 13]


def test_the_place_is_the_mean_of_the_neighbours_by_inverse_distance() -> None:
    neighbours = on_a_line()
    weight = 1 / np.abs(2.5 - POINTS[:5])
    mean = (weight * POINTS[:5]).sum() / weight.sum()
    np.testing.assert_allclose(neighbours.place(at(2.5)), [[10 * mean, -mean]], rtol=1e-6)
    # A reference spectrum, and one encoded again.
    np.testing.assert_allclose(neighbours.place(at(3, 3 + 1e-6)), [[30, -3]] * 2, atol=1e-3)


def neighbour(spectype: str, label: str = "", quantile: float = 0.5) -> Neighbour:
    return Neighbour(1, 0.1, spectype, label, 1.0, quantile)


@pytest.mark.parametrize(
    ("neighbours", "expected"),
    [
        ([("STAR", "", 0.5)] * 3 + [("GALAXY", "", 0.5)] * 2, Vote("STAR", 3, 5)),
        # Labels count before classes, however few.
        ([("STAR", "", 0.5)] * 4 + [("GALAXY", "merger", 0.9)], Vote("merger", 1, 1)),
        # Beyond the 99 % distance nothing votes.
        ([("STAR", "", 0.992)] * 3 + [("GALAXY", "", 0.5)] * 2, Vote("GALAXY", 2, 2)),
        ([("STAR", "", 1.0)] * 5, None),
        # No majority, no classes, no neighbours.
        ([("STAR", "", 0.5)] * 2 + [("GALAXY", "", 0.5)] * 2, None),
        ([("", "", 0.5)] * 5, None),
        ([], None),
    ],
)
def test_the_majority_of_near_neighbours_tells_what_a_spectrum_is(
    neighbours: list[tuple[str, str, float]], expected: Vote | None
) -> None:
    assert vote([neighbour(*one) for one in neighbours]) == expected


def test_a_description_of_another_reference_sample_is_refused() -> None:
    density = LocalOutlierFactor(
        at(*range(9)), np.ones(9, "f4"), np.ones(9, "f4"), 2, np.array([1])
    )
    with pytest.raises(ValueError, match=r"7 reference spectra, density\.npz 9: train again"):
        Neighbours(density, on_a_line().reference.to_arrays())


def test_the_reference_spectra_of_a_bundle_are_who_they_are_said_to_be(
    bundle: Path, sky: Path
) -> None:
    opened = Bundle.open(bundle)
    scorer = Scorer(opened)
    neighbours = Neighbours(scorer.density, opened.arrays("explanation.npz"))
    petals = [correct_noise(read_spectra(p.coadd, p.redrock)) for p in find_petals(sky)]
    latent = np.concatenate([scorer.score(petal).latent for petal in petals])
    targetid, z, spectype = (
        np.concatenate([getattr(petal, name) for petal in petals])
        for name in ("targetid", "z", "spectype")
    )

    # Encoded again and sent without their TARGETIDs, they find themselves.
    known = np.flatnonzero(np.isin(targetid, neighbours.reference.targetid))
    assert len(known) > 100
    found = neighbours.of(latent[known], np.zeros(len(known), np.int64))
    itself = np.array([one[0].targetid for one in found]) == targetid[known]
    # The targets that another petal observed better are there with that spectrum.
    assert itself.mean() > 0.98
    for row, near in zip(known[itself], np.array(found, object)[itself], strict=True):
        assert near[0].distance < 1e-4
        assert near[0].z == z[row]
        assert near[0].spectype == spectype[row]

    place = neighbours.place(latent[known])[itself]
    order = np.argsort(neighbours.reference.targetid)
    rows = np.searchsorted(neighbours.reference.targetid[order], targetid[known[itself]])
    expected = neighbours.reference.place[order[rows]]
    np.testing.assert_allclose(place, expected, atol=0.05)

    # Of inliers not trained on, half lie nearer than the median.
    others = np.flatnonzero(~np.isin(targetid, neighbours.reference.targetid))
    quantile = [one[0].quantile for one in neighbours.of(latent[others], targetid[others]) if one]
    assert 0.35 < np.median(quantile) < 0.65
