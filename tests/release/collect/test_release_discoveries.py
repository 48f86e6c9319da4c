"""q-values are over the targets of a release; faulty petals of tiles are set apart."""

from pathlib import Path

import numpy as np

from outcrop.night.discoveries import q_values
from release.collect.primaries import primaries
from release.collect.release_discoveries import ReleaseDiscoveries
from release.collect.row_index import RowIndex
from release.collect.scan import scan
from tests.release.collect.made_tables import write_table


def discoveries(index: RowIndex) -> ReleaseDiscoveries:
    primary = primaries(index.targetid, index.eligible, index.snr)
    return ReleaseDiscoveries.find(index, primary)


def uniform(folder: Path, of_tiles: bool, faulty: bool) -> RowIndex:
    """Six tables of 100 inliers; of the last one, where it is faulty, 40 are flagged."""
    rng = np.random.default_rng(3)
    for number in range(6):
        p_value = rng.uniform(0.01, 1, 100)
        if faulty and number == 5:
            p_value[:40] = 1e-6
        write_table(
            folder / f"outliers-{number}.fits",
            range(1000 * number, 1000 * number + 100),
            p_value=p_value,
            tileid=number + 1 if of_tiles else -1,
            healpix=-1 if of_tiles else number,
        )
    return scan(folder).index


def test_without_faults_all_are_tested_together(tmp_path: Path) -> None:
    index = uniform(tmp_path, of_tiles=True, faulty=False)
    found = discoveries(index)
    np.testing.assert_array_equal(found.q_value, q_values(index.p_value))
    assert found.tested == 600
    assert found.set_apart == []
    assert found.basis == "none"


def test_a_faulty_petal_is_set_apart(tmp_path: Path) -> None:
    index = uniform(tmp_path, of_tiles=True, faulty=True)
    found = discoveries(index)
    faults = {each.table.path.name: each.rows for each in found.set_apart}
    assert faults.keys() == {"outliers-5.fits"}
    rows = index.rows_of(5)
    assert np.isnan(found.q_value[rows]).sum() == sum(each.rows for each in found.set_apart) >= 40
    assert np.isfinite(found.q_value[: rows.start]).all()
    assert not (found.q_value <= 0.1).any()


def test_a_healpix_coadd_is_never_set_apart(tmp_path: Path) -> None:
    found = discoveries(uniform(tmp_path, of_tiles=False, faulty=True))
    assert found.set_apart == []
    assert np.count_nonzero(found.q_value <= 0.1) == 40
    assert found.basis == "tail"


def test_a_target_counts_once(tmp_path: Path) -> None:
    """Ten rows of one anomaly, and inliers that would share its false discoveries."""
    for number in range(10):
        write_table(
            tmp_path / f"outliers-{number}.fits",
            [7, *range(100 * (number + 1), 100 * (number + 1) + 20)],
            p_value=[1e-5, *np.linspace(0.008, 1, 20)],
            healpix=number,
        )
    index = scan(tmp_path).index
    found = discoveries(index)
    assert found.tested == 201
    repeats = index.targetid == 7
    assert np.isfinite(found.q_value[repeats]).sum() == 1
    np.testing.assert_allclose(np.nanmin(found.q_value), 201e-5)
    assert np.count_nonzero(found.q_value <= 0.1) == 1
    # With every repeat as a test of its own, inliers would be discoveries too.
    assert np.count_nonzero(q_values(index.p_value)[~repeats] <= 0.1) > 0
