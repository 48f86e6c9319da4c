"""MLServer caller: time of MLServer for spectra sent over gRPC as raw bytes.

It runs in MLServer's environment, because the mlserver package has the client's gRPC classes.

    python benchmarks/mlserver_caller.py ADDRESS SPECTRA.npz CALLS

prints the seconds of each call as a JSON list.
"""

# pyright: reportMissingImports=false

import json
import sys
import time

import grpc
import numpy as np
from mlserver.grpc.dataplane_pb2 import ModelInferRequest
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

_DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64"}


def main(address: str, path: str, calls: int) -> None:
    """Send the calls and print the seconds of each."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    seconds = []
    with grpc.insecure_channel(address, options=options) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for _ in range(calls):
            start = time.perf_counter()
            request = ModelInferRequest(model_name="outcrop")
            for name, array in arrays.items():
                request.inputs.add(
                    name=name, shape=array.shape, datatype=_DATATYPES[str(array.dtype)]
                )
                request.raw_input_contents.append(array.tobytes())
            stub.ModelInfer(request)
            seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))  # noqa: T201 (this is the program's output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
