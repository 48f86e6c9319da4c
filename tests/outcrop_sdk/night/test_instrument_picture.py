"""The instrument picture is a PNG that names what stands out."""

import numpy as np

from outcrop.night.instrument import InstrumentReport
from outcrop.night.instrument_picture import InstrumentPicture
from tests.outcrop_sdk.night.test_instrument import clean_night, with_segments


def _texts(picture: InstrumentPicture) -> list[str]:
    return [text.get_text().strip() for axes in picture.axes for text in axes.texts]


def test_what_stands_out_is_named() -> None:
    night = clean_night(20)
    rows = np.random.default_rng(1).choice(np.flatnonzero(night.at_rest), 30, replace=False)
    broken = np.flatnonzero(night.fiber == np.bincount(night.fiber).argmax())
    night = with_segments(night, rows, 6300.0, 6330.0)
    night = with_segments(night, broken, 9000.0, 9010.0)
    report = InstrumentReport.of(night)
    picture = InstrumentPicture(report)
    named = {f"{place.wave[0]:.0f}-{place.wave[1]:.0f} Å" for place in report.outstanding if not
             np.isnan(place.wave[0])}  # fmt: skip
    assert named
    assert named <= set(_texts(picture))
    assert str(night.fiber[broken[0]]) in _texts(picture)
    assert picture.png().startswith(b"\x89PNG")


def test_a_night_without_segments_can_be_drawn() -> None:
    night = clean_night(20, tiles=1, share=0.0)
    picture = InstrumentPicture(InstrumentReport.of(night))
    assert picture.png().startswith(b"\x89PNG")
    assert set(_texts(picture)) == {"0"}
