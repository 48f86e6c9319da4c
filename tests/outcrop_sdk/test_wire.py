"""The wire: what is sent arrives, and whatever else arrives is refused and nothing worse."""

import contextlib
import copy
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from outcrop import WAVE, Band, Scores, Spectra, WireError
from outcrop.wire import (
    DEFAULT_OUTPUTS,
    HEADER_LENGTH,
    INPUTS,
    ON_REQUEST,
    OUTPUTS,
    Request,
    decode_answer,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from tests.outcrop_sdk.sample import BINS, LATENTS, some_scores, some_spectra

BANDS = [("brz",), ("b",), ("r", "z"), ("b", "r", "z")]
ANY_FLOAT = st.floats(width=32)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def length_of(headers: Mapping[str, str]) -> int | None:
    return int(headers[HEADER_LENGTH]) if HEADER_LENGTH in headers else None


@st.composite
def spectra(draw: st.DrawFn) -> Spectra:
    n = draw(st.integers(0, 3))
    bands: dict[str, Band] = {}
    for name in draw(st.sampled_from(BANDS)):
        shape = (n, len(WAVE[name]))
        # Mostly one value with some others strewn in: anything that a float32 can be.
        flux = draw(npst.arrays(np.float32, shape, elements=ANY_FLOAT, fill=ANY_FLOAT))
        mask = None
        if draw(st.booleans()):
            bits = st.integers(0, 2**11)
            mask = draw(npst.arrays(np.int32, shape, elements=bits, fill=st.just(0)))
        bands[name] = Band(flux, np.abs(flux), mask)
    column = st.integers(-(2**63), 2**63 - 1)
    return Spectra(
        bands,
        z=draw(npst.arrays(np.float64, n, elements=st.floats())),
        targetid=draw(npst.arrays(np.int64, n, elements=column)),
        status=draw(npst.arrays(np.int32, n)),
        petal=draw(st.none() | npst.arrays(np.int32, n)),
    )


@given(spectra(), st.booleans(), st.none() | st.text())
@relaxed
def test_a_request_arrives_as_it_was_sent(
    sent: Spectra, reconstruction: bool, request_id: str | None
) -> None:
    headers, body = encode_request(sent, reconstruction=reconstruction, request_id=request_id)
    got = decode_request(body, length_of(headers))
    assert (got.id, got.reconstruction) == (request_id, reconstruction)
    assert set(got.outputs) == set(OUTPUTS if reconstruction else DEFAULT_OUTPUTS)
    assert got.binary == set(got.outputs)
    assert list(got.spectra.bands) == list(sent.bands)
    for name, band in sent.bands.items():
        folded = band.folded()
        np.testing.assert_array_equal(got.spectra.bands[name].flux, folded.flux)
        np.testing.assert_array_equal(got.spectra.bands[name].ivar, folded.ivar)
        assert got.spectra.bands[name].mask is None
    for name, column in sent.columns().items():
        np.testing.assert_array_equal(got.spectra.columns()[name], column)
        assert got.spectra.columns()[name].dtype == column.dtype


def test_decoding_our_own_request_copies_nothing() -> None:
    headers, body = encode_request(some_spectra(3, bands=("b", "r", "z")))
    got = decode_request(body, length_of(headers)).spectra
    whole = np.frombuffer(body, np.uint8)
    for band in got.bands.values():
        assert np.shares_memory(whole, band.flux)
        assert band.flux.flags.aligned
    assert np.shares_memory(whole, got.z)


def test_what_arrives_unaligned_is_aligned_when_it_is_handed_on() -> None:
    headers, body = encode_request(some_spectra(2))
    length = length_of(headers)
    assert length is not None
    got = decode_request(b" " + body, length + 1).spectra
    assert got.z.flags.aligned
    np.testing.assert_array_equal(got.z, some_spectra(2).z)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Scores, Request]:
    reconstruction = draw(st.booleans())
    asked = some_spectra(draw(st.integers(0, 4)))
    scores = some_scores(asked, reconstruction)
    scores.wmse[:] = draw(npst.arrays(np.float32, len(asked), elements=ANY_FLOAT))
    names = OUTPUTS if reconstruction else DEFAULT_OUTPUTS
    binary = draw(st.frozensets(st.sampled_from(sorted(names))))
    return scores, Request(asked, draw(st.none() | st.text()), tuple(names), binary)


@given(answers())
@relaxed
def test_an_answer_arrives_as_it_was_sent(case: tuple[Scores, Request]) -> None:
    scores, request = case
    headers, body = encode_response(scores, request, "outcrop", "7")
    assert (HEADER_LENGTH in headers) == bool(request.binary)
    got = decode_answer(body, length_of(headers))
    assert (got.model_name, got.model_version) == ("outcrop", "7")
    for name, column in scores.columns().items():
        expected = column
        if name not in request.binary and column.dtype.kind == "f":
            # JSON has no infinity: null, read as NaN.
            expected = np.where(np.isfinite(column), column, np.nan)
        again = got.scores.columns()[name]
        np.testing.assert_array_equal(again, expected)
        assert (again.dtype, again.shape) == (column.dtype, column.shape)
    length = length_of(headers)
    header = json.loads(body[:length])
    assert header.get("id") == request.id


def test_an_answer_has_only_what_was_asked_for() -> None:
    asked = some_spectra(2)
    request = Request(asked, None, ("wmse", "targetid"), frozenset({"wmse"}))
    headers, body = encode_response(some_scores(asked), request, "outcrop", "7")
    outputs = json.loads(body[: length_of(headers)])["outputs"]
    assert [o["name"] for o in outputs] == ["targetid", "wmse"]
    assert outputs[0] == {"name": "targetid", "datatype": "INT64", "shape": [2], "data": [1, 2]}
    assert outputs[1]["parameters"] == {"binary_data_size": 8}


def test_asking_scores_for_what_they_lack_is_refused_with_the_remedy() -> None:
    asked = some_spectra(1)
    request = Request(asked, None, ("rest_flux",), frozenset())
    with pytest.raises(ValueError, match="rest_flux; score with reconstruction=True"):
        encode_response(some_scores(asked), request, "outcrop", "7")


# --- whatever else arrives


def attempt(body: bytes, length: int | None) -> None:
    """Decode both ways; only WireError may come out."""
    for decode in (decode_request, decode_response):
        with contextlib.suppress(WireError):
            decode(body, length)


@given(st.binary(max_size=300), st.none() | st.integers(-5, 400))
@relaxed
def test_random_bytes_are_refused_or_read(body: bytes, length: int | None) -> None:
    attempt(body, length)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [path] + [place for key, child in children for place in places(child, (*path, key))]


def valid_headers() -> list[tuple[dict[str, Any], bytes]]:
    asked = some_spectra(2)
    scores = some_scores(asked, reconstruction=True)
    messages = [
        encode_request(asked, reconstruction=True, request_id="a1"),
        encode_response(
            scores, Request(asked, "a1", tuple(OUTPUTS), frozenset(OUTPUTS)), "outcrop", "7"
        ),
        encode_response(scores, Request(asked, "a1", tuple(OUTPUTS), frozenset()), "outcrop", "7"),
    ]
    return [
        (json.loads(body[: length_of(headers)]), body[length_of(headers) or len(body) :])
        for headers, body in messages
    ]


VALID = valid_headers()


@given(st.data())
@settings(relaxed, max_examples=250)
def test_a_header_with_anything_in_any_place_is_refused_or_read(data: st.DataObject) -> None:
    header, rest = data.draw(st.sampled_from(VALID))
    header = copy.deepcopy(header)
    path = data.draw(st.sampled_from(places(header)[1:]))
    owner = header
    for key in path[:-1]:
        owner = owner[key]
    change = data.draw(st.sampled_from(["replace", "remove", "double"]))
    if change == "remove":
        del owner[path[-1]]
    elif change == "double" and isinstance(owner, list):
        owner.append(owner[path[-1]])
    else:
        owner[path[-1]] = data.draw(json_values)
    text = json.dumps(header).encode()
    attempt(text + rest, len(text))
    attempt(text, None)


def test_every_truncation_of_an_answer_is_refused() -> None:
    asked = some_spectra(2)
    for binary in (frozenset(OUTPUTS), frozenset[str]()):
        request = Request(asked, "a1", tuple(OUTPUTS), binary)
        headers, body = encode_response(some_scores(asked, True), request, "outcrop", "7")
        for end in range(len(body)):
            for length in {length_of(headers), None, end}:
                with pytest.raises(WireError):
                    decode_response(body[:end], length)


@given(st.data())
@relaxed
def test_a_truncated_or_lengthened_request_is_refused(data: st.DataObject) -> None:
    headers, body = encode_request(some_spectra(1))
    end = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(WireError):
        decode_request(body[:end], length_of(headers))
    with pytest.raises(WireError, match=r"follow the last tensor"):
        decode_request(body + data.draw(st.binary(min_size=1)), length_of(headers))


def tensor(name: str, shape: list[int], datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, **more}


def flat(name: str, n: int = 1, value: Any = 1.0) -> dict[str, Any]:
    columns = INPUTS[name].columns
    assert columns is not None
    return tensor(name, [n, columns], data=[value] * (n * columns))


Z = tensor("z", [1], "FP64", data=[0.1])
R = [flat("flux_r"), flat("ivar_r")]


def as_json(**message: Any) -> bytes:
    return json.dumps(message).encode()


def test_json_tensors_are_read_flat_and_nested_with_null_as_nan() -> None:
    columns = len(WAVE["r"])
    row: list[Any] = [None, 2, 3.5, *[0.0] * (columns - 3)]
    got = decode_request(
        as_json(
            inputs=[
                tensor("flux_r", [2, columns], data=[row, row]),
                tensor("ivar_r", [2, columns], data=row + row),
                tensor("z", [2], "FP64", data=[0.1, None]),
                tensor("targetid", [2], "INT64", data=[2**61 + 1, -7008279]),
            ]
        )
    )
    band = got.spectra.bands["r"]
    for array in (band.flux, band.ivar):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array[:, :4], [[np.nan, 2, 3.5, 0]] * 2)
    np.testing.assert_array_equal(got.spectra.z, [0.1, np.nan])
    assert got.spectra.targetid.tolist() == [2**61 + 1, -7008279]
    assert got.outputs == DEFAULT_OUTPUTS
    assert got.binary == frozenset()


def test_what_is_not_sent_has_its_default() -> None:
    got = decode_request(as_json(inputs=[Z, *R])).spectra
    assert (got.targetid.tolist(), got.status.tolist(), got.petal) == ([0], [0], None)


@pytest.mark.parametrize("datatype", ["UINT8", "INT32", "UINT32"])
def test_masks_of_every_datatype_are_read(datatype: str) -> None:
    mask = {**flat("mask_r", value=200), "datatype": datatype}
    got = decode_request(as_json(inputs=[Z, *R, mask])).spectra.bands["r"]
    assert got.mask is not None
    assert (got.mask == 200).all()


@pytest.mark.parametrize(
    ("message", "binary"),
    [
        ({}, frozenset[str]()),
        ({"outputs": []}, frozenset[str]()),
        ({"outputs": None, "parameters": None}, frozenset[str]()),
        ({"parameters": {"binary_data_output": True}}, frozenset(DEFAULT_OUTPUTS)),
    ],
)
def test_without_outputs_all_but_the_spectra_sized_are_answered(
    message: dict[str, Any], binary: frozenset[str]
) -> None:
    got = decode_request(as_json(inputs=[Z, *R], **message))
    assert (got.outputs, got.binary) == (DEFAULT_OUTPUTS, binary)
    assert not got.reconstruction
    assert not set(got.outputs) & set(ON_REQUEST)


def test_each_output_may_differ_from_the_request_in_how_it_is_answered() -> None:
    got = decode_request(
        as_json(
            inputs=[Z, *R],
            parameters={"binary_data_output": True, "sequence_id": 3},
            outputs=[
                {"name": "wmse"},
                {"name": "nof", "parameters": {"binary_data": False}},
                {"name": "reconstruction", "parameters": {"binary_data": True}},
            ],
        )
    )
    assert got.outputs == ("wmse", "nof", "reconstruction")
    assert got.binary == {"wmse", "reconstruction"}
    assert got.reconstruction


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "inputs is None"),
    ({"inputs": {}}, "inputs is {}; expected a JSON list"),
    ({"inputs": [Z]}, "no flux is given"),
    ({"inputs": R}, "input z is missing"),
    ({"inputs": [Z, R[0]]}, "input ivar_r is missing"),
    ({"inputs": [Z, flat("mask_r", value=1) | {"datatype": "INT32"}]}, "input flux_r is missing"),
    ({"inputs": [Z, *R], "model": 1}, "unknown field 'model'"),
    ({"inputs": [Z, *R], "id": 7}, "id is 7; expected a string"),
    ({"inputs": [Z, *R, 5]}, "an input is 5; expected a JSON object"),
    ({"inputs": [Z, *R, tensor("flx", [1])]}, "name 'flx'; known are z"),
    ({"inputs": [Z, *R, {**Z, "shap": 1}]}, "unknown field 'shap'"),
    ({"inputs": [Z, Z, *R]}, "input z is given twice"),
    ({"inputs": [{**Z, "datatype": "FP32"}, *R]}, "datatype 'FP32'; expected FP64"),
    ({"inputs": [{**Z, "shape": [1, 1]}, *R]}, r"shape \[1, 1\]; expected \[N\]"),
    ({"inputs": [{**Z, "shape": [-1]}, *R]}, r"shape \[-1\]; expected \[N\]"),
    ({"inputs": [{**Z, "shape": [True]}, *R]}, r"shape \[True\]"),
    ({"inputs": [{**Z, "shape": [10**40]}, *R]}, "shape"),
    ({"inputs": [Z, tensor("flux_r", [1, 9]), R[1]]}, r"expected \[N, 2326\]"),
    ({"inputs": [{**Z, "data": [0.1, 0.2]}, *R]}, r"has 2 values; shape \[1\] has 1"),
    ({"inputs": [{**Z, "data": [[0.1]]}, *R]}, "nested otherwise than its shape"),
    ({"inputs": [{**Z, "data": ["0.1"]}, *R]}, "holds '0.1'; expected FP64"),
    ({"inputs": [{**Z, "data": [True]}, *R]}, "holds True; expected FP64"),
    ({"inputs": [{**Z, "data": [10**400]}, *R]}, "beyond the range of FP64"),
    ({"inputs": [Z, flat("flux_r", value=1e39), R[1]]}, "beyond the range of FP32"),
    ({"inputs": [Z, *R, tensor("status", [1], "INT32", data=[2**31])]}, "range of INT32"),
    ({"inputs": [Z, *R, tensor("status", [1], "INT32", data=[1.0])]}, "holds 1.0; expected INT32"),
    ({"inputs": [Z, *R, tensor("status", [1], "INT32", data=[None])]}, "holds None"),
    ({"inputs": [Z, *R, tensor("petal", [2], "INT32", data=[1, 2])]}, "petal has 2 rows, z has 1"),
    ({"inputs": [Z, *R, flat("flux"), flat("ivar")]}, "common grid and of single cameras"),
    ({"inputs": [Z, *R, tensor("petal", [1], "INT32")]}, "data of input petal is None"),
    (
        {"inputs": [{**Z, "parameters": {"binary_data_size": 8}}, *R]},
        "both data and binary_data_size",
    ),
    ({"inputs": [Z, *R], "outputs": 3}, "outputs is 3"),
    ({"inputs": [Z, *R], "outputs": [{"name": "score"}]}, "name 'score'; known are targetid"),
    ({"inputs": [Z, *R], "outputs": [{"name": "nof"}] * 2}, "output nof is named twice"),
    (
        {"inputs": [Z, *R], "outputs": [{"name": "nof", "parameters": {"binary_data": 1}}]},
        "binary_data is 1; expected true or false",
    ),
    (
        {"inputs": [Z, *R], "outputs": [{"name": "nof", "parameters": {"classification": 3}}]},
        "classification, which is not offered",
    ),
    ({"inputs": [Z, *R], "parameters": []}, "parameters of the request is"),
]


@pytest.mark.parametrize(("message", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_request_is_refused_by_name(message: dict[str, Any], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode_request(as_json(**message))


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (7, "binary_data_size 7; FP64 of shape .* has 8 bytes"),
        (-8, "binary_data_size -8"),
        (8.0, "binary_data_size 8.0"),
        (True, "binary_data_size True"),
        (2**80, "binary_data_size"),
    ],
)
def test_a_size_that_is_not_that_of_the_shape_is_refused(size: Any, reason: str) -> None:
    header = as_json(inputs=[tensor("z", [1], "FP64", parameters={"binary_data_size": size}), *R])
    with pytest.raises(WireError, match=reason):
        decode_request(header + bytes(8), len(header))


def test_a_huge_shape_is_refused_without_being_allocated() -> None:
    size = 2**62 * 8
    z = tensor("z", [2**62], "FP64", parameters={"binary_data_size": size})
    header = as_json(inputs=[z, *R])
    with pytest.raises(WireError, match="only 8 bytes of the body are left"):
        decode_request(header + bytes(8), len(header))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_literals_that_are_not_json_are_refused_with_the_remedy(literal: str) -> None:
    body = as_json(inputs=[Z, *R]).replace(b"[0.1]", f"[{literal}]".encode())
    with pytest.raises(WireError, match="write null"):
        decode_request(body)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"{}x", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'{"inputs":' * 5000]
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(body)


@pytest.mark.parametrize("length", [-1, 10**9])
def test_a_header_longer_than_the_body_is_refused(length: int) -> None:
    with pytest.raises(WireError, match=HEADER_LENGTH):
        decode_request(as_json(inputs=[Z, *R]), length)


def test_an_answer_that_lacks_a_column_is_refused() -> None:
    asked = some_spectra(1)
    request = Request(asked, None, tuple(DEFAULT_OUTPUTS[:-1]), frozenset())
    _, body = encode_response(some_scores(asked), request, "outcrop", "7")
    with pytest.raises(WireError, match=f"output {DEFAULT_OUTPUTS[-1]} is missing"):
        decode_response(body)


# --- stock clients


def test_a_request_of_the_stock_triton_client_is_read() -> None:
    sent = some_spectra(2, bands=("b",))
    arrays = {
        "flux_b": (sent.bands["b"].flux, "FP32"),
        "ivar_b": (sent.bands["b"].ivar, "FP32"),
        "mask_b": (np.ones(sent.bands["b"].flux.shape, np.uint8), "UINT8"),
        "z": (sent.z, "FP64"),
        "targetid": (sent.targetid, "INT64"),
    }
    inputs: list[Any] = []
    for name, (array, datatype) in arrays.items():
        inputs.append(triton.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=name != "targetid")
    wanted = [
        triton.InferRequestedOutput("wmse", binary_data=True),
        triton.InferRequestedOutput("anomaly", binary_data=False),
    ]
    body, length = triton.InferenceServerClient.generate_request_body(
        inputs, outputs=wanted, request_id="a1"
    )
    got = decode_request(body, length)
    assert got.id == "a1"
    assert (got.outputs, got.binary) == (("wmse", "anomaly"), {"wmse"})
    np.testing.assert_array_equal(got.spectra.bands["b"].flux, sent.bands["b"].flux)
    np.testing.assert_array_equal(got.spectra.bands["b"].mask, arrays["mask_b"][0])
    np.testing.assert_array_equal(got.spectra.targetid, sent.targetid)
    assert got.spectra.bands["b"].flux.flags.aligned


@pytest.mark.parametrize("binary", [frozenset[str](), frozenset(OUTPUTS)])
def test_an_answer_is_read_by_the_stock_triton_client(binary: frozenset[str]) -> None:
    asked = some_spectra(3)
    scores = some_scores(asked, reconstruction=True)
    request = Request(asked, "a1", tuple(OUTPUTS), binary)
    headers, body = encode_response(scores, request, "outcrop", "7")
    result = triton.InferResult.from_response_body(body, header_length=length_of(headers))
    assert result.get_response()["model_version"] == "7"
    shapes: dict[str, tuple[int, ...]] = {}
    for name, column in scores.columns().items():
        got = np.asarray(result.as_numpy(name))
        np.testing.assert_array_equal(got, column)
        shapes[name] = got.shape
    assert (shapes["latent"], shapes["rest_flux"]) == ((3, LATENTS), (3, BINS))
