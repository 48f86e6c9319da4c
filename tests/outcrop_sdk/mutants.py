"""Damaged copies of small DESI files: a few bytes changed, cut out, doubled, or all after one."""

from pathlib import Path

import numpy as np

_TELLING = b" 0123456789=-+.'/TFEJKDA\x00\x7f\x80\xf8\xff"


def mutant(content: bytes, seed: int) -> bytes:
    """Return a damaged copy, always the same for a seed; two thirds of the damage is in headers."""
    rng = np.random.default_rng(seed)
    headers = [
        at
        for at in range(0, len(content), 80)
        if content[at : at + 80].isascii() and content[at : at + 9].strip().isupper()
    ]

    def place() -> int:
        if rng.random() < 2 / 3:
            return int(rng.choice(headers)) + int(rng.integers(80))
        return int(rng.integers(len(content)))

    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        byte = rng.choice(list(_TELLING)) if rng.random() < 0.8 else rng.integers(256)
        damaged[place()] = int(byte)

    at, kind = place(), rng.random()
    if kind < 0.05:
        del damaged[at:]
    elif kind < 0.1:
        del damaged[at : at + int(rng.choice([1, 80, 2880]))]
    elif kind < 0.2:
        # The length stays, and with it what is checked first.
        damaged[at : at + 80] = damaged[max(0, at - 80) : at]
        damaged += bytes(max(0, len(content) - len(damaged)))
    return bytes(damaged)


def write_mutants(coadd: Path, redrock: Path, folder: Path, number: int, first: int = 0) -> None:
    """Write petals of which one file, coadd and redrock in turn, is damaged."""
    folder.mkdir(parents=True)
    good = {"coadd": coadd.read_bytes(), "redrock": redrock.read_bytes()}
    for seed in range(first, first + number):
        for kind, content in good.items():
            damaged = seed % 2 == (kind == "redrock")
            name = f"{kind}-{seed}-1-thru20210324.fits"
            (folder / name).write_bytes(mutant(content, seed) if damaged else content)
