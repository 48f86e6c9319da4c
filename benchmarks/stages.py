"""Stages: where the time of one petal goes, from the request's bytes to the answer's."""

from collections import defaultdict

from outcrop.wire import decode_request, encode_request, encode_response
from scoring.coadd import coadd
from scoring.scorer import STAGES, Scorer

from .results import Table
from .timing import Seconds, median, milliseconds, take_turns
from .workload import Material

_OWN = {
    "infill": "infill, normalise",
    "encode": "encode",
    "decode": "decode",
    "residual": "wmse, boxcar significance",
    "neighbours": "neighbours, nof",
    "calibrate": "calibrate, status",
}


def measure(material: Material) -> list[Table]:
    """Measure the stages of a petal, one after the other in one thread."""
    sizes = material.sizes
    spectra = material.spectra(sizes.petal)
    scorer = Scorer.open(material.bundle(sizes.reference), threads=1)
    headers, body = encode_request(spectra)
    length = int(headers["Inference-Header-Content-Length"])
    request = decode_request(body, length)
    scores = scorer.score(request.spectra)
    stages: Seconds = defaultdict(list)

    def score() -> None:
        total: dict[str, float] = dict.fromkeys(STAGES, 0.0)

        def add(stage: str, seconds: float) -> None:
            total[stage] += seconds

        scorer.score(request.spectra, observe=add)
        for stage, seconds in total.items():
            stages[stage].append(seconds)

    taken = take_turns(
        {
            "decode": lambda: decode_request(body, length),
            "coadd": lambda: coadd(request.spectra),
            "score": score,
            "answer": lambda: encode_response(scores, request),
        },
        sizes.seconds,
    )
    rest_frame, alone = median(stages["rest_frame"]), median(taken["coadd"])
    rows = [
        ("decode the request", median(taken["decode"])),
        ("coadd", alone),
        ("resample, S/N", max(rest_frame - alone, 0.0)),
        *((title, median(stages[name])) for name, title in _OWN.items()),
        ("encode the answer", median(taken["answer"])),
    ]
    total = sum(seconds for _, seconds in rows)
    return [
        Table(
            f"Stages: {sizes.petal} spectra, {sizes.reference} reference latents, one thread",
            ("stage", "ms", "%"),
            [
                (name, milliseconds(seconds), round(100 * seconds / total, 1))
                for name, seconds in rows
            ],
            "Coadd and resample are one pass over memory when a petal is scored; here the coadd "
            "is also measured alone, and the resampling is what remains.",
        )
    ]
