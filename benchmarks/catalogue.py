"""Catalogue: time, memory and bytes of `release collect` for millions of rows.

Score tables are copied with other TARGETIDs and places on the sky, until there are enough rows.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from release.collect.collection import CollectOptions, collect
from release.collect.score_tables import find_tables

_EXAMPLE = """example:
  python -m benchmarks.catalogue outliers --rows 2000000
"""
_GOLDEN = 0.618034  # places that follow each other by it fill the sky evenly


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", type=Path, help="folder of score tables")
    parser.add_argument("--rows", type=int, default=2_000_000, help="default: 2,000,000")
    parser.add_argument("--folder", type=Path, help="where to write 3 GB; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        made = _copy(find_tables(options.tables), Path(folder, "scores"), options.rows)
        print(_measured(made, Path(folder, "vac")))
    return 0


def _copy(tables: list[Path], folder: Path, rows: int) -> Path:
    """Write copies of the tables until they have so many rows; return their folder."""
    from astropy.io import fits

    folder.mkdir()
    written = number = 0
    with tqdm(total=rows, desc="copy", unit="row", unit_scale=True, delay=2) as bar:
        while written < rows:
            with fits.open(tables[number % len(tables)], memmap=False) as opened:
                hdus: Any = opened
                table = hdus["OUTLIERS"].data
                table["TARGETID"] += number // len(tables) << 44
                ra, dec = table["TARGET_RA"], table["TARGET_DEC"]
                ra[:] = (ra - ra.mean() + 360 * _GOLDEN * number) % 360
                dec[:] = np.clip(dec - dec.mean() + 60 * (_GOLDEN**2 * number % 1) - 20, -90, 90)
                hdus[0].header["INFIL000"] = f"coadd-{number}.fits"
                hdus.writeto(folder / f"outliers-{number}.fits")
                written += len(table)
                bar.update(len(table))
            number += 1
    return folder


def _measured(tables: Path, output: Path) -> str:
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    rows = collect(tables, output, CollectOptions(specprod="copies")).total.rows
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sizes = [
        sum(path.stat().st_size for path in output.rglob(pattern)) / rows
        for pattern in ("*.parquet", "*.fits")
    ]
    return (
        f"{rows:,} rows: {rows / seconds:,.0f} rows/s, {rows / cpu:,.0f} rows/s of CPU, "
        f"{after.ru_maxrss / 1024:,.0f} MB at most, {sizes[0]:.0f} bytes a row of Parquet, "
        f"{sizes[1]:.0f} of FITS"
    )


if __name__ == "__main__":
    sys.exit(main())
