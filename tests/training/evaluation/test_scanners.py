"""Scanners look at nights of known composition, and what they find is counted."""

import json
from pathlib import Path

import numpy as np
import pytest

from explanation.explainer import Explainer
from explanation.interest import LatentScale, ScoredColumns
from outcrop import Petal
from outcrop.explanations import CAUSES
from training.evaluation.scanners import (
    BATCH,
    LOOKED_AT,
    NIGHTS,
    FlaggedSky,
    Looked,
    explain_sky,
    look,
    main,
    result_of,
)
from training.truth import CONTROL, Truth, write_truth

KINDS = ("bad_sky", "blend", "cosmic")
INLIERS, INJECTED = 97, 30
LATENTS = 4
METHODS = {
    *("p_value", "random", "astronomaly", "protege"),
    *("interest", "expected_improvement", "blend"),
}


def sky() -> FlaggedSky:
    """Inliers of any p-value below 0.1, and kinds apart in the latents and their cause."""
    rng = np.random.default_rng(1)
    kind = np.repeat(["", *KINDS], [INLIERS, INJECTED, INJECTED, INJECTED])
    count, number = len(kind), np.unique(kind, return_inverse=True)[1]
    causes = np.zeros((count, len(CAUSES)))
    causes[np.arange(count), np.where(number == 0, len(CAUSES) - 1, number)] = 1
    p_value = np.where(kind == "", rng.uniform(0, 0.1, count), 10 ** rng.uniform(-9, -2.1, count))
    columns = ScoredColumns(
        latent=(rng.normal(size=(count, LATENTS)) + 2 * number[:, None]).astype(np.float32),
        wmse=np.ones(count, np.float32),
        nof=np.full(count, -1.5, np.float32),
        p_value=p_value,
        z=np.full(count, 0.1),
        z_best=np.full(count, 0.1),
        spectype=np.full(count, "GALAXY"),
        flagged=p_value < 0.01,
        causes=causes,
    )
    unexplained = (kind == "") | ((kind == "blend") & (rng.uniform(size=count) < 0.2))
    return FlaggedSky(columns, kind, unexplained)


@pytest.fixture(scope="module")
def looked() -> list[Looked]:
    drawn = sky()
    return [look(drawn, LatentScale.of(drawn.columns.latent), "crowded", seed=0)]


def test_nights_have_one_per_cent_of_what_a_scanner_cares_for() -> None:
    drawn = sky()
    wanted = drawn.scanners()["blend"]
    rows = drawn.draw("crowded", wanted, np.random.default_rng(0))
    assert drawn.columns.flagged[rows].all()
    assert np.count_nonzero(wanted[rows]) == round(len(rows) * 0.01)
    assert np.count_nonzero(drawn.kind[rows] == "cosmic") == INJECTED

    rows = drawn.draw("sparse", wanted, np.random.default_rng(0))
    assert np.count_nonzero(drawn.kind[rows] == "") == INLIERS
    for kind in KINDS:
        assert np.count_nonzero(drawn.kind[rows] == kind) == round(len(rows) * 0.01)


@pytest.mark.parametrize("night", NIGHTS)
def test_nights_are_of_their_seed_and_in_random_order(night: str) -> None:
    drawn = sky()
    wanted = drawn.scanners()["cosmic"]
    nights = [drawn.draw(night, wanted, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)]
    assert nights[0] == nights[1] != nights[2]
    assert nights[0] != sorted(nights[0])
    assert len(set(nights[0])) == len(nights[0])


def test_unexplained_is_what_is_injected_and_has_no_cause() -> None:
    drawn = sky()
    wanted = drawn.scanners()["unexplained"]
    assert set(drawn.kind[wanted]) == {"blend"}
    assert drawn.unexplained[wanted].all()


def test_every_method_is_tried_by_every_scanner(looked: list[Looked]) -> None:
    for one in looked:
        assert set(one.hits) == METHODS
        for hits in one.hits.values():
            assert set(hits) == {*KINDS, "unexplained"} == set(one.wanted)
            for scanner, found in hits.items():
                assert found == sorted(found)
                assert found[-1] <= min(one.wanted[scanner], LOOKED_AT[-1])


def test_who_looks_at_everything_finds_everything(looked: list[Looked]) -> None:
    for one in looked:
        assert one.spectra < LOOKED_AT[-1]
        for hits in one.hits.values():
            assert {scanner: found[-1] for scanner, found in hits.items()} == one.wanted


def test_result_has_means_over_nights_and_kinds_and_their_ratios() -> None:
    def night(p_value: int, interest: int) -> Looked:
        hits = {"p_value": p_value, "astronomaly": 2, "interest": interest}
        by_kind = {
            name: {"blend": [n, n, n], "cosmic": [3 * n, 3 * n, 3 * n], "unexplained": [9, 9, 9]}
            for name, n in hits.items()
        }
        return Looked(300, {"blend": 3, "cosmic": 4, "unexplained": 5}, by_kind)

    result = result_of([night(1, 4), night(3, 6)])
    assert result["spectra"] == 300
    assert result["wanted"] == {"blend": 3, "cosmic": 4, "unexplained": 5}
    hits, times = result["hits"], result["times"]
    assert isinstance(hits, dict)
    assert isinstance(times, dict)
    assert hits["interest"]["blend"]["50"] == [5, 4, 6]
    # Unexplained is no kind.
    assert hits["interest"]["macro"]["100"] == [10, 8, 12]
    assert times["interest"]["p_value"]["100"] == [2.5, 2, 4]
    assert times["interest"]["astronomaly"]["200"] == [2.5, 2, 3]


@pytest.fixture(scope="module")
def two_kinds(odd_sky: Path, petal: Petal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The odd sky, of whose kinds only two are looked for, so that it takes less time."""
    folder = tmp_path_factory.mktemp("two_kinds")
    for path in (petal.coadd, petal.redrock):
        (folder / path.name).symlink_to(path)

    truth = Truth.read(odd_sky / "truth.csv")
    kept = {"", "cosmic", "wrong_z"}
    kinds = {targetid: kind if kind in kept else CONTROL for targetid, kind in truth.kind.items()}
    write_truth(folder, [(one, kind, truth.true_z[one], np.nan) for one, kind in kinds.items()])
    return folder


def test_command_line_writes_the_numbers(bundle: Path, two_kinds: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "scanners.json"
    options = ["--inliers", "20", "--seeds", "1", "--json", str(numbers)]
    assert main([str(bundle), str(two_kinds), *options]) == 0

    found = json.loads(numbers.read_text())
    assert set(found) == set(NIGHTS)
    assert set(found["sparse"]["hits"]) == METHODS
    assert found["sparse"]["spectra"] > 20


def test_the_flagged_and_the_strangest_inliers_are_explained(bundle: Path, two_kinds: Path) -> None:
    explained = explain_sky(Explainer.open(bundle), two_kinds, 25)
    columns, inlier = explained.columns, explained.kind == ""
    assert np.count_nonzero(inlier) == max(25, np.count_nonzero(inlier & columns.flagged))
    assert columns.p_value[~columns.flagged].max(initial=0) <= columns.p_value[inlier].max()
    assert columns.causes.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert set(explained.kind) == {"", "cosmic", "wrong_z"}


def test_batches_divide_what_is_looked_at() -> None:
    assert all(count % BATCH == 0 for count in LOOKED_AT)
