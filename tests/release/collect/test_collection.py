"""A catalogue has every row of the release once, in both formats, with what identifies it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from outcrop import InputError, ModelIdentity
from outcrop.night.discoveries import q_values
from release.__main__ import main
from release.collect.collection import CollectOptions, collect
from release.collect.positions import pixels
from release.collect.readme import Readme
from tests.release.collect.made_tables import HEALPIX, write_release, write_table, write_zcatalog

PARTITIONS = ("main-bright", "main-dark", "sv1-other")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write_release(tmp_path / "scores")


def collected(tables: Path, **options: Any) -> tuple[Path, Readme]:
    output = tables.parent / "vac"
    readme = collect(tables, output, CollectOptions(**options))
    return output / f"v{options.get('version', '1.0')}", readme


def catalogue(folder: Path, partition: str) -> Any:
    return fits.getdata(folder / "catalogs" / f"outcrop-iron-{partition}.fits", "OUTLIERS")


def parquet(folder: Path, **chosen: str) -> Any:
    return pq.read_table(
        folder / "parquet", filters=[(k, "=", v) for k, v in chosen.items()] or None
    )


def test_every_row_is_there_once_sorted_by_pixel(tables: Path) -> None:
    folder, readme = collected(tables)
    table = parquet(folder)
    assert sorted(table["TARGETID"].to_pylist()) == [1, 2, 3, 3, 5, 6, 7, 12, 1000, 1001]
    bright = parquet(folder, SURVEY="main", PROGRAM="bright")
    pixel = bright["_healpix_29"].to_numpy()
    assert (np.diff(pixel) > 0).all()
    np.testing.assert_array_equal(
        pixel, pixels(bright["TARGET_RA"].to_numpy(), bright["TARGET_DEC"].to_numpy())
    )
    assert readme.total.rows == 10


def test_both_formats_hold_the_same_rows(tables: Path) -> None:
    folder, _ = collected(tables)
    for partition in PARTITIONS:
        survey, program = partition.split("-")
        rows, columns = (
            catalogue(folder, partition),
            parquet(folder, SURVEY=survey, PROGRAM=program),
        )
        assert set(columns.column_names) - set(rows.names) == {"_healpix_29", "SENTENCE"}
        for name in rows.names:
            expected = columns[name].to_pylist()
            np.testing.assert_array_equal(rows[name].tolist(), expected, err_msg=name)


def test_types_units_and_descriptions(tables: Path) -> None:
    folder, _ = collected(tables)
    schema = ds.dataset(folder / "parquet", partitioning="hive").schema
    types = {field.name: str(field.type) for field in schema}
    assert types["TARGETID"] == types["_healpix_29"] == "int64"
    assert types["LATENT"] == "fixed_size_list<element: float>[3]"
    assert types["P_VALUE"] == types["Q_VALUE"] == "double"
    assert types["ANOMALY"] == types["PRIMARY"] == "bool"
    metadata = schema.field("NORM").metadata
    assert metadata[b"unit"] == b"10**-17 erg/(s cm2 Angstrom)"
    assert metadata[b"description"].startswith(b"norm of the flux")

    header: Any = fits.getheader(folder / "catalogs/outcrop-iron-main-bright.fits", "OUTLIERS")
    number = next(n for n in range(1, header["TFIELDS"] + 1) if header[f"TTYPE{n}"] == "TARGET_RA")
    assert header[f"TUNIT{number}"] == "deg"
    assert header[f"TCOMM{number}"] == "right ascension, J2000"


def test_provenance_is_in_both_formats(tables: Path) -> None:
    folder, _ = collected(tables, note="the first one")
    metadata = parquet(folder).schema.metadata
    header: Any = fits.getheader(folder / "catalogs/outcrop-iron-main-dark.fits")
    for key, value in {
        "MODEL": "outcrop",
        "MODELVER": "20260101",
        "MODELSHA": "ab" * 32,
        "SPECPROD": "iron",
        "VERSION": "1.0",
        "NOTE": "the first one",
        "PRIMRULE": "eligible, then highest SNR",
    }.items():
        assert header[key] == value
        assert metadata[f"outcrop.{key.lower()}".encode()].decode() == value
    assert header["SURVEY"], header["PROGRAM"] == ("main", "dark")
    names = {header[f"DEPNAM{n:02d}"]: header[f"DEPVER{n:02d}"] for n in range(3)}
    assert names["numpy"] == "2.4.6"
    assert "outcrop" in names


def test_the_row_of_the_highest_snr_is_primary(tables: Path) -> None:
    folder, _ = collected(tables)
    table = parquet(folder)
    primary = {
        (one["TARGETID"], one["PROGRAM"]): one["PRIMARY"]
        for one in table.select(["TARGETID", "PROGRAM", "PRIMARY"]).to_pylist()
    }
    assert primary.pop((3, "bright")) is False
    assert all(primary.values())


def test_q_values_are_over_all_programs_and_count_a_target_once(tables: Path) -> None:
    folder, readme = collected(tables)
    table = parquet(folder)
    tested = {
        1: 1 / 2,
        2: 1 / 3,
        3: 1 / 4,
        5: 1 / 6,
        6: 1 / 7,
        7: 1 / 8,
        1000: 1 / 1001,
        1001: 1 / 1002,
    }
    expected = dict(zip(tested, q_values(np.array(list(tested.values()))), strict=True))
    found = table.filter(ds.field("PRIMARY")).select(["TARGETID", "Q_VALUE"]).to_pylist()
    for row in found:
        np.testing.assert_allclose(row["Q_VALUE"], expected.get(row["TARGETID"], np.nan))
    repeats = table.filter(~ds.field("PRIMARY"))["Q_VALUE"].to_numpy()
    assert np.isnan(repeats).all()
    assert readme.discoveries.tested == len(tested)
    assert readme.total.discoveries == 2


def test_causes_are_kept_and_unknown_where_there_are_none(tables: Path) -> None:
    folder, _ = collected(tables)
    rows = parquet(folder, PROGRAM="bright").select(["TARGETID", "CAUSE", "SENTENCE", "Z_BEST"])
    by_target = {row["TARGETID"]: row for row in rows.to_pylist()}
    assert by_target[5]["CAUSE"] == "sky_residual"
    assert by_target[5]["SENTENCE"].startswith("5: sky_residual at Halpha")
    assert by_target[1]["CAUSE"] == by_target[1]["SENTENCE"] == ""
    assert np.isnan(by_target[1]["Z_BEST"])


def test_rows_without_position_have_no_pixel(tables: Path) -> None:
    folder, _ = collected(tables)
    other = parquet(folder, SURVEY="sv1")
    assert other["_healpix_29"].to_pylist() == other["HEALPIX"].to_pylist() == [-1, -1]
    assert "2 rows have no position" in (folder / "README.md").read_text()


def test_checksums_are_those_of_sha256sum(tables: Path) -> None:
    folder, _ = collected(tables)
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK") == 7  # three FITS files, three of Parquet, README


def test_the_readme_counts_what_the_files_hold(tables: Path) -> None:
    folder, _ = collected(tables)
    text = (folder / "README.md").read_text()
    rows = catalogue(folder, "main-bright")
    counts = [len(rows), np.count_nonzero(rows["PRIMARY"]), 5]
    assert f"outcrop-iron-main-bright.fits | 2 | {' | '.join(map(str, counts))} |" in text
    assert "| 3 | NOT_TARGET | 1 | 0 | 0 |" in text
    assert "| sky_residual | 2 | 0 | 0 |" in text
    assert "| PLEVEL | 0.01 | ANOMALY where P_VALUE is below |" in text
    assert "arXiv:2506.17376" in text


def test_versions_list_each_other(tables: Path) -> None:
    collected(tables, note="the first one")
    folder, _ = collected(tables, version="1.1", note="the second one")
    text = (folder / "README.md").read_text()
    history = text[text.index("## Versions") : text.index("## How to cite")]
    assert "| 1.1 |" in history
    assert "the second one" in history
    assert "| 1.0 |" in history
    assert "the first one" in history


def test_a_version_is_replaced_only_if_asked(tables: Path) -> None:
    folder, _ = collected(tables)
    before = (folder / "SHA256SUMS").read_bytes()
    (tables / HEALPIX / "outliers-main-bright-10000.fits").unlink()
    with pytest.raises(InputError, match=r"v1.0 exists"):
        collected(tables)
    assert (folder / "SHA256SUMS").read_bytes() == before
    _, readme = collected(tables, overwrite=True)
    assert readme.total.rows == 6


def test_the_order_of_the_tables_does_not_matter(tables: Path) -> None:
    """Rows of two tables that lie in the same pixels are merged."""
    write_table(
        tables / "tiles/cumulative/1/20210101/outliers-3-1-thru20210101.fits",
        [50, 51],
        tileid=1,
        ra=[10.15, 200.05],
        dec=[-5.15, 40.05],
    )
    folder, _ = collected(tables)
    bright = parquet(folder, SURVEY="main", PROGRAM="bright")
    assert (np.diff(bright["_healpix_29"].to_numpy()) > 0).all()
    assert sorted(bright["TARGETID"].to_pylist()) == [1, 2, 3, 5, 6, 12, 50, 51]


def test_zcatalog_names_targets_and_says_which_row_is_primary(tables: Path) -> None:
    zcatalog = write_zcatalog(
        tables.parent / "zall-pix-iron.fits",
        [
            (99, "main", "bright", 10000, True),
            (3, "main", "bright", 10000, True),
            (3, "main", "dark", 10000, False),
            (1, "main", "bright", 10000, True),
            (2, "main", "bright", 10001, True),  # another pixel
            (5, "main", "bright", 100, True),
            (6, "main", "dark", 100, True),  # another program
        ],
    )
    folder, readme = collected(tables, zcatalog=zcatalog)
    rows = {
        (one["TARGETID"], one["PROGRAM"]): (one["DESINAME"], one["PRIMARY"])
        for one in parquet(folder)
        .select(["TARGETID", "PROGRAM", "DESINAME", "PRIMARY"])
        .to_pylist()
    }
    assert rows[3, "bright"] == ("DESI J3", True)
    assert rows[3, "dark"] == ("DESI J3", False)
    assert rows[1, "bright"] == ("DESI J1", True)
    assert rows[5, "bright"] == ("DESI J5", True)
    for unmatched in ((2, "bright"), (6, "bright"), (7, "dark"), (1000, "other")):
        assert rows[unmatched] == ("", False)
    assert readme.unmatched == 5
    assert "zall-pix-iron.fits" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    "other", [{}, {"p_value": 0.5}, {"model": ModelIdentity("m", "2", "ab" * 32)}]
)
def test_a_table_that_is_scored_again_meanwhile_is_refused(
    tables: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    from release.collect import collection

    scan = collection.scan

    def scan_and_change(folder: Path, *rest: Any) -> Any:
        scanned = scan(folder, *rest)
        path = folder / HEALPIX / "outliers-main-bright-10000.fits"
        path.unlink()
        write_table(path, [1, 2, 3, 12], healpix=10000, **other)
        return scanned

    monkeypatch.setattr(collection, "scan", scan_and_change)
    with pytest.raises(InputError, match=r"10000\.fits changed while it was collected"):
        collected(tables)
    assert not any((tables.parent / "vac").iterdir())


def test_specprod_comes_from_the_tables_or_is_given(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the tables are of iron"):
        collected(tables, specprod="fuji")
    write_table(tmp_path / "b" / "s" / "outliers-1.fits", [1], cards={"SPECPROD": ""})
    with pytest.raises(InputError, match="give --specprod"):
        collected(tmp_path / "b" / "s")
    folder, _ = collected(tmp_path / "b" / "s", specprod="fuji")
    assert (folder / "catalogs" / "outcrop-fuji-main-bright.fits").is_file()


COLLECT = """
import sys
from pathlib import Path
from release.collect.collection import CollectOptions, collect
collect(Path(sys.argv[1]), Path(sys.argv[2]), CollectOptions(overwrite=True))
"""


def start(tables: Path, output: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COLLECT, tables, output], cwd=ROOT)


@pytest.mark.long
def test_nothing_is_half_written_by_a_killed_process(tables: Path, tmp_path: Path) -> None:
    for number in range(60):
        write_table(
            tables / f"healpix/main/dark/2/{200 + number}/outliers-main-dark-{200 + number}.fits",
            range(2000 + 40 * number, 2040 + 40 * number),
            program="dark",
            healpix=200 + number,
            ra=number * 5.0 + np.linspace(0, 4, 40),
            dec=np.linspace(-20, 20, 40),
        )
    output = tmp_path / "vac"
    assert start(tables, output).wait() == 0
    expected = (output / "v1.0" / "catalogs" / "outcrop-iron-main-dark.fits").stat().st_size

    killed = 0
    for pause in (0.0, 0.1, 0.3):
        process = start(tables, output)
        while process.poll() is None and not (output / ".v1.0.tmp" / "catalogs").exists():
            time.sleep(0.005)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL

        # The earlier one, or the new one; between the two renames the earlier one, renamed.
        found = output / "v1.0" if (output / "v1.0").exists() else output / ".v1.0.old"
        done = subprocess.run(
            ["sha256sum", "--quiet", "-c", "SHA256SUMS"],
            cwd=found,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert (found / "catalogs" / "outcrop-iron-main-dark.fits").stat().st_size == expected

    assert killed
    assert start(tables, output).wait() == 0
    assert [path.name for path in output.iterdir()] == ["v1.0"]


@pytest.mark.parametrize("note", ["première", "two\nlines"])
def test_a_note_that_no_header_can_have_is_refused_by_name(
    tables: Path, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["collect", str(tables), "--output", str(tables.parent / "vac"), "--note", note]
    assert main(arguments) == 1
    assert "is not printable ASCII, as FITS headers must be" in capsys.readouterr().err
    assert not (tables.parent / "vac").exists()


def test_a_damaged_table_whose_name_is_no_text_is_named(tables: Path) -> None:
    damaged = Path(os.fsdecode(os.fsencode(tables) + b"/outliers-\xff.fits"))
    damaged.write_bytes(b"SIMPLE")
    folder, _ = collected(tables, allow_missing=True)
    assert "outliers-\\udcff.fits" in (folder / "README.md").read_text("utf-8")
