"""One row of each target is primary."""

import numpy as np

from release.collect.primaries import primaries


def test_it_is_the_best_row_of_each_target_as_found_one_by_one() -> None:
    rng = np.random.default_rng(5)
    n = 3000
    targetid = rng.integers(-50, 400, n)
    eligible = rng.random(n) < 0.3
    snr = rng.integers(0, 6, n).astype(np.float32)
    snr[rng.random(n) < 0.1] = np.nan
    found = primaries(targetid, eligible, snr)

    expected = np.zeros(n, np.bool_)
    for one in set(targetid.tolist()):
        rows = np.flatnonzero(targetid == one).tolist()
        key = [(eligible[r], -1.0 if np.isnan(snr[r]) else snr[r], -r) for r in rows]
        expected[rows[key.index(max(key))]] = True
    np.testing.assert_array_equal(found, expected)


def test_no_rows_have_none() -> None:
    empty = np.zeros(0)
    assert len(primaries(empty.astype(np.int64), empty.astype(bool), empty.astype(np.float32))) == 0
