"""Peers: other servers with the same scorer behind them."""

import json
import subprocess

import numpy as np

from . import server
from .call import arrays_of, binary, json_bentoml, json_mlserver, json_outcrop
from .results import Table, Target
from .server import Server
from .timing import Seconds, median, milliseconds, rate, take_turns
from .workload import ROOT, Material

_OURS = "Outcrop"
_CALLS_OF_A_PETAL = 8


def measure(material: Material) -> list[Target | Table]:
    """Measure JSON requests to all servers, and each server's fastest way for a petal."""
    bundle = material.bundle(material.sizes.reference)
    folder = material.folder
    with (
        server.outcrop(bundle, folder / "ours.log") as ours,
        server.plain_bentoml(bundle, folder / "bentoml.log") as bentoml,
        server.mlserver(bundle, folder / "mlserver.log") as mlserver,
    ):
        return [
            *_json(material, ours, bentoml, mlserver),
            _petals(material, ours, bentoml, mlserver),
        ]


def _json(
    material: Material, ours: Server, bentoml: Server, mlserver: Server
) -> list[Target | Table]:
    rows, ratios = [], []
    for count in material.sizes.json:
        spectra = material.spectra(count)
        taken = take_turns(
            {
                _OURS: json_outcrop(ours.url, spectra),
                "BentoML": json_bentoml(bentoml.url, spectra),
                "MLServer": json_mlserver(mlserver.url, spectra),
            },
            material.sizes.seconds,
        )
        rows += [(count, *row) for row in _beside(taken, count)]
        ratios.append(median(taken["BentoML"]) / median(taken[_OURS]))
    return [
        Target("JSON, against BentoML's ndarray in JSON", min(ratios), 1, "times"),
        Table(
            "JSON, beside other servers of the same scorer",
            ("spectra", "server", "ms", "spectra/s", "ms / ours"),
            rows,
            "Each server gets its own JSON, encoded beforehand: this project's names the "
            "wavelengths of every spectrum, BentoML's and MLServer's are arrays of flux and ivar.",
        ),
    ]


def _petals(material: Material, ours: Server, bentoml: Server, mlserver: Server) -> Table:
    count = material.sizes.petal
    spectra = material.spectra(count)
    taken = take_turns(
        {
            f"{_OURS}, binary tensors": binary(ours.url, spectra),
            "BentoML, JSON": json_bentoml(bentoml.url, spectra),
            "MLServer, JSON": json_mlserver(mlserver.url, spectra),
        },
        0,
    )
    path = material.folder / "spectra.npz"
    np.savez(path, allow_pickle=False, **arrays_of(spectra))
    command = [server.MLSERVER / "bin" / "python", "-m", "benchmarks.mlserver_caller"]
    command += [mlserver.grpc, path, str(_CALLS_OF_A_PETAL)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    # As for the others, the first does not count.
    taken["MLServer, gRPC with raw bytes"] = json.loads(done.stdout)[1:]
    return Table(
        f"A petal of {count}, beside other servers of the same scorer",
        ("server", "ms", "spectra/s", "ms / ours"),
        _beside(taken, count),
        "With binary tensors and gRPC, encoding and decoding are part of the call; JSON is encoded "
        "beforehand.",
    )


def _beside(taken: Seconds, count: int) -> list[tuple[str, float, int, float]]:
    ours = next(median(each) for name, each in taken.items() if name.startswith(_OURS))
    return [
        (name, milliseconds(median(each)), rate(count, median(each)), round(median(each) / ours, 2))
        for name, each in taken.items()
    ]
