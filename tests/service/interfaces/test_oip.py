"""The Open Inference Protocol v2: stock clients work with it, and hostile bytes are rejected."""

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from model_store.bundle import Bundle
from outcrop import Scores, Spectra
from outcrop.wire import INPUTS, OUTPUTS, decode_response, encode_request
from scoring.scorer import Scorer
from service.application import Application
from service.http.body import Body
from service.interfaces.openapi import MEANINGS
from service.settings import Settings
from tests.service.helpers import (
    INFER,
    JSON,
    assert_error,
    client_of,
    listening,
    make_spectra,
    wait_for,
)

LENGTH = "Inference-Header-Content-Length"
FUZZ = settings(deadline=None)
ODD = st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -1.0, 0.0, 1e30, 7.0])


def infer(client: TestClient, spectra: Spectra, path: str = INFER, **options: Any) -> Scores:
    headers, body = encode_request(spectra, **options)
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return decode_response(answer.content, int(answer.headers[LENGTH]))


@pytest.mark.parametrize("names", [("b", "r", "z"), ("brz",), ("z",)])
@pytest.mark.parametrize("reconstruction", [False, True])
def test_binary_scores_are_those_of_the_model(
    client: TestClient, scorer: Scorer, names: tuple[str, ...], reconstruction: bool
) -> None:
    spectra = make_spectra(4, names)
    answered = infer(client, spectra, reconstruction=reconstruction).columns()
    expected = scorer.score(spectra, reconstruction=reconstruction).columns()
    assert answered.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(answered[name], column, err_msg=name)
        assert answered[name].dtype == column.dtype


def test_a_version_may_be_named(client: TestClient, scorer: Scorer) -> None:
    path = f"/v2/models/outcrop/versions/{scorer.model.version}/infer"
    assert len(infer(client, make_spectra(2), path)) == 2


def test_json_tensors_give_the_binary_scores(client: TestClient) -> None:
    spectra = make_spectra(1, ("brz",))
    band = spectra.bands["brz"]
    arrays = {"z": spectra.z, "targetid": spectra.targetid, "flux": band.flux, "ivar": band.ivar}

    request = {
        "id": "mine",
        "inputs": [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": INPUTS[name].datatypes[0],
                "data": array.ravel().tolist(),
            }
            for name, array in arrays.items()
        ],
    }

    answer = client.post(INFER, content=json.dumps(request).encode(), headers=JSON).json()
    assert answer["id"] == "mine"
    assert answer["model_name"] == "outcrop"
    binary = infer(client, spectra)
    for tensor in answer["outputs"]:
        np.testing.assert_allclose(
            np.array(tensor["data"], float).reshape(tensor["shape"]),
            getattr(binary, tensor["name"]),
            rtol=1e-6,
            err_msg=tensor["name"],
        )


@pytest.fixture(scope="module")
def stock_client(bundle: Path, scorer: Scorer) -> Iterator[triton.InferenceServerClient]:
    application = Application(Settings(model=str(bundle)), Bundle.open(bundle), scorer)
    with (
        listening(application) as port,
        triton.InferenceServerClient(f"127.0.0.1:{port}") as client,
    ):
        yield client
    application.close()


def test_a_stock_client_finds_the_server_and_the_model(
    stock_client: triton.InferenceServerClient, scorer: Scorer
) -> None:
    assert stock_client.is_server_live()
    assert stock_client.is_server_ready()
    assert stock_client.is_model_ready("outcrop")
    assert stock_client.get_server_metadata()["extensions"][0] == "binary_tensor_data"
    metadata = stock_client.get_model_metadata("outcrop", scorer.model.version)
    assert [tensor["name"] for tensor in metadata["inputs"]] == list(INPUTS)
    assert stock_client.get_model_config("outcrop")["name"] == "outcrop"
    with pytest.raises(triton.InferenceServerException, match="there is outcrop"):
        stock_client.get_model_metadata("wrong")


@pytest.mark.parametrize("binary", [True, False])
def test_a_stock_client_scores(
    stock_client: triton.InferenceServerClient, scorer: Scorer, binary: bool
) -> None:
    spectra = make_spectra(3, ("brz",))
    band = spectra.bands["brz"]
    inputs: list[triton.InferInput] = []
    for name, array in {"z": spectra.z, "flux": band.flux, "ivar": band.ivar}.items():
        inputs.append(triton.InferInput(name, list(array.shape), INPUTS[name].datatypes[0]))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    names = ("wmse", "latent", "anomaly")
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]

    response = stock_client.infer("outcrop", inputs, outputs=outputs, request_id="7")
    assert response.get_response()["id"] == "7"
    expected = scorer.score(spectra)
    for name in names:
        array = response.as_numpy(name)
        assert array is not None
        np.testing.assert_allclose(
            array.astype(float), getattr(expected, name).astype(float), rtol=1e-6
        )


def test_the_shapes_of_the_models_tensors_are_described(client: TestClient, scorer: Scorer) -> None:
    metadata = client.get("/v2/models/outcrop").json()
    assert metadata["versions"] == [scorer.model.version]
    shapes = {tensor["name"]: tensor["shape"] for tensor in metadata["outputs"]}
    assert list(shapes) == list(OUTPUTS)
    assert shapes["latent"] == [-1, scorer.model.latents]
    assert shapes["rest_flux"] == [-1, len(scorer.model.wave)]

    configuration = client.get("/v2/models/outcrop/config").json()
    assert {tensor["name"]: tensor["dims"] for tensor in configuration["output"]} == shapes
    required = [t["name"] for t in configuration["input"] if not t["optional"]]
    assert required == ["z"]


@pytest.mark.parametrize(
    "path", ["/v2/health/live", "/v2/health/ready", "/v2/models/outcrop/ready"]
)
def test_health_is_an_empty_response(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("end", ["", "/ready", "/config", "/infer"])
@pytest.mark.parametrize("model", ["other", "outcrop/versions/0"])
def test_an_unknown_model_or_version_is_named(client: TestClient, model: str, end: str) -> None:
    method = client.post if end == "/infer" else client.get
    answer = method(f"/v2/models/{model}{end}")
    assert_error(answer, 404, "is not here; there is")


def test_a_message_may_hold_any_floats(client: TestClient, scorer: Scorer) -> None:
    spectra = make_spectra(5)
    band = spectra.bands["b"]
    band.flux[1] = np.nan
    band.ivar[2] = -1
    band.flux[3] = np.inf
    spectra.z[4] = np.nan
    scores = infer(client, spectra)
    assert (scores.status[1:] != 0).all()
    alone = scorer.score(spectra[:1])
    np.testing.assert_allclose(scores.wmse[0], alone.wmse[0], rtol=1e-5)
    np.testing.assert_allclose(scores.nof[0], alone.nof[0], rtol=1e-5)


@given(st.lists(st.tuples(st.sampled_from("brz"), ODD, ODD, st.floats(0, 1))), st.floats())
@settings(FUZZ, max_examples=100)
def test_no_spectrum_breaks_the_server_or_its_neighbours(
    client: TestClient, scorer: Scorer, changes: list[tuple[str, float, float, float]], z: float
) -> None:
    spectra = make_spectra(3)
    for name, flux, ivar, share in changes:
        band = spectra.bands[name]
        pixels = slice(0, int(share * band.flux.shape[1]))
        band.flux[1, pixels] = flux
        band.ivar[1, pixels] = ivar
    spectra.z[1] = z
    scores = infer(client, spectra)
    if not np.isfinite([scores.wmse[1], scores.nof[1]]).all():
        assert scores.status[1]
    for row in (0, 2):
        alone = scorer.score(spectra[row : row + 1])
        for name in ("status", "wmse", "nof", "p_value", "latent"):
            np.testing.assert_allclose(
                getattr(scores, name)[row], getattr(alone, name)[0], rtol=1e-4, atol=1e-5
            )


def test_no_spectra_are_a_response_without_rows(client: TestClient) -> None:
    assert len(infer(client, make_spectra(2)[:0])) == 0


def test_too_many_spectra_are_rejected_before_they_are_read(
    make_application: Callable[..., Application],
) -> None:
    client = client_of(make_application(max_spectra=2))
    headers, body = encode_request(make_spectra(3, ("b",)))
    answer = client.post(INFER, content=body, headers=headers)
    assert_error(answer, 413, "holds 3 spectra; send at most 2")
    request = {"inputs": [{"name": "z", "shape": [3], "datatype": "FP64", "data": [0, 0, 0]}]}
    request["inputs"] += [
        {"name": f"{kind}_b", "shape": [3, 2751], "datatype": "FP32", "data": [0] * 8253}
        for kind in ("flux", "ivar")
    ]
    answer = client.post(INFER, content=json.dumps(request).encode(), headers=JSON)
    assert_error(answer, 413, "holds 3 spectra")


def z_header(fields: str) -> bytes:
    return f'{{"inputs": [{{"name": "z", "datatype": "FP64", {fields}}}]}}'.encode()


@pytest.mark.parametrize(
    ("header", "status", "words"),
    [
        (b"", 400, "the JSON header of 0 bytes is not JSON"),
        (b"[" * 50_000, 400, "the JSON header of 50000 bytes: expected object, got array"),
        (b"\xff", 400, "is not JSON"),
        (b"[]", 400, "expected object, got array"),
        (b"{}", 400, "inputs is missing"),
        (b'{"inputs": [1]}', 400, "inputs[0]: expected object, got int"),
        (b'{"inputs": {"a": 1}}', 400, "inputs: expected array, got object"),
        (b'{"inputs": [{"shape": []}]}', 400, "inputs[0]: name is missing"),
        (b'{"inputs": []}', 400, "input z is missing"),
        (z_header('"shape": [1.5]'), 400, "shape of input z is [1.5]: expected int"),
        (z_header('"shape": [-1]'), 400, "input z has shape [-1]"),
        (
            z_header('"shape": [1], "parameters": {"binary_data_size": "8"}'),
            400,
            "binary_data_size: expected int",
        ),
        (
            z_header('"shape": [1001], "parameters": {"binary_data_size": 8008}'),
            413,
            "1001 spectra",
        ),
    ],
)
def test_the_json_header_is_checked_before_the_tensors(
    client: TestClient, header: bytes, status: int, words: str
) -> None:
    headers = {"Content-Type": "application/octet-stream", LENGTH: str(len(header))}
    assert_error(client.post(INFER, content=header + b"tensors", headers=headers), status, words)


def test_a_body_longer_or_shorter_than_announced_is_rejected(client: TestClient) -> None:
    headers, body = encode_request(make_spectra(2))
    assert_error(client.post(INFER, content=body + b"x", headers=headers), 400, "announce")
    assert_error(client.post(INFER, content=body[:-1], headers=headers), 400, "announce")


def test_every_truncation_of_a_message_is_rejected(client: TestClient) -> None:
    headers, body = encode_request(make_spectra(1, ("b",)))
    end = int(headers[LENGTH])
    for length in (*range(0, end, 7), *range(end - 3, end + 40), *range(end, len(body), 997)):
        assert_error(client.post(INFER, content=body[:length], headers=headers), 400)


@given(st.binary(max_size=300), st.integers(-1, 400))
@settings(FUZZ, max_examples=200)
def test_random_bytes_are_rejected(client: TestClient, body: bytes, length: int) -> None:
    kind = {"Content-Type": "application/octet-stream", LENGTH: str(length)}
    for headers in (kind, JSON, {}):
        assert_error(client.post(INFER, content=body, headers=headers), 400)


@given(st.data())
@settings(FUZZ, max_examples=200)
def test_a_message_with_changed_bytes_never_breaks_the_server(
    client: TestClient, data: st.DataObject
) -> None:
    headers, body = encode_request(make_spectra(1, ("b",)))
    changed = bytearray(body)
    end = int(headers[LENGTH])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(32, 126))
    answer = client.post(INFER, content=bytes(changed), headers=headers)
    assert answer.status_code in (200, 400, 413), answer.text


def test_the_documentation_names_every_tensor_and_every_error() -> None:
    text = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
    for name in (*INPUTS, *OUTPUTS):
        assert f"`{name}`" in text
    for code in MEANINGS:
        assert f"\n| {code} | " in text


@pytest.mark.parametrize("data", ["[0, 0]", "[0", "[true]"])
def test_a_rejected_body_leaves_memory_without_the_garbage_collector(
    client: TestClient, data: str
) -> None:
    request = z_header(f'"shape": [1], "data": {data}')
    gc.collect()
    gc.disable()
    try:
        assert_error(client.post(INFER, content=request, headers=JSON), 400)
        wait_for(lambda: not any(isinstance(each, Body) for each in gc.get_objects()))
    finally:
        gc.enable()
