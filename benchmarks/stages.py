"""Stages: time of each step for one petal, from the request's bytes to the response's."""

from collections import defaultdict

from outcrop.wire import decode_request, encode_request, encode_response
from scoring.coadd import coadd
from scoring.scorer import STAGES, Scorer

from .results import ResultTable
from .timing import Seconds, median, milliseconds, take_turns
from .workload import Workload

_TITLES = {
    "infill": "infill, normalise",
    "encode": "encode",
    "decode": "decode",
    "residual": "scores of the residual",
    "neighbours": "neighbours, nof",
    "calibrate": "calibrate, status",
}


def measure(workload: Workload) -> list[ResultTable]:
    """Measure the stages of a petal, one after another in one thread."""
    sizes = workload.sizes
    spectra = workload.spectra(sizes.petal)
    scorer = Scorer.open(workload.bundle(sizes.reference_latents), threads=1)
    headers, body = encode_request(spectra)
    length = int(headers["Inference-Header-Content-Length"])
    request = decode_request(body, length)
    scores = scorer.score(request.spectra)
    stages: Seconds = defaultdict(list)

    # The scorer reports each stage block by block; the blocks of a petal are added up.
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
            "response": lambda: encode_response(scores, request),
        },
        sizes.seconds,
    )

    rest_frame, alone = median(stages["rest_frame"]), median(taken["coadd"])
    rows = [
        ("decode the request", median(taken["decode"])),
        ("coadd", alone),
        ("resample, S/N", max(rest_frame - alone, 0.0)),
        *((title, median(stages[name])) for name, title in _TITLES.items()),
        ("encode the response", median(taken["response"])),
    ]
    total = sum(seconds for _, seconds in rows)

    return [
        ResultTable(
            f"Stages: {sizes.petal} spectra, {sizes.reference_latents} reference latents, "
            "one thread",
            ("stage", "ms", "%"),
            [
                (name, milliseconds(seconds), round(100 * seconds / total, 1))
                for name, seconds in rows
            ],
            "The scorer coadds and resamples in one pass over memory. Here the coadd is also "
            "measured alone; the time of the resampling is the difference.",
        )
    ]
