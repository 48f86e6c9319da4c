"""Competitors: other servers of the same scorer."""

import json
import subprocess

import numpy as np

from . import server
from .call import arrays_of, binary, json_bentoml, json_mlserver, json_outcrop
from .results import ResultTable, Target
from .server import ServerProcess
from .timing import Seconds, median, milliseconds, rate, take_turns
from .workload import ROOT, Workload

_OURS = "Outcrop"
_CALLS_PER_PETAL = 8


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure JSON requests to all servers, and each server's fastest format for a petal."""
    bundle = workload.bundle(workload.sizes.reference_latents)
    folder = workload.folder
    with (
        server.outcrop(bundle, folder / "ours.log") as ours,
        server.bentoml(bundle, folder / "bentoml.log") as bentoml,
        server.mlserver(bundle, folder / "mlserver.log") as mlserver,
    ):
        return [
            *_json(workload, ours, bentoml, mlserver),
            _petals(workload, ours, bentoml, mlserver),
        ]


def _json(
    workload: Workload, ours: ServerProcess, bentoml: ServerProcess, mlserver: ServerProcess
) -> list[Target | ResultTable]:
    rows, count, ratio = [], 0, 0.0

    # The target is that of the largest request.
    for count in workload.sizes.json:
        spectra = workload.spectra(count)
        taken = take_turns(
            {
                _OURS: json_outcrop(ours.url, spectra),
                "BentoML": json_bentoml(bentoml.url, spectra),
                "MLServer": json_mlserver(mlserver.url, spectra),
            },
            workload.sizes.seconds,
        )
        rows += [(count, *row) for row in _rows(taken, count)]
        ratio = median(taken["BentoML"]) / median(taken[_OURS])

    return [
        Target(
            f"JSON of {count} spectra, speed relative to BentoML's ndarray in JSON",
            ratio,
            1.3,
            "times",
        ),
        ResultTable(
            "JSON, compared with other servers of the same scorer",
            ("spectra", "server", "ms", "spectra/s", "ms / ours"),
            rows,
            "Each server receives its own JSON, encoded beforehand. Outcrop's holds the "
            "wavelengths of every spectrum; BentoML's and MLServer's hold arrays of flux and ivar.",
        ),
    ]


def _petals(
    workload: Workload, ours: ServerProcess, bentoml: ServerProcess, mlserver: ServerProcess
) -> ResultTable:
    count = workload.sizes.petal
    spectra = workload.spectra(count)
    taken = take_turns(
        {
            f"{_OURS}, binary tensors": binary(ours.url, spectra),
            "BentoML, JSON": json_bentoml(bentoml.url, spectra),
            "MLServer, JSON": json_mlserver(mlserver.url, spectra),
        },
        0,
    )

    # gRPC is called from MLServer's own environment.
    path = workload.folder / "spectra.npz"
    np.savez(path, allow_pickle=False, **arrays_of(spectra))
    command = [server.MLSERVER / "bin" / "python", "-m", "benchmarks.mlserver_caller"]
    command += [mlserver.grpc, path, str(_CALLS_PER_PETAL)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    # The first call is the warm-up.
    taken["MLServer, gRPC with raw bytes"] = json.loads(done.stdout)[1:]

    return ResultTable(
        f"A petal of {count}, compared with other servers of the same scorer",
        ("server", "ms", "spectra/s", "ms / ours"),
        _rows(taken, count),
        "With binary tensors and gRPC, the call includes encoding and decoding; JSON is encoded "
        "beforehand.",
    )


def _rows(taken: Seconds, count: int) -> list[tuple[str, float, int, float]]:
    ours = next(median(each) for name, each in taken.items() if name.startswith(_OURS))
    return [
        (name, milliseconds(median(each)), rate(count, median(each)), round(median(each) / ours, 2))
        for name, each in taken.items()
    ]
