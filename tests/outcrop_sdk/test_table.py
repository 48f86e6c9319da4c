"""The score table is complete, row-matched, self-describing, and written completely or not."""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table, vstack

import outcrop
from outcrop import (
    Explanations,
    InputError,
    ModelChanged,
    Repeats,
    Scores,
    Spectra,
    Status,
    find_petals,
    read_spectra,
    write_scores,
)
from outcrop.columns import FLUX_UNIT, IVAR_UNIT
from outcrop.fingerprint import FileFingerprint
from outcrop.inputs import Inputs
from tests.outcrop_sdk.sample import (
    BINS,
    LATENTS,
    explained_flags,
    open_fits,
    read_header,
    read_table,
    some_model,
    some_scores,
    some_spectra,
    write_coadd,
    write_redrock,
)

FORMATS = {
    "TARGETID": "K",
    "Z": "D",
    "ZWARN": "K",
    "SPECTYPE": "6A",
    "STATUS": "J",
    "SNR": "E",
    "COVERAGE": "E",
    "NORM": "E",
    "LATENT": f"{LATENTS}E",
    "WMSE": "E",
    "NOF": "E",
    "WMSE_ANOMALY": "L",
    "NOF_ANOMALY": "L",
    "P_VALUE": "D",
    "ANOMALY": "L",
    "P_VALUE_POOLED": "D",
    "TARGET_RA": "D",
    "TARGET_DEC": "D",
    "TILEID": "J",
    "PETAL_LOC": "J",
    "FIBER": "J",
    "ZERR": "D",
    "DELTACHI2": "D",
    "SUBTYPE": "20A",
    "DESI_TARGET": "K",
    "BGS_TARGET": "K",
    "MWS_TARGET": "K",
}
EXPLAINED = {
    "CAUSE": "18A",
    "CAUSE_PROB": "E",
    "P_EXPLAINED": "D",
    "Z_BEST": "D",
    "P_BEST": "D",
    "SENTENCE": "40A",
}
UNITS = {"NORM": FLUX_UNIT, "TARGET_RA": "deg", "TARGET_DEC": "deg"}


def with_redrock(n: int) -> Spectra:
    return dataclasses.replace(
        some_spectra(n),
        zwarn=np.arange(n, dtype=np.int64) * 4,
        spectype=np.array(["GALAXY", "QSO", "STAR"])[np.arange(n) % 3],
        ra=np.arange(n) + 150.5,
        dec=np.arange(n) - 2.5,
        tileid=np.full(n, 80613, np.int32),
        petal=np.full(n, 2, np.int32),
        fiber=np.arange(n, dtype=np.int32) + 1000,
        zerr=np.arange(n) * 1e-5,
        deltachi2=np.arange(n) + 9.5,
        subtype=np.array(["", "LOZ", "M"])[np.arange(n) % 3],
        desi_target=np.arange(n) + (1 << 60),
        bgs_target=np.arange(n) * 2,
        mws_target=np.arange(n) * 3,
    )


def test_the_table_is_exactly_the_documented_one(tmp_path: Path) -> None:
    spectra = with_redrock(5)
    scores = some_scores(spectra)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "OUTLIERS"]
        table = hdus["OUTLIERS"]
        assert {column.name: column.format for column in table.columns} == FORMATS
        assert list(table.columns.names) == list(FORMATS)
        assert {c.name: c.unit for c in table.columns if c.unit} == UNITS
        for name, values in scores.columns().items():
            np.testing.assert_array_equal(table.data[name.upper()], values)
        np.testing.assert_array_equal(table.data["Z"], spectra.z)
        assert table.data["ZWARN"].tolist() == [0, 4, 8, 12, 16]
        assert table.data["SPECTYPE"].tolist() == ["GALAXY", "QSO", "STAR", "GALAXY", "QSO"]
        for name, column in {
            **{"TARGET_RA": "ra", "TARGET_DEC": "dec", "TILEID": "tileid", "PETAL_LOC": "petal"},
            **{"FIBER": "fiber", "ZERR": "zerr", "DELTACHI2": "deltachi2", "SUBTYPE": "subtype"},
            **{name: name.lower() for name in ("DESI_TARGET", "BGS_TARGET", "MWS_TARGET")},
        }.items():
            np.testing.assert_array_equal(table.data[name], spectra.columns()[column])


def test_the_header_describes_the_model(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = some_model("simulated")
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    header = read_header(tmp_path / "o.fits")

    cards = {
        "MODEL": "outcrop",
        "MODELVER": "20260101",
        "MODELSHA": model.sha256,
        "SAMPLE": "simulated",
        "POPULATN": "BGS",
        "WMSETHR": 2.55,
        "NOFTHR": -1.44,
        "PLEVEL": 0.01,
        "PFINEST": 1e-4,
        "ZMIN": -0.002,
        "ZMAX": 0.3,
        "DEPNAM00": "numpy",
        "DEPVER00": "2.4.6",
        "DEPNAM01": "onnxruntime",
        "DEPVER01": "1.31.0",
    }
    assert {key: header[key] for key in cards} == cards

    comments = [str(line) for line in header["COMMENT"]]
    assert comments == [f"STATUS bit {bit.value.bit_length() - 1}: {bit.name}" for bit in Status]


def test_long_names_are_written_in_full_and_without_a_warning(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), sample="desi dr1, " * 20, version="v" * 60)
    scores = some_scores(spectra, model=model.identity)
    write_scores(tmp_path / "o.fits", spectra, scores, model)
    header = read_header(tmp_path / "o.fits")
    assert (header["SAMPLE"], header["MODELVER"]) == (model.sample.rstrip(), model.version)


def test_without_a_redrock_file_its_columns_are_empty(tmp_path: Path) -> None:
    spectra = some_spectra(2)
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), some_model())
    table = read_table(tmp_path / "o.fits")
    assert table["ZWARN"].tolist() == [0, 0]
    assert table["SPECTYPE"].tolist() == table["SUBTYPE"].tolist() == ["", ""]
    assert table["TILEID"].tolist() == table["FIBER"].tolist() == [-1, -1]
    for name in ("DESI_TARGET", "BGS_TARGET", "MWS_TARGET"):
        assert table[name].tolist() == [-1, -1]
    assert np.isnan([table[name] for name in ("TARGET_RA", "TARGET_DEC", "ZERR")]).all()


def test_the_primary_header_names_observation_inputs_and_outcrop(tmp_path: Path) -> None:
    files = (FileFingerprint("coadd-1.fits", 2880, 7), FileFingerprint("redrock-1.fits", 5760, 8))
    cards = {"SURVEY": "main", "TILEID": 80613, "PETAL": 4, "NIGHT": 20210324, "HPXNEST": True}
    spectra = dataclasses.replace(some_spectra(2), inputs=Inputs(files, cards))
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), some_model())
    header = read_header(tmp_path / "o.fits", "PRIMARY")
    expected = cards | {
        **{"INFIL000": "coadd-1.fits", "INSIZ000": 2880, "INMTI000": 7},
        **{"INFIL001": "redrock-1.fits", "INSIZ001": 5760, "INMTI001": 8},
        **{"DEPNAM00": "outcrop", "DEPVER00": outcrop.__version__},
    }
    assert {key: header[key] for key in expected} == expected
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", header["DATE"])
    assert {"CHECKSUM", "DATASUM"} <= set(header)


def test_vstack_joins_the_tables_of_four_petals_without_a_warning(tmp_path: Path) -> None:
    tables: list[Table] = []
    for petal in range(4):
        ids = list(range(10 * petal + 1, 10 * petal + 4))
        write_coadd(tmp_path / f"coadd-{petal}.fits", ids, PETAL=petal, TILEID=80613 + petal)
        write_redrock(tmp_path / f"redrock-{petal}.fits", ids)
    for number, petal in enumerate(find_petals(tmp_path)):
        spectra = read_spectra(petal.coadd, petal.redrock)
        path = tmp_path / f"o{number}.fits"
        write_scores(path, spectra, some_scores(spectra), some_model())
        tables.append(Table.read(path))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joined: Any = vstack(tables)
    assert joined["TARGETID"].tolist() == [10 * p + row for p in range(4) for row in (1, 2, 3)]
    assert joined.meta["MODELSHA"] == some_model().sha256


def test_reconstructions_are_images_with_units(tmp_path: Path) -> None:
    spectra = some_spectra(3)
    scores = some_scores(spectra, reconstruction=True)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
        expected = {
            "WAVELENGTH": (some_model().wave, "Angstrom", -64),
            "FLUX": (scores.rest_flux, FLUX_UNIT, -32),
            "MODEL": (scores.reconstruction, FLUX_UNIT, -32),
            "IVAR": (scores.rest_ivar, IVAR_UNIT, -32),
        }
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "OUTLIERS", *expected]
        for name, (values, unit, bits) in expected.items():
            np.testing.assert_array_equal(hdus[name].data, values)
            assert hdus[name].header["BUNIT"] == unit
            assert hdus[name].header["BITPIX"] == bits


def test_astropy_reads_the_units(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), some_model())
    norm = Table.read(tmp_path / "o.fits", hdu="OUTLIERS")["NORM"]
    assert norm.unit.to("erg / (s cm2 Angstrom)") == pytest.approx(1e-17)


def test_explanations_are_columns_and_two_tables(tmp_path: Path) -> None:
    spectra = with_redrock(4)
    scores = some_scores(spectra)
    explanations = explained_flags(scores)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model(), explanations=explanations)
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "OUTLIERS", "EXPLANATIONS", "SEGMENTS"]
        assert hdus["PRIMARY"].header["EXPLAIND"] == 1
        formats = {column.name: column.format for column in hdus["OUTLIERS"].columns}
        assert list(formats) == [*FORMATS, *EXPLAINED]
        assert formats.items() >= (FORMATS | EXPLAINED).items()

        rows = hdus["OUTLIERS"].data
        # Row 2 is flagged, TARGETID 3.
        assert rows["CAUSE"].tolist() == ["", "", "sky_residual", ""]
        assert rows["SENTENCE"][2] == "3: sky_residual at Halpha, 5577 Angstrom"
        said = {"CAUSE_PROB": 0.75, "P_EXPLAINED": 0.25, "Z_BEST": 0.003, "P_BEST": 0.125}
        for name, value in said.items():
            assert rows[name][2] == value
            assert np.isnan(np.delete(rows[name], 2)).all()


def test_every_evidence_and_segment_has_its_row(tmp_path: Path) -> None:
    spectra = some_spectra(6)
    scores = some_scores(spectra)
    explanations = explained_flags(scores)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model(), explanations=explanations)
    table = read_table(tmp_path / "o.fits", "EXPLANATIONS")
    assert table["TARGETID"].tolist() == [3, 3, 6, 6]
    assert table["ROW"].tolist() == [2, 2, 5, 5]
    assert table["CAUSE"].tolist() == ["sky_residual", "unexplained"] * 2
    first = table[0]
    assert first["SENTENCE"] == "sky_residual at 5577 Angstrom: Deltachi2 90"
    assert (first["DELTA_CHI2"], first["PARAMETERS"], first["PROBABILITY"]) == (90.5, 2, 0.75)
    assert (first["P_VALUE"], first["WAVE_MIN"], first["WAVE_MAX"]) == (0.25, 5570, 6305)
    assert np.isnan([table["Z"][0], table["WAVE_MIN"][1]]).all()
    assert {c.unit for c in table.columns if c.name.startswith("WAVE")} == {"Angstrom"}

    table = read_table(tmp_path / "o.fits", "SEGMENTS")
    assert table["ROW"].tolist() == [2, 2, 5, 5]
    first = table[0]
    assert [first[f"{frame}_{end}"] for frame in ("REST", "OBS") for end in ("MIN", "MAX")] == [
        *(5570, 5580.5, 6961, 6975.5)
    ]
    assert (first["SIGNIFICANCE"], first["SIGN"], first["CONTINUUM_SHARE"]) == (12.5, 1, 0.5)
    # The tag that says most comes first.
    assert first["TAGS"] == "Halpha (0.013); sky line (0.57)"
    assert first["CHANCE"] == np.float32(0.0125)
    assert table["TAGS"][1] == ""


def test_a_segment_says_in_which_exposures_it_is(tmp_path: Path) -> None:
    spectra = some_spectra(6)
    scores = some_scores(spectra)
    explanations = explained_flags(scores)
    rows = list(explanations.rows)
    only = Repeats("one exposure", ((85502, 2.0, 0.1),), 1e-9, 12.0, 85502, 20210419, "only there")
    first, second = rows[2].segments
    rows[2] = dataclasses.replace(
        rows[2], segments=(dataclasses.replace(first, repeats=only), second)
    )
    explanations = Explanations(explanations.model, tuple(rows))
    write_scores(tmp_path / "o.fits", spectra, scores, some_model(), explanations=explanations)
    table = read_table(tmp_path / "o.fits", "SEGMENTS")
    assert table["REPEATS"].tolist() == ["one exposure", "", "", ""]
    assert table["EXPID"].tolist() == [85502, -1, -1, -1]
    with open_fits(tmp_path / "o.fits") as hdus:
        assert hdus["SEGMENTS"].columns["REPEATS"].format == "16A"


def test_vstack_joins_explanations_of_different_causes_without_a_warning(tmp_path: Path) -> None:
    found: dict[str, list[Table]] = {name: [] for name in ("OUTLIERS", "EXPLANATIONS", "SEGMENTS")}
    for number, cause in enumerate(("rare", "camera_calibration", "")):
        # Of the two spectra of the last petal none is flagged.
        spectra = some_spectra(4 if cause else 2)
        scores = some_scores(spectra)
        path = tmp_path / f"o{number}.fits"
        explained = explained_flags(scores, cause)
        write_scores(path, spectra, scores, some_model(), explanations=explained)
        for name, tables in found.items():
            tables.append(Table.read(path, hdu=name))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joined: Any = {name: vstack(tables) for name, tables in found.items()}
    causes = joined["OUTLIERS"]["CAUSE"].filled("").tolist()
    assert [cause for cause in causes if cause] == ["rare", "camera_calibration"]
    assert joined["OUTLIERS"]["CAUSE"].dtype.itemsize >= len("camera_calibration")
    assert len(joined["EXPLANATIONS"]) == len(joined["SEGMENTS"]) == 4


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hα 6564.6 Å, Δχ² −3", "Halpha 6564.6 Angstrom, Deltachi2 -3"),
        ("λ ≥ 2 × σ", "lambda >= 2 x sigma"),
        ("café ☃", "cafe ?"),
    ],
)
def test_sentences_are_spelt_in_ascii(tmp_path: Path, text: str, written: str) -> None:
    spectra = some_spectra(1)
    scores = some_scores(spectra)
    explanations = explained_flags(scores)
    rows = (dataclasses.replace(explanations[0], sentence=text),)
    explained = dataclasses.replace(explanations, rows=rows)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model(), explanations=explained)
    assert read_table(tmp_path / "o.fits")["SENTENCE"].tolist() == [written]


def test_explanations_of_other_spectra_or_another_model_are_refused(tmp_path: Path) -> None:
    other = explained_flags(some_scores(some_spectra(2, first=2)))
    with pytest.raises(InputError, match="explanations of 2 rows do not belong to these 2 spectra"):
        write_some(tmp_path / "o.fits", explanations=other)
    changed = dataclasses.replace(some_model(), version="20260202").identity
    explanations = explained_flags(some_scores(some_spectra(2)), model=changed)
    with pytest.raises(ModelChanged):
        write_some(tmp_path / "o.fits", explanations=explanations)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reconstruction", [False, True])
def test_a_table_without_rows_is_a_table(tmp_path: Path, reconstruction: bool) -> None:
    spectra = with_redrock(0)
    scores = some_scores(spectra, reconstruction)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
        table = hdus["OUTLIERS"]
        assert len(table.data) == 0
        assert {column.name: column.format for column in table.columns} == FORMATS
        assert ("FLUX" in hdus) == reconstruction
        if reconstruction:
            assert hdus["FLUX"].shape == (0, BINS)


def test_rows_that_could_not_be_scored_are_rows_of_nan(tmp_path: Path) -> None:
    spectra = some_spectra(2)
    scores = some_scores(spectra)
    for column in scores.columns().values():
        if column.dtype.kind == "f":
            column[...] = np.nan
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    table = read_table(tmp_path / "o.fits")
    assert table["TARGETID"].tolist() == [1, 2]
    assert np.isnan(table["P_VALUE"]).all()
    assert np.isnan(table["LATENT"]).all()


def test_a_gzipped_name_is_a_gzipped_file(tmp_path: Path) -> None:
    spectra = some_spectra(2)
    write_scores(tmp_path / "o.fits.gz", spectra, some_scores(spectra), some_model())
    assert (tmp_path / "o.fits.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert read_table(tmp_path / "o.fits.gz")["TARGETID"].tolist() == [1, 2]


# --- what is refused


def write_some(path: Path, scores: Scores | None = None, **more: Any) -> None:
    spectra = some_spectra(2)
    write_scores(path, spectra, scores or some_scores(spectra), some_model(), **more)


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "o.fits"
    output.write_text("precious")
    with pytest.raises(InputError, match=r"o\.fits exists; choose another name or overwrite it"):
        write_some(output)
    assert output.read_text() == "precious"
    write_some(output, overwrite=True)
    assert len(read_table(output)) == 2
    assert list(tmp_path.iterdir()) == [output]


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "o.fits").mkdir()
    with pytest.raises(InputError, match=r"o\.fits is a folder; name a file"):
        write_some(tmp_path / "o.fits", overwrite=True)
    with pytest.raises(InputError, match="does not exist; make it first"):
        write_some(tmp_path / "absent" / "o.fits")
    assert list(tmp_path.iterdir()) == [tmp_path / "o.fits"]


@pytest.mark.parametrize("name", ["o.csv", "o", "o.fits.bz2"])
def test_a_name_that_is_not_of_a_fits_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"does not end in \.fits or \.fits\.gz; a score table is"):
        write_some(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_scores_of_other_spectra_are_refused(tmp_path: Path) -> None:
    for other in (some_spectra(2, first=2), some_spectra(3)):
        with pytest.raises(InputError, match="their TARGETIDs differ"):
            write_some(tmp_path / "o.fits", some_scores(other))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"version": "20260202"}, {"sha256": "cd" * 32}])
def test_scores_of_another_model_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    spectra = some_spectra(2)
    model = dataclasses.replace(some_model(), **change)
    with pytest.raises(ModelChanged, match="the service changed its model from outcrop"):
        write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    assert list(tmp_path.iterdir()) == []


def test_reconstructions_of_another_length_are_refused(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), wave=np.arange(9.0))
    with pytest.raises(InputError, match=f"reconstructions have {BINS} bins, model outcrop"):
        write_scores(tmp_path / "o.fits", spectra, some_scores(spectra, True), model)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_fits_cannot_hold_is_refused(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), name="αβγ")
    scores = some_scores(spectra, model=model.identity)
    with pytest.raises(InputError, match="cannot be named in a FITS header"):
        write_scores(tmp_path / "o.fits", spectra, scores, model)
    assert list(tmp_path.iterdir()) == []
