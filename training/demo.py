"""Demo: all of Outcrop on a simulated sky, with the same commands that a user types.

Simulate a sky, train on it, store the model, start the service, score a petal with injected
anomalies through HTTP, and again as a night of one petal, whose flagged spectra are explained. Stop
the service, and show what stands out.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.table import Table

from outcrop import Client, OutcropError, find_petals

from .evaluation.metrics import recall_at
from .truth import CONTROL, Truth
from .truth import FILE as TRUTH

_PETALS = 10
_STARTUP_SECONDS = 120
_FALSE_POSITIVES = 0.01
_OUTPUTS = (
    *("sky", "model", "model-report", "model.work", "outliers.fits", "night", "figures"),
    "server.log",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.demo", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that everything is written to")
    folder: Path = parser.parse_args(arguments).folder
    started = time.monotonic()
    try:
        _demo(folder)
    except subprocess.CalledProcessError as error:
        print(f"outcrop: error: the step above failed with exit status {error.returncode}")
        return 1
    except (OutcropError, TimeoutError) as error:
        print(f"outcrop: error: {error}")
        return 1
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    return 0


def _demo(folder: Path) -> None:
    _remove_outputs(folder)
    train, test = folder / "sky" / "train", folder / "sky" / "test"
    model, table, night = folder / "model", folder / "outliers.fits", folder / "night"
    python = (sys.executable, "-m")

    _say(1, f"simulate a sky: {_PETALS} petals to train on, one with injected anomalies to score")
    _run(*python, "training", "simulate", train, "--petals", _PETALS, "--seed", 1)
    _run(*python, "training", "simulate", test, "--petals", 1, "--seed", 2, "--anomalies", 0.12)

    _say(2, "train, and export to a bundle")
    _run(*python, "training", "fit", train, "--output", model, "--config", "demo")

    _say(3, "store the bundle")
    tag = _run(*python, "model_store", "add", model, capture=True).strip()
    print(tag)

    petal = find_petals(test)[0]
    with _service(tag, folder / "server.log") as url:
        _say(4, f"the service is ready at {url}; score the petal, explain what stands out")
        command = ("--coadd", petal.coadd, "--redrock", petal.redrock, "--output", table)
        sdk = Path(sys.executable).with_name("outcrop")
        _run(sdk, "score", *command, "--url", url, "--reconstruction", "--explain")
        command = (test, "--output", night, "--url", url, "--report")
        _run(sdk, "night", *command, capture=True)

    _say(5, "draw the outliers")
    figures = folder / "figures"
    _run(*python, "training", "figures", model, test, "--output", figures, "--scores", table)

    _report(table, test / TRUTH)
    print(f"\nscore table     {table}")
    print(f"night           {night / 'report.html'}; `make review` shows it on a page")
    print(f"pictures        {figures / 'index.html'}")
    print(f"training report {folder / 'model-report' / 'report.md'}")


def _remove_outputs(folder: Path) -> None:
    """Remove what an earlier run wrote."""
    for name in _OUTPUTS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _say(step: int, text: str) -> None:
    print(f"\n[{step}/5] {text}", flush=True)


def _run(*arguments: object, capture: bool = False) -> str:
    output = subprocess.PIPE if capture else None
    done = subprocess.run([*map(str, arguments)], check=True, text=True, stdout=output)
    return done.stdout or ""


@contextmanager
def _service(tag: str, log: Path) -> Iterator[str]:
    """Serve a stored model on a free loopback port; stop it by its own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "service.app:OutlierService"]
    command += ["--host", "127.0.0.1", "--port", str(port)]

    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        server = subprocess.Popen(
            command,
            env=os.environ | {"OUTCROP_MODEL": tag},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(server, url, log)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with Client(url, timeout=2) as client:
                client.health()
        except OutcropError:
            time.sleep(0.3)
        else:
            return
    raise TimeoutError(f"the service did not become ready; see {log}")


def _report(path: Path, truth_path: Path) -> None:
    table = Table.read(path, hdu="OUTLIERS")
    truth = Truth.read(truth_path)
    # Sky fibers are not in the truth.
    kind = np.array([truth.kind.get(int(targetid), "") for targetid in table["TARGETID"]])
    p_value = np.ma.filled(table["P_VALUE"], np.nan)
    eligible = np.isfinite(p_value)

    print("\nThe ten spectra with the smallest p_value")
    print("TARGETID            p_value    wmse     S/N     z       injected         cause")
    for row in np.argsort(np.where(eligible, p_value, np.inf))[:10]:
        entry = table[row]
        print(
            f"{entry['TARGETID']:<18}  {entry['P_VALUE']:8.1e}  {entry['WMSE']:7.2f}  "
            f"{entry['SNR']:6.1f}  {entry['Z']:7.4f}  {kind[row] or '-':<15}  {entry['CAUSE']}"
        )

    inlier = eligible & (kind == "") & (table["SNR"] > 5)
    injected = eligible & (kind != "") & (kind != CONTROL)
    scores = -np.log(p_value)
    recall = recall_at(scores[injected], scores[inlier], _FALSE_POSITIVES)
    print(
        f"\nRecall at 1 % false positives: {recall:.0%} of {injected.sum()} injected anomalies "
        f"({inlier.sum()} inliers with S/N > 5)."
        "\nThis is a simulated sky: the numbers show that everything works, not how well Outcrop "
        "does on DESI."
    )


if __name__ == "__main__":
    sys.exit(main())
