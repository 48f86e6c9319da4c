"""All tunable values of the clients and of a night."""

from typing import Final

URL: Final = "http://127.0.0.1:3000"
TIMEOUT: Final = 60.0  # s, of a call, retries included
CHUNK: Final = 500  # spectra in a request: a petal
EXPLAINED: Final = 500  # flagged spectra of a petal, at most, that are explained
EXPLAIN_CHUNK: Final = 50  # spectra to explain in a request: some seconds of work
RETRIED: Final = frozenset({429, 502, 503, 504})
ANSWER_BYTES: Final = 1 << 20  # at most, of a response without rows, or in addition to its rows
ROW_BYTES: Final = 1 << 14  # at most, of the scores of a spectrum: 4,000 latents
RECONSTRUCTION_BYTES: Final = 1 << 18  # at most, of its reconstruction: 20,000 bins
EXPLANATION_BYTES: Final = 1 << 17  # at most, of the explanation of a spectrum
ERROR_BYTES: Final = 1 << 16  # that are read of an error
CONNECTION_TRIES: Final = 5  # about 4 s: a restart, but not a wrong address for a minute
FIRST_WAIT: Final = 0.25  # s, doubled with every try
LONGEST_WAIT: Final = 8.0  # s, unless Retry-After is longer
JITTER: Final = 0.25  # s at most, added to every wait
MODEL_TRIES: Final = 5  # of `outcrop score`, to get all scores from the model of the header
ROLLOUT_PAUSE: Final = 5.0  # s, before it, or a night, asks again which model is served

WORKERS: Final = 4  # petals of a night at a time: two are scored while two are read or written
NIGHT_RETRY_SECONDS: Final = 300.0  # s, that a night waits for an unavailable or busy service
POLL: Final = 10.0  # s, between searches for new petals
TOP: Final = 100  # targets in a night's top list: an evening of visual inspection
Q_LEVEL: Final = 0.1  # false discovery rate of a night's discoveries
FAULT_CHANCE: Final = 1e-4  # that a petal without a fault is set apart
FAULT_RATIO: Final = 2.0  # flagged share over the usual one, beyond which a petal may be set apart
FAULT_SHARE: Final = 10.0  # times the level, beyond which a petal is always set apart
FAULT_FLAGGED: Final = 5  # at least, where anything is set apart
NOISE_RANGE: Final = (0.7, 1.5)  # variance over the reported one of a petal that is not set apart

REMOTE_CONNECTIONS: Final = 4  # requests at a time, of all processes that use a cache
REMOTE_GIB: Final = 20.0  # of a cache: 400 petals without their resolution matrices
REMOTE_FIRST: Final = 182 * 2880  # bytes of the first request: a whole redrock file, mostly
REMOTE_AHEAD: Final = 10 * 2880  # bytes read beyond what is needed: the next HDU's header
REMOTE_PIECE: Final = 2912 * 2880  # bytes of a request at most, 8 MiB: what a failure costs
REMOTE_TIMEOUT: Final = 30.0  # s, of a request, and in addition its bytes at the
REMOTE_SLOWEST: Final = 64 * 1024  # bytes/s that a server must send at least
REMOTE_TRIES: Final = 8  # of a request: about 30 s
REMOTE_LONGEST_WAIT: Final = 30.0  # s between two of them, unless Retry-After is longer
REMOTE_RETRY_AFTER: Final = 300.0  # s, the longest that is waited for
REMOTE_REDIRECTS: Final = 5
REMOTE_ANEW: Final = 3  # times that a file which changes while it is fetched is begun again
REMOTE_HDUS: Final = 1000  # of a file at most
REMOTE_LARGEST: Final = 64 << 30  # bytes of a file at most
REMOTE_UNPACKED: Final = 2 << 30  # bytes of a gzipped file at most, since it is read into memory
