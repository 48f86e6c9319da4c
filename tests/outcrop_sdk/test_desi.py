"""Every layout of DESI's files gives the same spectra, every damage one clear error."""

import gzip
import logging
import math
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop import InputError, Spectra, Status, is_simulated, read_spectra
from tests.outcrop_sdk.sample import (
    band_hdus,
    fibermap,
    image,
    open_fits,
    pixels,
    table,
    write,
    write_coadd,
    write_redrock,
)

IDS = [39633345008634465, 11, 2**61 + 5, -7008279]
CAMERAS = ("b", "r", "z")


def check(spectra: Spectra, ids: Sequence[int], bands: Sequence[str] = CAMERAS) -> None:
    """Assert that spectra are those of the sample files for these targets."""
    assert spectra.targetid.tolist() == list(ids)
    assert list(spectra.bands) == list(bands)
    for name, band in spectra.bands.items():
        np.testing.assert_array_equal(band.flux, pixels(name, ids))
        assert (band.ivar == 4).all()
        for array in (band.flux, band.ivar, band.mask):
            assert array is not None
            assert array.dtype.isnative
            assert array.flags.c_contiguous
        assert band.mask is not None
        assert band.mask[:, 5].tolist() == [4] * len(ids)
        assert np.count_nonzero(band.mask) == len(ids)


def test_a_petal_has_redrocks_rows_in_redrocks_order(tmp_path: Path) -> None:
    order = [IDS[2], IDS[0], IDS[3], IDS[1]]
    spectra = read_spectra(
        write_coadd(tmp_path / "coadd.fits", IDS), write_redrock(tmp_path / "redrock.fits", order)
    )
    check(spectra, order)
    assert spectra.status.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(spectra.z, [0.1, 0.11, 0.12, 0.13])
    assert (spectra.zwarn is not None, spectra.spectype is not None) == (True, True)
    columns = {name: column.tolist() for name, column in spectra.columns().items()}
    assert columns["zwarn"] == [0, 0, 0, 0]
    assert columns["spectype"] == ["GALAXY"] * 4
    assert columns["ra"] == [152.0, 150.0, 153.0, 151.0]
    assert columns["dec"] == [4.0, 2.0, 5.0, 3.0]
    assert columns["fiber"] == [1002, 1000, 1003, 1001]
    assert columns["petal"] == [2, 2, 2, 2]
    assert columns["tileid"] == [80613] * 4


@pytest.mark.parametrize("bands", [("b", "r", "z"), ("brz",), ("b",), ("r", "z")])
def test_every_set_of_bands_is_read(tmp_path: Path, bands: Sequence[str]) -> None:
    spectra = read_spectra(write_coadd(tmp_path / "coadd.fits", IDS, bands), z=0.1)
    check(spectra, IDS, bands)
    missing = int(Status.MISSING_CAMERA) if set(bands) < set(CAMERAS) else 0
    assert spectra.status.tolist() == [missing] * 4


def test_the_order_of_hdus_is_free(tmp_path: Path) -> None:
    hdus = [fibermap(IDS), *(hdu for band in "bzr" for hdu in band_hdus(band, IDS))]
    check(read_spectra(write(tmp_path / "coadd.fits", hdus[::-1]), z=0.1), IDS)


@pytest.mark.parametrize("mask", [np.int32, np.uint32, np.int16, np.uint8])
def test_masks_of_every_width_are_read(tmp_path: Path, mask: type[np.integer[Any]]) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap(IDS), *band_hdus("r", IDS, mask)])
    check(read_spectra(path, z=0.1), IDS, ["r"])


def test_a_coadd_without_masks_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap(IDS), *band_hdus("r", IDS, None)])
    assert read_spectra(path, z=0.1).bands["r"].mask is None


def test_gzipped_files_are_read(tmp_path: Path) -> None:
    plain = (
        write_coadd(tmp_path / "coadd.fits", IDS),
        write_redrock(tmp_path / "redrock.fits", IDS),
    )
    packed = [path.with_name(path.name + ".gz") for path in plain]
    for path, target in zip(plain, packed, strict=True):
        target.write_bytes(gzip.compress(path.read_bytes(), 1))
    check(read_spectra(*packed), IDS)


def bytes_read() -> int:
    """Return how many bytes this process has read from files."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count reads")
def test_the_resolution_is_never_read(tmp_path: Path) -> None:
    resolution = np.zeros((1000, 1000), np.float32)
    hdus = [fibermap(IDS), *band_hdus("r", IDS), image(resolution, "B_RESOLUTION")]
    path = write(tmp_path / "coadd.fits", hdus)
    read_spectra(path, z=0.1)

    before = bytes_read()
    read_spectra(path, z=0.1)
    assert bytes_read() - before < path.stat().st_size - resolution.nbytes / 2


# --- status bits


def test_repeated_targets_are_joined_in_turn_and_marked(tmp_path: Path) -> None:
    coadd = write(
        tmp_path / "coadd.fits",
        [
            fibermap([7, 8, 7]),
            *band_hdus("b", [1, 2, 3]),
            *band_hdus("r", [1, 2, 3]),
            *band_hdus("z", [1, 2, 3]),
        ],
    )
    redrock = write_redrock(tmp_path / "redrock.fits", [7, 7, 8, 7])
    spectra = read_spectra(coadd, redrock)
    assert spectra.bands["b"].flux[:, 0].tolist() == [1, 3, 2, 0]
    twice = int(Status.DUPLICATE)
    assert spectra.status.tolist() == [twice, twice, 0, twice | int(Status.NO_SPECTRUM)]


def test_a_target_repeated_in_the_coadd_alone_is_marked(tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [7, 8, 7])
    twice = int(Status.DUPLICATE)
    assert read_spectra(coadd, z=0.1).status.tolist() == [twice, 0, twice]
    joined = read_spectra(coadd, write_redrock(tmp_path / "redrock.fits", [8, 7]))
    assert joined.status.tolist() == [0, twice]


def test_a_redrock_row_without_spectrum_is_a_row_without_information(tmp_path: Path) -> None:
    spectra = read_spectra(
        write_coadd(tmp_path / "coadd.fits", IDS[:2], ("r",)),
        write_redrock(tmp_path / "redrock.fits", [IDS[1], 99]),
    )
    missing = int(Status.MISSING_CAMERA)
    assert spectra.status.tolist() == [missing, missing | int(Status.NO_SPECTRUM)]
    assert (spectra.bands["r"].ivar[1] == 0).all()
    np.testing.assert_array_equal(spectra.bands["r"].flux[0], pixels("r", [IDS[1]])[0])
    columns = spectra.columns()
    assert [columns[name][1] for name in ("fiber", "petal", "tileid")] == [-1, -1, -1]
    assert np.isnan([columns["ra"][1], columns["dec"][1]]).all()


@pytest.mark.parametrize(("common", "refused"), [(0, True), (3, True), (4, False), (7, False)])
def test_files_that_do_not_belong_together_are_refused_unless_allowed(
    tmp_path: Path, common: int, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", range(8), ("r",))
    redrock = write_redrock(tmp_path / "redrock.fits", range(8 - common, 16 - common))
    counted = rf"{8 - common} of 8 rows of .*redrock\.fits have no spectrum in .*coadd\.fits"
    with caplog.at_level(logging.WARNING):
        if refused:
            with pytest.raises(InputError, match=f"{counted}: .*--allow-mismatch"):
                read_spectra(coadd, redrock)
        spectra = read_spectra(coadd, redrock, allow_mismatch=refused)
    assert len(caplog.messages) == 1
    assert re.match(counted, caplog.messages[0])
    missing = (spectra.status & Status.NO_SPECTRUM) != 0
    assert np.count_nonzero(missing) == 8 - common


def test_a_spectra_file_is_refused(tmp_path: Path) -> None:
    ids = [7, 8, 7, 8, 9]
    rows = {"EXPID": ("J", np.arange(5)), "NIGHT": ("J", np.full(5, 20210324))}
    path = write(tmp_path / "spectra.fits", [fibermap(ids, **rows), *band_hdus("r", ids)])
    with pytest.raises(
        InputError, match=r"spectra\.fits is a spectra file: .* 5 rows of 3 targets"
    ):
        read_spectra(path, z=0.1)
    # A coadd may have the columns too, and a file of single exposures has a row per target.
    rows["COADD_NUMEXP"] = ("I", np.ones(5))
    coadd = write(tmp_path / "coadd.fits", [fibermap(ids, **rows), *band_hdus("r", ids)])
    assert len(read_spectra(coadd, z=0.1)) == 5
    del rows["COADD_NUMEXP"]
    single = [fibermap(range(5), **rows), *band_hdus("r", list(range(5)))]
    assert len(read_spectra(write(tmp_path / "single.fits", single), z=0.1)) == 5


def test_coadd_rows_that_redrock_lacks_are_left_out(tmp_path: Path) -> None:
    spectra = read_spectra(
        write_coadd(tmp_path / "coadd.fits", IDS),
        write_redrock(tmp_path / "redrock.fits", [IDS[3]]),
    )
    check(spectra, [IDS[3]])


def test_redshifts_that_are_not_usable_are_marked(tmp_path: Path) -> None:
    redrock = write_redrock(
        tmp_path / "redrock.fits",
        IDS,
        z=[0.0, math.nan, math.inf, 0.0],
        zwarn=[(1 << 9) | 4, 0, 0, 1 << 2],
    )
    spectra = read_spectra(write_coadd(tmp_path / "coadd.fits", IDS), redrock)
    unknown = int(Status.NO_REDSHIFT)
    assert spectra.status.tolist() == [unknown, unknown, unknown, 0]
    np.testing.assert_array_equal(spectra.z, [0.0, math.nan, math.inf, 0.0])


@pytest.mark.parametrize(
    ("column", "bit"),
    [
        ({"OBJTYPE": ("3A", ["TGT", "SKY", "", "BAD"])}, Status.NOT_TARGET),
        # Harmless: RESTRICTED, and bit 20, which changed its meaning. Bad: the rest.
        ({"COADD_FIBERSTATUS": ("J", [(1 << 20) | 8, 1 << 9, 9, -(2**31)])}, Status.BAD_FIBER),
        ({"OBJTYPE": ("8A", ["TGT     ", "TGTX", "tgt", "NON"])}, Status.NOT_TARGET),
    ],
)
def test_sky_fibers_and_bad_fibers_are_marked(
    tmp_path: Path, column: dict[str, Any], bit: Status
) -> None:
    hdus = [hdu for band in CAMERAS for hdu in band_hdus(band, IDS)]
    path = write(tmp_path / "coadd.fits", [fibermap(IDS, **column), *hdus])
    assert read_spectra(path, z=0.1).status.tolist() == [0, bit, bit, bit]


def test_a_healpix_file_gives_fiber_petal_and_tile_of_the_first_exposure(tmp_path: Path) -> None:
    short = fibermap(IDS, without=("FIBER", "PETAL_LOC", "TILEID"))
    exposures = table(
        "EXP_FIBERMAP",
        TARGETID=("K", [IDS[2], 5, IDS[0], IDS[2], IDS[1]]),
        FIBER=("J", [22, 55, 20, 32, 21]),
        PETAL_LOC=("I", [4, 0, 3, 5, 6]),
        TILEID=("J", [400, 0, 300, 500, 600]),
    )
    hdus = [hdu for band in CAMERAS for hdu in band_hdus(band, IDS)]
    spectra = read_spectra(write(tmp_path / "coadd.fits", [short, exposures, *hdus]), z=0.1)
    columns = {name: column.tolist() for name, column in spectra.columns().items()}
    assert columns["fiber"] == [20, 21, 22, -1]
    assert columns["petal"] == [3, 6, 4, -1]
    assert columns["tileid"] == [300, 600, 400, -1]


TARGETING = ("desi_target", "bgs_target", "mws_target")


@pytest.mark.parametrize("survey", ["", "SV1_", "SV2_", "SV3_"])
def test_target_bits_of_every_survey_are_read(tmp_path: Path, survey: str) -> None:
    # Validation's files have the columns of the main survey too: 0, but for sky fibers.
    main = {
        "DESI_TARGET": [1 << 32, 0, 0, 0],
        "BGS_TARGET": [0, 0, 0, 0],
        "MWS_TARGET": [0, 0, 0, 0],
    }
    own = {
        f"{survey}DESI_TARGET": [0, 1 << 60, 1 << 61, 2594],
        f"{survey}BGS_TARGET": [0, 4112, 0, 0],
        f"{survey}MWS_TARGET": [0, 0, 7, 0],
    }
    # Commissioning's bits have other meanings.
    columns = main | {"CMX_TARGET": [8, 8, 8, 8]} | own
    hdus = [
        fibermap(IDS, (), **{name: ("K", bits) for name, bits in columns.items()}),
        *(hdu for band in CAMERAS for hdu in band_hdus(band, IDS)),
    ]
    found = read_spectra(write(tmp_path / "coadd.fits", hdus), z=0.1).columns()
    sky = 1 << 32 if survey else 0
    assert found["desi_target"].tolist() == [sky, 1 << 60, 1 << 61, 2594]
    assert found["bgs_target"].tolist() == [0, 4112, 0, 0]
    assert found["mws_target"].tolist() == [0, 0, 7, 0]
    assert {found[name].dtype for name in TARGETING} == {np.dtype(np.int64)}


def test_target_bits_are_joined_and_unknown_without_a_column_or_a_spectrum(tmp_path: Path) -> None:
    objtype = ("3A", ["TGT", "SKY", "BAD", "NON"])
    hdus = [
        fibermap(IDS, DESI_TARGET=("K", [1, 2, 3, 4]), OBJTYPE=objtype),
        *(hdu for band in CAMERAS for hdu in band_hdus(band, IDS)),
    ]
    redrock = write_redrock(tmp_path / "redrock.fits", [IDS[3], 5, IDS[0]])
    found = read_spectra(write(tmp_path / "coadd.fits", hdus), redrock).columns()
    assert found["desi_target"].tolist() == [4, -1, 1]
    assert found["bgs_target"].tolist() == found["mws_target"].tolist() == [-1, -1, -1]
    assert found["objtype"].tolist() == ["NON", "", "TGT"]


def test_old_zbest_files_are_read(tmp_path: Path) -> None:
    redrock = write_redrock(tmp_path / "zbest.fits", IDS, name="ZBEST")
    check(read_spectra(write_coadd(tmp_path / "coadd.fits", IDS), redrock), IDS)


# --- without a redrock file


@pytest.mark.parametrize(
    ("z", "expected"),
    [(0.1, [0.1, 0.1]), ([0.1, 0.2], [0.1, 0.2]), (np.array([0, 1], np.float32), [0, 1])],
)
def test_redshifts_may_be_given(tmp_path: Path, z: Any, expected: list[float]) -> None:
    spectra = read_spectra(write_coadd(tmp_path / "coadd.fits", IDS[:2]), z=z)
    assert spectra.z.tolist() == expected
    assert spectra.z.dtype == np.float64
    assert (spectra.zwarn, spectra.spectype) == (None, None)
    assert spectra.status.tolist() == [0, 0]


@pytest.mark.parametrize("z", [math.nan, [math.nan, -math.inf]])
def test_redshifts_that_are_not_known_are_marked(tmp_path: Path, z: Any) -> None:
    spectra = read_spectra(write_coadd(tmp_path / "coadd.fits", IDS[:2]), z=z)
    assert not np.isfinite(spectra.z).any()
    assert spectra.status.tolist() == [int(Status.NO_REDSHIFT)] * 2


@pytest.mark.parametrize(
    ("z", "reason"), [([0.1], r"z has shape \(1,\); the coadd has 2 rows"), ("x", "z is 'x'")]
)
def test_redshifts_that_do_not_fit_are_refused(tmp_path: Path, z: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_spectra(write_coadd(tmp_path / "coadd.fits", IDS[:2]), z=z)


def test_redshifts_that_are_not_given_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither redrock nor z is given for .*coadd\.fits"):
        read_spectra(write_coadd(tmp_path / "coadd.fits", IDS))


def test_redshifts_given_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both redrock and z"):
        read_spectra(tmp_path / "coadd.fits", tmp_path / "redrock.fits", z=0.1)


def test_empty_tables_are_read(tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [])
    redrock = write_redrock(tmp_path / "redrock.fits", [])
    for spectra in (read_spectra(coadd, redrock), read_spectra(coadd, z=[])):
        assert len(spectra) == 0
        assert spectra.bands["b"].flux.shape == (0, 2751)
    other = write_redrock(tmp_path / "redrock-1.fits", [5])
    lone = read_spectra(coadd, other, allow_mismatch=True)
    assert lone.status.tolist() == [int(Status.NO_SPECTRUM)]


@pytest.mark.parametrize(
    ("header", "simulated"), [({"SIMULATD": True}, True), ({"SIMULATD": False}, False), ({}, False)]
)
def test_a_simulated_sky_is_recognised_by_its_header(
    tmp_path: Path, header: dict[str, Any], simulated: bool
) -> None:
    path = write_coadd(tmp_path / "coadd.fits", [], **header)
    assert is_simulated(path) == simulated


# --- bad files


def without(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with open_fits(path, mode="update") as hdus:
            del hdus[name]

    return damage


def replaced(name: str, hdu: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with open_fits(path, mode="update") as hdus:
            hdus[name] = hdu

    return damage


def without_column(column: str) -> Callable[[Path], None]:
    return replaced("FIBERMAP", fibermap(IDS, without=(column,)))


WAVE_B = 3600 + 0.8 * np.arange(2751)
SHORT = np.zeros((3, 2751), np.float32)
DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "does not exist"),
    (without("FIBERMAP"), "has no HDU FIBERMAP; it has PRIMARY, B_WAVELENGTH"),
    (without("R_IVAR"), "has no HDU R_IVAR"),
    (without("R_FLUX"), "has no HDU R_FLUX"),
    (without("R_WAVELENGTH"), "has no HDU R_WAVELENGTH"),
    (without_column("TARGETID"), "HDU FIBERMAP has no column TARGETID; it has OBJTYPE"),
    (without_column("OBJTYPE"), "has no column OBJTYPE"),
    (without_column("COADD_FIBERSTATUS"), "has no column COADD_FIBERSTATUS"),
    (
        replaced("FIBERMAP", fibermap(IDS[:3])),
        r"HDU B_FLUX has shape \(4, 2751\); expected \(3, 2751\)",
    ),
    (replaced("B_IVAR", image(SHORT, "B_IVAR")), r"HDU B_IVAR has shape \(3, 2751\)"),
    (replaced("B_FLUX", image(SHORT[0], "B_FLUX")), r"shape \(2751,\); expected 2 dimensions"),
    (replaced("B_MASK", image(SHORT, "B_MASK")), "HDU B_MASK holds .*f4.* expected numbers for"),
    (
        replaced("B_MASK", image(np.zeros((4, 2751), np.int64), "B_MASK")),
        "HDU B_MASK holds .*i8.* expected numbers for int32",
    ),
    (
        replaced("B_FLUX", image(np.zeros((4, 2751), np.int32), "B_FLUX")),
        "HDU B_FLUX holds .*i4.* expected numbers for float32",
    ),
    (
        replaced("B_WAVELENGTH", image(WAVE_B[:-1], "B_WAVELENGTH")),
        "HDU B_WAVELENGTH has 2750 pixels; expected 2751 pixels from 3600 to 5800",
    ),
    (
        replaced("B_WAVELENGTH", image(WAVE_B + 2e-4, "B_WAVELENGTH")),
        r"has 3600.000200 Å at pixel 0; expected 2751 pixels",
    ),
    (
        replaced("B_WAVELENGTH", image(WAVE_B * math.nan, "B_WAVELENGTH")),
        "HDU B_WAVELENGTH has nan Å at pixel 0",
    ),
    (replaced("FIBERMAP", image(SHORT, "FIBERMAP")), "HDU FIBERMAP is an image; expected a table"),
    (replaced("B_FLUX", table("B_FLUX", X=("K", [1]))), "HDU B_FLUX is a table; expected an image"),
    (
        replaced("FIBERMAP", fibermap(IDS, TARGETID=("D", np.array(IDS, float)))),
        "column TARGETID of HDU FIBERMAP holds .*f8.* expected one integer per row",
    ),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES, ids=range(len(DAMAGES)))
def test_a_bad_coadd_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    path = write_coadd(tmp_path / "coadd-bad.fits", IDS)
    damage(path)
    with pytest.raises(InputError, match=rf"coadd-bad\.fits.*{reason}|{reason}.*coadd-bad"):
        read_spectra(path, z=0.1)


@pytest.mark.parametrize("column", ["TARGETID", "Z", "ZWARN", "SPECTYPE"])
def test_a_redrock_file_without_a_column_is_refused(tmp_path: Path, column: str) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    redrock = write_redrock(tmp_path / "redrock.fits", IDS, without=column)
    with pytest.raises(InputError, match=rf"redrock\.fits: HDU REDSHIFTS has no column {column}"):
        read_spectra(coadd, redrock)


def test_a_coadd_in_the_place_of_the_redrock_file_is_refused(tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    with pytest.raises(InputError, match="has no HDU REDSHIFTS; it has PRIMARY, FIBERMAP"):
        read_spectra(coadd, coadd)


def test_a_redrock_file_in_the_place_of_the_coadd_is_refused(tmp_path: Path) -> None:
    redrock = write_redrock(tmp_path / "redrock.fits", IDS)
    with pytest.raises(InputError, match="has no HDU FIBERMAP"):
        read_spectra(redrock, redrock)


def test_a_file_with_common_and_camera_bands_is_refused(tmp_path: Path) -> None:
    path = write_coadd(tmp_path / "coadd.fits", IDS, ("brz", "b"))
    with pytest.raises(InputError, match=r"both BRZ and single cameras \['b'\]"):
        read_spectra(path, z=0.1)


def test_a_file_without_bands_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no spectra: no HDU B_FLUX"):
        read_spectra(write_coadd(tmp_path / "coadd.fits", IDS, ()), z=0.1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coadd(tmp_path_factory.mktemp("small") / "coadd.fits", [7], ("r",))


@given(data=st.data())
@settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_header_is_refused_or_does_not_matter(
    small: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "damaged.fits"
    shutil.copy(small, path)
    content = bytearray(path.read_bytes())
    with open_fits(small) as hdus:
        headers = [hdus.fileinfo(n) or {} for n in range(len(hdus))]

    header = data.draw(st.sampled_from(headers))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(header["hdrLoc"], header["datLoc"] - 1))
        content[at] = data.draw(st.integers(0, 255) | st.sampled_from(list(b" 0123456789=-'TF")))
    path.write_bytes(content)
    try:
        spectra = read_spectra(path, z=0.1)
    except InputError as error:
        assert "damaged.fits" in str(error)  # noqa: PT017 (reading may also succeed)
    else:
        assert spectra.bands["r"].flux.shape == (1, 2326)
