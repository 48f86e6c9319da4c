"""Call: one request to each of the servers, in each format that they accept."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
from numpy.typing import NDArray

from outcrop import Spectra
from outcrop.spectra import WAVE
from outcrop.wire import HEADER_LENGTH, MODEL_NAME, decode_response, encode_request

Call = Callable[[], object]
_TIMEOUT = 120
_DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64"}


def arrays_of(spectra: Spectra) -> dict[str, NDArray[Any]]:
    """Return what the other servers receive: flux and ivar of each camera, without masks."""
    arrays: dict[str, NDArray[Any]] = {"z": spectra.z, "targetid": spectra.targetid}
    for name, band in spectra.bands.items():
        folded = band.folded()
        arrays |= {f"flux_{name}": folded.flux, f"ivar_{name}": folded.ivar}
    return arrays


def binary(url: str, spectra: Spectra) -> Call:
    """Return a call with binary tensors, encoding and decoding included."""
    http = httpx2.Client(timeout=_TIMEOUT)

    def call() -> None:
        headers, body = encode_request(spectra)
        answer = http.post(f"{url}/v2/models/{MODEL_NAME}/infer", content=body, headers=headers)
        answer.raise_for_status()
        decode_response(answer.content, int(answer.headers[HEADER_LENGTH]))

    return call


def json_outcrop(url: str, spectra: Spectra) -> Call:
    """Return a call with this project's JSON."""
    folded = {name: band.folded() for name, band in spectra.bands.items()}
    content = {
        "spectra": [
            {
                "targetid": str(spectra.targetid[row]),
                "z": float(spectra.z[row]),
                "cameras": {
                    name: {
                        "wavelength": WAVE[name].tolist(),
                        "flux": band.flux[row].tolist(),
                        "ivar": band.ivar[row].tolist(),
                    }
                    for name, band in folded.items()
                },
            }
            for row in range(len(spectra))
        ]
    }
    return _post(f"{url}/score", content)


def json_bentoml(url: str, spectra: Spectra) -> Call:
    """Return a call with BentoML's JSON of numpy arrays."""
    return _post(f"{url}/score", {k: array.tolist() for k, array in arrays_of(spectra).items()})


def json_mlserver(url: str, spectra: Spectra) -> Call:
    """Return a call with the JSON tensors of the Open Inference Protocol."""
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": _DATATYPES[str(array.dtype)],
            "data": array.ravel().tolist(),
        }
        for name, array in arrays_of(spectra).items()
    ]
    return _post(f"{url}/v2/models/{MODEL_NAME}/infer", {"inputs": inputs})


def _post(url: str, content: object) -> Call:
    # Encoded once: the time that a client needs to write JSON does not count.
    body = json.dumps(content).encode()
    http = httpx2.Client(timeout=_TIMEOUT)

    def call() -> None:
        headers = {"Content-Type": "application/json"}
        http.post(url, content=body, headers=headers).raise_for_status()

    return call
