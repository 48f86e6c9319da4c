"""Hostile spectra: any float32 in flux and ivar, any redshift, any mask, sent over HTTP."""

from typing import Any

import httpx2
import numpy as np
import psutil
from numpy.typing import NDArray

from outcrop import Explanations, Status
from outcrop.explanation_json import decode_explanations
from outcrop.scores import Scores
from outcrop.spectra import CAMERAS, WAVE
from outcrop.tensors import HEADER_LENGTH, encode
from outcrop.wire import DEFAULT_OUTPUTS, INPUTS, OUTPUTS, decode_response
from tests.service.conftest import ServedProcess
from tests.service.helpers import INFER, JSON, encoded, make_spectra, score_request

_REDSHIFTS = (
    *np.round(np.arange(0, 0.35, 0.05), 2),
    *(-0.002, 0.1234, np.nan, np.inf, -np.inf, -1.0, -0.9999999, 1e300, 1e-300, 5e-324),
)
_ODD = np.array(
    [np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, 1e-39, 1.2e-38, 1e-20, 1, -1, 1e20, 9e29, 3.4e38],
    np.float32,
)
_LAYOUTS = (("brz",), CAMERAS, ("brz",), CAMERAS, ("b",), ("b", "z"))
_BATCH = 500
_EXPLAINED = 50
_STATUS = (0, 0, 0, 1, 2, 8, 16, 128, 512, 1024, 1 << 30, -1, -(2**31))
# Bits that say why a row has no scores.
_UNSCORED = int(Status.NO_DATA | Status.NO_REDSHIFT | Status.LOW_COVERAGE | Status.NOT_SCORED)


def assert_hostile_spectra_are_answered(served: ServedProcess, count: int) -> None:
    """Send so many spectra; each must get its row, and the worker must be the same at the end."""
    rng = np.random.default_rng(count)
    workers = _workers(served)
    with httpx2.Client(timeout=120) as client:
        for number in range(-(-count // _BATCH)):
            layout = _LAYOUTS[number % len(_LAYOUTS)]
            size = min(_BATCH, count - number * _BATCH)
            arrays = _arrays(rng, size, layout)
            # The spectra-sized outputs of every tenth, some of them as JSON.
            names = tuple(OUTPUTS) if number % 10 == 0 else DEFAULT_OUTPUTS
            requested = [
                {"name": name, "parameters": {"binary_data": number % 20 != 0}} for name in names
            ]
            headers, body = encode(
                {"outputs": requested}, "inputs", arrays, INPUTS, frozenset(arrays)
            )
            answer = client.post(served.url + INFER, content=body, headers=headers)
            assert answer.status_code == 200, answer.text[:500]
            length = answer.headers.get(HEADER_LENGTH)
            _assert_rows(
                decode_response(answer.content, None if length is None else int(length)), arrays
            )
    assert _workers(served) == workers


def assert_hostile_spectra_are_explained(served: ServedProcess, count: int) -> None:
    """Send so many spectra; each must get its explanation, of one worker from first to last."""
    rng = np.random.default_rng(count)
    workers = _workers(served)
    with httpx2.Client(timeout=120) as client:
        for number in range(-(-count // _EXPLAINED)):
            arrays = _arrays(rng, _EXPLAINED, _LAYOUTS[number % len(_LAYOUTS)])
            arrays["status"] = rng.choice(_STATUS, _EXPLAINED).astype(np.int32)
            headers, body = encode({}, "inputs", arrays, INPUTS, frozenset(arrays))
            answer = client.post(f"{served.url}/explain", content=body, headers=headers)
            assert answer.status_code == 200, answer.text[:500]
            _assert_explained(decode_explanations(answer.content), arrays)
    assert _workers(served) == workers


def _assert_explained(explanations: Explanations, arrays: dict[str, NDArray[Any]]) -> None:
    assert [one.targetid for one in explanations] == arrays["targetid"].tolist()
    for one in explanations:
        assert (one.cause == "") == bool(np.isnan(one.cause_probability))
        if not one.cause:
            # LOW_SNR has those below 1, too.
            without = Status.NO_SPECTRUM | Status.NOT_TARGET | Status.LOW_SNR
            assert one.status & (_UNSCORED | int(without))
        if one.cause:
            assert one.sentence
            assert one.evidence[0].cause == one.cause
            assert abs(sum(each.probability for each in one.evidence) - 1) < 1e-6


def assert_json_of_gaps_is_answered(served: ServedProcess, count: int) -> None:
    """Send, at z = 0.1, a spectrum of nulls and one with a gap in turn, so many times."""
    workers = _workers(served)
    bodies: list[bytes] = []
    for part in (slice(None), slice(1000, 1800)):
        request = score_request(make_spectra(1, ("brz",)), reconstruction=False)
        (row,) = request["spectra"]
        row["z"] = 0.1
        for name in ("flux", "ivar"):
            row[name][part] = [None] * len(row[name][part])
        bodies.append(encoded(request))

    with httpx2.Client(timeout=120) as client:
        for number in range(count):
            body = bodies[number % 2]
            answer = client.post(f"{served.url}/score", content=body, headers=JSON)
            assert answer.status_code == 200, answer.text[:500]
            (score,) = answer.json()["scores"]
            assert (score["nof"] is None) == ("NO_DATA" in score["status_names"])
            assert (score["nof"] is None) == (number % 2 == 0)
    assert _workers(served) == workers


def _workers(served: ServedProcess) -> set[tuple[int, float]]:
    family = psutil.Process(served.process.pid).children(recursive=True)
    return {(each.pid, each.create_time()) for each in family}


def _arrays(
    rng: np.random.Generator, count: int, layout: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    kinds = rng.integers(0, 8, (count, 2))
    arrays: dict[str, NDArray[Any]] = {
        "z": rng.choice(_REDSHIFTS, count),
        "targetid": np.arange(count, dtype=np.int64),
    }
    for band in layout:
        suffix = "" if band == "brz" else f"_{band}"
        for column, kind in enumerate(("flux", "ivar")):
            values = _numbers(rng, kinds[:, column], len(WAVE[band]))
            arrays[kind + suffix] = values
    if rng.random() < 0.3:
        for band in layout:
            suffix = "" if band == "brz" else f"_{band}"
            shape = count, len(WAVE[band])
            arrays[f"mask{suffix}"] = (rng.random(shape) < rng.random((count, 1)) ** 3).astype("u1")
    return arrays


def _numbers(rng: np.random.Generator, kinds: NDArray[np.integer], pixels: int) -> NDArray[Any]:
    """Return (N, pixels) float32, each row of one of eight kinds."""
    shape = len(kinds), pixels
    values = np.frombuffer(bytearray(rng.bytes(4 * len(kinds) * pixels)), np.float32).reshape(shape)
    for row, kind in enumerate(kinds.tolist()):
        # 0 and 1: bit patterns at random.
        if kind >= 2:
            values[row] = rng.random(pixels, np.float32) + np.float32(0.5)
        if kind == 3:
            values[row] = rng.choice(_ODD)
        if kind == 4:
            values[row] = rng.choice(_ODD, pixels)
        if kind == 5:
            values[row, rng.integers(pixels) :] = rng.choice(_ODD)
        if kind == 6:
            values[row, rng.integers(0, pixels, 100)] = rng.choice(_ODD, 100)
        if kind == 7:
            values[row] *= np.float32(10.0 ** rng.integers(-38, 30))
    return values


def _assert_rows(scores: Scores, arrays: dict[str, NDArray[Any]]) -> None:
    np.testing.assert_array_equal(scores.targetid, arrays["targetid"])
    without = np.isnan(scores.wmse)
    assert (np.isnan(scores.nof) == without).all()
    assert (np.isnan(scores.latent).any(axis=1) == without).all()
    assert (scores.status[without] & _UNSCORED).all()
    assert not np.isnan(scores.p_value[scores.eligible]).any()
    assert not scores.anomaly[~scores.eligible].any()
