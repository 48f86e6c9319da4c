"""Messages arrive as they were sent, and any other bytes are refused."""

import contextlib
import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from outcrop import WAVE, Band, Scores, Spectra, WireError
from outcrop.scores import ON_REQUEST
from outcrop.wire import (
    DEFAULT_OUTPUTS,
    HEADER_LENGTH,
    INPUTS,
    OUTPUTS,
    Request,
    decode_request,
    decode_request_header,
    decode_response,
    encode_request,
    encode_response,
)
from tests.outcrop_sdk.sample import BINS, LATENTS, some_model, some_scores, some_spectra

BANDS = [("brz",), ("b",), ("r", "z"), ("b", "r", "z")]
CLASSES = ("", "GALAXY", "QSO", "STAR")
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
        desi_target=draw(st.none() | npst.arrays(np.int64, n, elements=column)),
        bgs_target=draw(st.none() | npst.arrays(np.int64, n, elements=column)),
        mws_target=draw(st.none() | npst.arrays(np.int64, n, elements=column)),
        spectype=draw(st.none() | npst.arrays("<U6", n, elements=st.sampled_from(CLASSES))),
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


def test_masks_of_a_whole_petal_are_folded_and_the_spectra_unchanged() -> None:
    # More rows than are written at a time.
    rng = np.random.default_rng(4)
    spectra = some_spectra(61, bands=("b", "r", "z"))
    for name, band in spectra.bands.items():
        mask = rng.random(band.flux.shape) < 0.1
        masked = Band(band.flux, band.ivar, mask.astype(np.int32) << 9)
        before = band.flux.copy(), band.ivar.copy()
        headers, body = encode_request(replace(spectra, bands={name: masked}))
        got = decode_request(body, length_of(headers)).spectra.bands[name]
        np.testing.assert_array_equal(got.flux, np.where(mask, 0, before[0]))
        np.testing.assert_array_equal(got.ivar, np.where(mask, 0, before[1]))
        np.testing.assert_array_equal(band.flux, before[0])
        np.testing.assert_array_equal(band.ivar, before[1])


def test_decoding_our_own_request_copies_nothing() -> None:
    sent = some_spectra(3, bands=("b", "r", "z"))
    bits = np.array([1 << 60, -1, 0])
    classes = np.array(["QSO", "STAR", ""])
    headers, body = encode_request(replace(sent, desi_target=bits, spectype=classes))
    got = decode_request(body, length_of(headers)).spectra
    whole = np.frombuffer(body, np.uint8)
    for band in got.bands.values():
        assert np.shares_memory(whole, band.flux)
        assert band.flux.flags.aligned
    assert np.shares_memory(whole, got.z)
    assert got.desi_target is not None
    assert np.shares_memory(whole, got.desi_target)


def test_what_the_service_does_not_know_is_not_sent() -> None:
    known = replace(
        some_spectra(2), spectype=np.array(["GALAXY", "ALIEN"]), objtype=np.array(["TGT", "SKY"])
    )
    headers, body = encode_request(known)
    got = decode_request(body, length_of(headers)).spectra
    assert got.spectype is not None
    assert got.spectype.tolist() == ["GALAXY", ""]
    assert (got.desi_target, got.objtype) == (None, None)


def test_unaligned_bytes_give_aligned_arrays() -> None:
    headers, body = encode_request(some_spectra(2))
    length = length_of(headers)
    assert length is not None
    got = decode_request(b" " + body, length + 1).spectra
    assert got.z.flags.aligned
    np.testing.assert_array_equal(got.z, some_spectra(2).z)


@st.composite
def responses(draw: st.DrawFn) -> tuple[Scores, Request]:
    reconstruction = draw(st.booleans())
    asked = some_spectra(draw(st.integers(0, 4)))
    scores = some_scores(asked, reconstruction)
    scores.wmse[:] = draw(npst.arrays(np.float32, len(asked), elements=ANY_FLOAT))
    names = OUTPUTS if reconstruction else DEFAULT_OUTPUTS
    binary = draw(st.frozensets(st.sampled_from(sorted(names))))
    return scores, Request(asked, draw(st.none() | st.text()), tuple(names), binary)


@given(responses())
@relaxed
def test_a_response_arrives_as_it_was_sent(case: tuple[Scores, Request]) -> None:
    scores, request = case
    headers, body = encode_response(scores, request)
    assert (HEADER_LENGTH in headers) == bool(request.binary)

    got = decode_response(body, length_of(headers))
    assert got.model == scores.model
    for name, column in scores.columns().items():
        expected = column
        if name not in request.binary and column.dtype.kind == "f":
            # JSON has no infinity: null, read as NaN.
            expected = np.where(np.isfinite(column), column, np.nan)
        again = got.columns()[name]
        np.testing.assert_array_equal(again, expected)
        assert (again.dtype, again.shape) == (column.dtype, column.shape)

    header = json.loads(body[: length_of(headers)])
    assert header.get("id") == request.id


def test_a_response_has_only_the_requested_outputs() -> None:
    asked = some_spectra(2)
    request = Request(asked, None, ("wmse", "targetid"), frozenset({"wmse"}))
    headers, body = encode_response(some_scores(asked), request)
    outputs = json.loads(body[: length_of(headers)])["outputs"]
    assert [o["name"] for o in outputs] == ["targetid", "wmse"]
    assert outputs[0] == {"name": "targetid", "datatype": "INT64", "shape": [2], "data": [1, 2]}
    assert outputs[1]["parameters"] == {"binary_data_size": 8}


def test_an_output_that_the_scores_lack_is_refused_with_the_remedy() -> None:
    asked = some_spectra(1)
    request = Request(asked, None, ("rest_flux",), frozenset())
    with pytest.raises(ValueError, match="rest_flux; score with reconstruction=True"):
        encode_response(some_scores(asked), request)


# --- any other bytes


def attempt(body: bytes, length: int | None) -> None:
    """Decode as a request and as a response; only WireError may be raised."""
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


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [path] + [found for key, child in children for found in paths(child, (*path, key))]


def valid_headers() -> list[tuple[dict[str, Any], bytes]]:
    asked = some_spectra(2)
    scores = some_scores(asked, reconstruction=True)
    messages = [
        encode_request(asked, reconstruction=True, request_id="a1"),
        encode_response(scores, Request(asked, "a1", tuple(OUTPUTS), frozenset(OUTPUTS))),
        encode_response(scores, Request(asked, "a1", tuple(OUTPUTS), frozenset())),
    ]
    return [
        (json.loads(body[: length_of(headers)]), body[length_of(headers) or len(body) :])
        for headers, body in messages
    ]


VALID = valid_headers()


@given(st.data())
@settings(relaxed, max_examples=250)
def test_a_header_with_any_value_anywhere_is_refused_or_read(data: st.DataObject) -> None:
    header, rest = data.draw(st.sampled_from(VALID))
    header = copy.deepcopy(header)
    path = data.draw(st.sampled_from(paths(header)[1:]))
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


def test_every_truncation_of_a_response_is_refused() -> None:
    asked = some_spectra(2)
    for binary in (frozenset(OUTPUTS), frozenset[str]()):
        request = Request(asked, "a1", tuple(OUTPUTS), binary)
        headers, body = encode_response(some_scores(asked, True), request)
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


def test_a_json_request_is_read_with_null_as_nan() -> None:
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


def test_inputs_that_are_not_sent_have_their_defaults() -> None:
    got = decode_request(as_json(inputs=[Z, *R])).spectra
    assert (got.targetid.tolist(), got.status.tolist(), got.petal) == ([0], [0], None)


@pytest.mark.parametrize(
    ("message", "binary"),
    [
        ({}, frozenset[str]()),
        ({"outputs": []}, frozenset[str]()),
        ({"outputs": None, "parameters": None}, frozenset[str]()),
        ({"parameters": {"binary_data_output": True}}, frozenset(DEFAULT_OUTPUTS)),
    ],
)
def test_without_outputs_all_but_the_spectra_sized_are_returned(
    message: dict[str, Any], binary: frozenset[str]
) -> None:
    got = decode_request(as_json(inputs=[Z, *R], **message))
    assert (got.outputs, got.binary) == (DEFAULT_OUTPUTS, binary)
    assert not got.reconstruction
    assert not set(got.outputs) & set(ON_REQUEST)


def test_each_output_may_be_binary_or_not() -> None:
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
    ({}, "the JSON header of 2 bytes: inputs is missing"),
    ({"inputs": {}}, "inputs: expected array, got object"),
    ({"inputs": [Z]}, "no flux is given"),
    ({"inputs": R}, "input z is missing"),
    ({"inputs": [Z, R[0]]}, "input ivar_r is missing"),
    ({"inputs": [Z, flat("mask_r", value=1) | {"datatype": "INT32"}]}, "input flux_r is missing"),
    ({"inputs": [Z, *R], "model": 1}, "unknown field 'model'"),
    ({"inputs": [Z] * 300}, "holds 301 objects; send at most 256"),
    ({"inputs": [Z, *R], "id": 7}, "id: expected str or null, got int"),
    ({"inputs": [Z, *R, tensor("flx", [1])]}, "name 'flx'; known are z"),
    ({"inputs": [{**Z, "datatype": "FP32"}, *R]}, "datatype 'FP32'; expected FP64"),
    ({"inputs": [Z, tensor("flux_r", [1, 9]), R[1]]}, r"expected \[N, 2326\]"),
    ({"inputs": [Z, flat("flux_r", value=1e39), R[1]]}, "beyond the range of FP32"),
    ({"inputs": [Z, *R, tensor("petal", [2], "INT32", data=[1, 2])]}, "petal has 2 rows, z has 1"),
    ({"inputs": [Z, *R, tensor("desi_target", [1], "FP64", data=[1])]}, "FP64'; expected INT64"),
    ({"inputs": [Z, *R, tensor("bgs_target", [1], "INT64", data=[2**63])]}, "range of int64"),
    ({"inputs": [Z, *R, tensor("mws_target", [2], "INT64", data=[1, 2])]}, "mws_target has 2 rows"),
    ({"inputs": [Z, *R, tensor("spectype", [1], "UINT8", data=[4])]}, "value 4; expected 0 where"),
    ({"inputs": [Z, *R, tensor("spectype", [1], "UINT8", data=[-1])]}, "range of uint8"),
    ({"inputs": [Z, *R, flat("flux"), flat("ivar")]}, "common grid and of single cameras"),
    ({"inputs": [Z, *R], "outputs": 3}, "outputs: expected array or null, got int"),
    ({"inputs": [Z, *R], "outputs": [{"name": "score"}]}, "name 'score'; known are targetid"),
    ({"inputs": [Z, *R], "outputs": [{"name": "nof"}] * 2}, "output nof is named twice"),
    (
        {"inputs": [Z, *R], "outputs": [{"name": "nof", "parameters": {"binary_data": 1}}]},
        "binary_data: expected bool or null, got int",
    ),
    (
        {"inputs": [Z, *R], "outputs": [{"name": "nof", "parameters": {"classification": 3}}]},
        "classification, which is not supported",
    ),
    ({"inputs": [Z, *R], "parameters": []}, "parameters: expected object or null, got array"),
]


@pytest.mark.parametrize(("message", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_request_is_refused_by_name(message: dict[str, Any], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode_request(as_json(**message))


def test_the_header_is_checked_before_the_tensors_arrive() -> None:
    headers, body = encode_request(some_spectra(3), request_id="a1")
    length = length_of(headers)
    assert length is not None
    header = decode_request_header(body[:length], length)
    assert (header.id, header.outputs, header.spectra) == ("a1", DEFAULT_OUTPUTS, 3)
    assert header.tensor_bytes == len(body) - length

    got = decode_request(body, length, header)
    assert (got.id, got.binary) == ("a1", header.binary)
    np.testing.assert_array_equal(got.spectra.z, some_spectra(3).z)


def test_a_header_without_bytes_announces_none() -> None:
    header = decode_request_header(as_json(inputs=[Z, *R]))
    assert (header.spectra, header.tensor_bytes) == (1, 0)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"inputs": R}, "input z is missing"),
        ({"inputs": [Z, tensor("petal", [2], "INT32")]}, "petal has 2 rows, z has 1"),
        ({"inputs": [Z], "outputs": [{"name": "score"}]}, "name 'score'; known are targetid"),
    ],
)
def test_a_bad_header_is_refused_before_the_tensors_arrive(
    message: dict[str, Any], reason: str
) -> None:
    with pytest.raises(WireError, match=reason):
        decode_request_header(as_json(**message))


@pytest.mark.parametrize("change", ["model_name", "model_version", "parameters"])
def test_a_response_that_does_not_identify_its_model_is_refused(change: str) -> None:
    asked = some_spectra(1)
    request = Request(asked, None, DEFAULT_OUTPUTS, frozenset())
    _, body = encode_response(some_scores(asked), request)
    message = json.loads(body)
    del message[change]
    with pytest.raises(WireError, match="a response must have all three"):
        decode_response(json.dumps(message).encode())


def test_a_response_that_lacks_a_column_is_refused() -> None:
    asked = some_spectra(1)
    request = Request(asked, None, tuple(DEFAULT_OUTPUTS[:-1]), frozenset())
    _, body = encode_response(some_scores(asked), request)
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
def test_a_response_is_read_by_the_stock_triton_client(binary: frozenset[str]) -> None:
    asked = some_spectra(3)
    scores = some_scores(asked, reconstruction=True)
    request = Request(asked, "a1", tuple(OUTPUTS), binary)
    headers, body = encode_response(scores, request)
    result = triton.InferResult.from_response_body(body, header_length=length_of(headers))
    assert result.get_response()["model_version"] == some_model().version
    shapes: dict[str, tuple[int, ...]] = {}
    for name, column in scores.columns().items():
        got = np.asarray(result.as_numpy(name))
        np.testing.assert_array_equal(got, column)
        shapes[name] = got.shape
    assert (shapes["latent"], shapes["rest_flux"]) == ((3, LATENTS), (3, BINS))
