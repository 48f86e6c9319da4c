"""The requests of the page: what it gets, and what is refused."""

import os
import shutil
import socket
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from starlette.testclient import TestClient

from outcrop import InputError, ModelIdentity, correct_noise, find_petals, read_spectra
from outcrop.labels import LabelStore
from review.access import Access
from review.app import PACKAGES, make_app
from review.bundled_model import BundledModel
from review.coadds import Coadds
from review.night import ReviewNight
from review.reconstruction import NoModel, ReviewModel, ServedModel
from review.review import Links, Review
from scoring.scorer import Scorer
from tests.review.conftest import LARGEST, NAME, decoded

TOKEN = "0123456789abcdef0123456789abcdef"


def test_the_night_and_its_columns(page: TestClient, night: ReviewNight) -> None:
    found = page.get("/api/night").json()
    assert (found["rows"], found["scanner"]) == (len(night), "ABC")
    header, arrays = decoded(page.get("/api/columns").content)
    assert header["rows"] == len(night)
    types = {one["name"]: one["dtype"] for one in found["columns"]}
    assert types == {one["name"]: one["dtype"] for one in header["columns"]}

    np.testing.assert_array_equal(arrays["targetid"], night.columns["targetid"])
    assert (arrays["label"] == -1).all()


def test_the_map_has_a_place_for_every_row(page: TestClient, night: ReviewNight) -> None:
    _, arrays = decoded(page.get("/api/map").content)
    known = np.isfinite(night.latent).all(axis=1)
    assert np.isfinite(arrays["map_x"][known]).all()
    assert np.isnan(arrays["map_x"][~known]).all()


def test_the_list_is_there_before_the_model(
    made: Path, night: ReviewNight, bundle: Path, labels: LabelStore
) -> None:
    may_open = threading.Event()

    def open_model() -> ReviewModel:
        may_open.wait()
        return BundledModel(bundle, night.model)

    review = Review(night, Coadds(night, made / "sky"), labels, open_model, Links("", ""))
    browser = TestClient(make_app(review, Access("ABC")), base_url="http://127.0.0.1:8080")
    try:
        assert browser.get("/readyz").json() == {"coming": ["model", "map", "interest"]}
        assert len(decoded(browser.get("/api/columns").content)[1]["targetid"]) == len(night)
        assert label_first(browser) == 200
        assert browser.get("/readyz").json() == {"coming": ["model", "map", "interest"]}

        may_open.set()
        assert len(decoded(browser.get("/api/map").content)[1]["map_x"]) == len(night)
        assert len(browser.get("/api/order/interest").content) == 4 * len(night)
        assert browser.get("/readyz").json() == {"coming": []}
    finally:
        may_open.set()
        review.close()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *(("anomaly", "p_value"), ("q", "q_value"), ("p_explained", "p_explained")),
        *((name, None) for name in ("interest", "expected_improvement", "blend")),
    ],
)
def test_an_order_has_every_row_once(
    page: TestClient, night: ReviewNight, csrf: dict[str, str], name: str, column: str | None
) -> None:
    for row, interest in ((0, 5), (3, 0), (10, 4)):
        content = {"row": row, "interest": interest}
        assert page.post("/api/labels", json=content, headers=csrf).status_code == 200
    rows = np.frombuffer(page.get(f"/api/order/{name}").content, "<i4")
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(night)))
    if column is not None:
        values = night.columns[column][rows]
        known = np.isfinite(values)
        assert (np.diff(values[known]) >= 0).all()
        assert known[: known.sum()].all()
    else:
        assert {0, 3, 10} == set(rows[-3:].tolist())


def test_a_spectrum_is_the_one_that_was_scored(
    page: TestClient, night: ReviewNight, made: Path, bundle: Path
) -> None:
    petal, scorer = find_petals(made / "sky")[0], Scorer.open(bundle)
    spectra = correct_noise(read_spectra(petal.coadd, petal.redrock))
    for row in (0, 1, 4):
        header, arrays = decoded(page.get(f"/api/spectrum/{row}").content)
        scores = scorer.score(spectra[int(night.table_row[row])], reconstruction=True)
        meta = header["meta"]
        assert meta["targetid"] == str(night.columns["targetid"][row])
        assert meta["p_value"] == scores.p_value[0]
        assert scores.reconstruction is not None
        assert scores.rest_ivar is not None
        np.testing.assert_array_equal(arrays["model"], scores.reconstruction[0])
        np.testing.assert_array_equal(arrays["rest_ivar"], scores.rest_ivar[0])
        assert len(arrays["wave"]) == len(arrays["flux"]) == len(arrays["mask"]) == 7781
        assert arrays["mask"][arrays["mask_bits"] > 0].mean() > 0.5

        assert meta["sentence"]
        assert sum(one["probability"] for one in meta["evidence"]) == pytest.approx(1)
        assert meta["evidence"][0]["cause"] == meta["cause"]
        assert len(meta["neighbours"]) == 5
        assert meta["notice"] == ""


def test_the_model_at_another_redshift(page: TestClient, night: ReviewNight) -> None:
    z = float(night.columns["z"][0])
    _, given = decoded(page.get("/api/spectrum/0").content)
    header, same = decoded(page.get(f"/api/spectrum/0/at?z={z!r}").content)
    _, other = decoded(page.get(f"/api/spectrum/0/at?z={z + 0.05}").content)
    assert header["z"] == z
    assert list(same) == ["rest_wave", "rest_flux", "rest_ivar", "model"]
    np.testing.assert_array_equal(same["model"], given["model"])
    assert not np.array_equal(other["rest_flux"], given["rest_flux"])


def test_the_exposures_of_a_spectrum(
    page: TestClient, night: ReviewNight, exposures: list[int], made: Path
) -> None:
    for row in (0, len(exposures) - 1):
        header, arrays = decoded(page.get(f"/api/spectrum/{row}/exposures").content)
        assert len(header["exposures"]) == 2
        assert {"expid", "night"} == header["exposures"][0].keys()
        shape = 2, len(arrays["wave"])
        flux, ivar = (arrays[name].reshape(shape).astype(float) for name in ("flux", "ivar"))
        _, coadd = decoded(page.get(f"/api/spectrum/{row}").content)
        mean = (flux * ivar).sum(axis=0) / np.maximum(ivar.sum(axis=0), 1e-30)
        usable = (ivar > 0).all(axis=0) & (coadd["mask"] == 0)
        assert np.corrcoef(mean[usable], coadd["flux"][usable])[0, 1] > 0.9

    header, arrays = decoded(page.get(f"/api/spectrum/{len(night) - 1}/exposures").content)
    assert header["exposures"] == []
    assert {len(one) for one in arrays.values()} == {0}


def test_a_damaged_file_of_exposures_is_one_sentence(
    made: Path, night: ReviewNight, labels: LabelStore, exposures: list[int], tmp_path: Path
) -> None:
    shutil.copytree(made / "sky", tmp_path / "sky")
    (spectra,) = (tmp_path / "sky").rglob("spectra-*.fits")
    spectra.write_bytes(spectra.read_bytes()[:5000])
    response = browser_of(night, tmp_path / "sky", labels, NoModel()).get(
        "/api/spectrum/0/exposures"
    )
    assert response.status_code == 409
    assert spectra.name in response.json()["error"]


def test_the_neighbours_are_drawn_and_the_nearest_of_the_night_named(
    page: TestClient, night: ReviewNight, bundle: Path
) -> None:
    scorer = Scorer.open(bundle)
    for row in (0, 7):
        meta = decoded(page.get(f"/api/spectrum/{row}").content)[0]["meta"]
        header, arrays = decoded(page.get(f"/api/spectrum/{row}/neighbours").content)
        drawn = arrays["flux"].reshape(len(meta["neighbours"]), len(arrays["rest_wave"]))
        again = scorer.vae.encode(drawn)[:, scorer.density.axes]
        own = night.latent[row, scorer.density.axes]
        # What is drawn lies about where the neighbour does.
        distance = np.linalg.norm(again - own, axis=1)
        expected = [one["distance"] for one in meta["neighbours"]]
        np.testing.assert_allclose(distance, expected, rtol=0.5, atol=0.5)

        apart = np.linalg.norm(night.latent[:, scorer.density.axes] - own, axis=1)
        apart[(np.arange(len(night)) == row) | np.isnan(night.columns["p_value"])] = np.nan
        assert header["night"] == np.argsort(apart)[:5].tolist()


def votes_of(page: TestClient, row: int) -> list[tuple[str, int, int]]:
    header, _ = decoded(page.get(f"/api/spectrum/{row}/neighbours").content)
    return [(one["name"], one["votes"], one["voters"]) for one in header["votes"]]


def test_labels_vote_at_once(
    page: TestClient, night: ReviewNight, csrf: dict[str, str], bundle: Path, labels: LabelStore
) -> None:
    model = BundledModel(bundle, night.model)
    # An ordinary spectrum, whose neighbours are near.
    row = int(np.nanargmax(night.columns["p_value"]))
    near = [int(one) for one in model.nearest(night.latent[row], night.latent, 6) if one != row]
    before = votes_of(page, row)
    assert "interesting" not in {name for name, _, _ in before}

    for one, interest in zip(near, (5, 3, 4, 0), strict=False):
        label = {"row": one, "interest": interest}
        assert page.post("/api/labels", json=label, headers=csrf).status_code == 200
    assert votes_of(page, row) == [*before, ("interesting", 3, 4)]
    for one in near[:3]:
        comment = {"row": one, "comment": "BAL"}
        assert page.post("/api/labels", json=comment, headers=csrf).status_code == 200
    assert votes_of(page, row) == [("BAL", 3, 3), ("interesting", 3, 4)]

    # Its own label, and those of another scanner, do not count.
    page.post("/api/labels", json={"row": row, "interest": 0}, headers=csrf)
    labels.record("XYZ", int(night.columns["targetid"][near[4]]), {"interest": 0})
    assert votes_of(page, row) == [("BAL", 3, 3), ("interesting", 3, 4)]
    page.post("/api/labels/undo", json={}, headers=csrf)
    page.post("/api/labels/undo", json={}, headers=csrf)
    assert votes_of(page, row) == [("BAL", 2, 2), ("interesting", 3, 4)]


def test_a_label_of_a_training_spectrum_counts(
    page: TestClient, night: ReviewNight, labels: LabelStore
) -> None:
    row = int(np.nanargmax(night.columns["p_value"]))
    meta = decoded(page.get(f"/api/spectrum/{row}").content)[0]["meta"]
    nearest = int(meta["neighbours"][0]["targetid"])
    assert not (night.columns["targetid"] == nearest).any()
    labels.record("ABC", nearest, {"interest": 2, "spectype": "QSO"})
    assert votes_of(page, row) == [("QSO", 1, 1), ("not interesting", 1, 1)]


def test_neighbours_need_the_files_of_the_model(
    made: Path, night: ReviewNight, labels: LabelStore
) -> None:
    response = browser_of(night, made / "sky", labels, NoModel()).get("/api/spectrum/0/neighbours")
    assert response.status_code == 409
    assert "--model" in response.json()["error"]


@pytest.mark.parametrize("z", ["", "x", "nan", "inf", "-1", "11"])
def test_a_redshift_that_is_none_is_refused(page: TestClient, z: str) -> None:
    response = page.get("/api/spectrum/0/at", params={"z": z})
    assert response.status_code == 400
    assert "redshift" in response.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        *("/api/spectrum/99999", "/api/spectrum/-1", "/api/order/none", "/api/absent"),
        *(f"/api/spectrum/{'9' * 5000}", "/api/spectrum/%D9%A1"),
        *("/vendor/package.json", "/vendor/..%2Fpackage.json", "/static/../app.py"),
        *("/static/%2e%2e/app.py", "/static/..%2f..%2fpyproject.toml", "/static//etc/passwd"),
        *("/%2e%2e/%2e%2e/etc/passwd", "/static/%00"),
    ],
)
def test_what_is_not_there_is_not_found(page: TestClient, path: str) -> None:
    response = page.get(path)
    assert response.status_code == 404
    assert set(response.json()) == {"error", "request_id"}


def test_every_response_has_the_strict_policy(page: TestClient) -> None:
    for path in ("/", "/api/night", "/absent", "/login"):
        headers = page.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_packages_are_served_or_the_remedy_is_named(page: TestClient) -> None:
    for name in ("uplot.js", "uplot.css", "kdbush.js"):
        response = page.get(f"/vendor/{name}")
        if PACKAGES.is_dir():
            kind = "text/css" if name.endswith("css") else "text/javascript"
            assert response.headers["content-type"].startswith(kind)
        else:
            assert "make review-packages" in response.json()["error"]


def test_labels_are_kept_shown_and_taken_back(
    page: TestClient, night: ReviewNight, csrf: dict[str, str], labels: LabelStore
) -> None:
    row = int(np.flatnonzero(night.columns["targetid"] == LARGEST)[0])
    comment = "<script>alert(1)</script> & more"
    content = {"row": row, "interest": 5, "issues": "SR", "z": 0.5, "comment": comment}
    first = page.post("/api/labels", json=content, headers=csrf)
    second = page.post("/api/labels", json={"row": row, "interest": 2}, headers=csrf)
    assert first.json()["id"] < second.json()["id"]

    (found,) = page.get("/api/labels").json()["labels"]
    assert (found["row"], found["interest"], found["issues"]) == (row, 2, "RS")
    response = page.get(f"/api/spectrum/{row}")
    assert b"<script" not in response.content
    assert b"<img" not in response.content
    meta = decoded(response.content)[0]["meta"]
    assert meta["labels"][0]["comment"] == comment
    assert NAME in meta["coadd"]
    (label,) = labels.current("ABC")
    assert label.targetid == LARGEST
    assert meta["targetid"] == str(LARGEST)

    assert page.post("/api/labels/undo", json={}, headers=csrf).json()["row"] == row
    assert page.get("/api/labels").json()["labels"][0]["interest"] == 5
    page.post("/api/labels/undo", json={}, headers=csrf)
    assert page.post("/api/labels/undo", json={}, headers=csrf).json() == {"id": None, "row": -1}
    assert page.get("/api/labels").json() == {"labels": []}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{", b'{"row": 0}', b'{"row": 0, "interest": 6}', b'{"interest": 1}'),
        *(b'{"row": true, "interest": 1}', b'{"row": -1, "interest": 1}', b'{"row": 0, "x": 1}'),
        *(b'{"row": 0, "z": NaN}', b'{"row": 0, "comment": "a\\nb"}', b"[" * 60000, b"\xff"),
        *(b'{"row": 0, "comment": "' + b"x" * 70000 + b'"}',),
    ],
)
def test_a_bad_label_is_one_sentence(
    page: TestClient, csrf: dict[str, str], labels: LabelStore, body: bytes
) -> None:
    response = page.post("/api/labels", content=body, headers=csrf)
    assert 400 <= response.status_code < 500
    assert response.json()["error"]
    assert not labels.current()


def test_a_write_needs_the_csrf_token_and_this_origin(
    page: TestClient, csrf: dict[str, str], labels: LabelStore
) -> None:
    label = {"row": 0, "interest": 5}
    for headers in (
        {},
        {"X-CSRF-Token": "0" * 64},
        csrf | {"Origin": "http://evil.example"},
        csrf | {"Origin": "null"},
        csrf | {"Host": "evil.example:8080"},
    ):
        for path in ("/api/labels", "/api/labels/undo"):
            assert page.post(path, json=label, headers=headers).status_code == 403, headers
    assert not labels.current()
    same = csrf | {"Origin": "http://127.0.0.1:8080"}
    assert page.post("/api/labels", json=label, headers=same).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a@b"])
def test_another_host_is_refused(page: TestClient, host: str) -> None:
    response = page.get("/api/night", headers={"Host": host})
    assert response.status_code == 403
    assert "csrf" not in response.text


def test_with_tokens_a_scanner_logs_in(review: Review, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    app = make_app(review, Access("ABC", tmp_path / "tokens", ["review.example"]))
    browser = TestClient(app, base_url="http://review.example", follow_redirects=False)
    for path in ("/api/night", "/api/columns", "/api/spectrum/0", "/vendor/uplot.js"):
        assert browser.get(path).status_code == 401
    assert browser.post("/api/labels", json={"row": 0, "interest": 1}).status_code == 401
    assert browser.get("/").headers["location"] == "/login"
    assert browser.get("/readyz").status_code == 200
    assert 'name="token"' in browser.get("/login").text

    for form in (
        {"scanner": "XYZ", "token": "wrong"},
        {"scanner": '"><script>', "token": TOKEN},
        {"token": TOKEN},
        {},
    ):
        refused = browser.post("/login", data=form)
        assert refused.status_code == 401
        assert "<script" not in refused.text
        assert not browser.cookies
    form = {"scanner": "XYZ", "token": TOKEN}
    foreign = {"Origin": "http://evil.example"}
    assert browser.post("/login", data=form, headers=foreign).status_code == 403

    accepted = browser.post("/login", data=form)
    assert accepted.status_code == 303
    cookie = accepted.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    found = browser.get("/api/night").json()
    assert found["scanner"] == "XYZ"
    label, csrf = {"row": 0, "interest": 1}, {"X-CSRF-Token": found["csrf"]}
    assert browser.post("/api/labels", json=label).status_code == 403
    assert browser.post("/api/labels", json=label, headers=csrf).json()["id"]


def test_a_cookie_that_was_not_given_is_none(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    access, other = (Access("ABC", tmp_path / "tokens") for _ in range(2))
    good = access.log_in("XYZ", TOKEN, "192.0.2.1")
    for cookie in ("", ".", "é", good[:-1], f"{good} ", other.log_in("XYZ", TOKEN, "192.0.2.1")):
        assert access.session({"outcrop_review": cookie}) is None, cookie
    session = access.session({"outcrop_review": good})
    assert session is not None
    assert session.scanner == "XYZ"
    again = access.session({"outcrop_review": access.log_in("XYZ", TOKEN, "192.0.2.1")})
    assert again is not None
    assert again.csrf != session.csrf


def test_a_session_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, newer = tmp_path / "tokens", "fedcba9876543210"
    tokens.write_text(TOKEN)
    access = Access("ABC", tokens)
    first = {"outcrop_review": access.log_in("XYZ", TOKEN, "192.0.2.1")}
    tokens.write_text(f"{TOKEN}\n{newer}\n")
    second = {"outcrop_review": access.log_in("XYZ", newer, "192.0.2.1")}
    assert access.session(first) is not None

    tokens.write_text(f"{newer}\n")
    assert access.session(first) is None
    assert access.session(second) is not None
    access.log_out(second)
    assert access.session(second) is None
    monkeypatch.setattr("review.access.SESSION_SECONDS", -1)
    assert access.session({"outcrop_review": access.log_in("XYZ", newer, "192.0.2.1")}) is None


def test_sessions_are_bounded_the_oldest_goes(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    access = Access("ABC", tmp_path / "tokens")
    cookies = [access.log_in("XYZ", TOKEN, "192.0.2.1") for _ in range(1001)]
    there = [access.session({"outcrop_review": one}) is not None for one in cookies]
    assert there == [False] + [True] * 1000


def test_a_scanner_logs_out(review: Review, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    app = make_app(review, Access("ABC", tmp_path / "tokens"))
    browser = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    browser.post("/login", data={"scanner": "XYZ", "token": TOKEN})
    copy = TestClient(app, base_url="http://127.0.0.1", cookies=dict(browser.cookies))
    night = browser.get("/api/night").json()
    assert night["login"]
    assert browser.post("/logout").status_code == 403
    assert browser.get("/api/night").status_code == 200
    out = browser.post("/logout", headers={"X-CSRF-Token": night["csrf"]})
    assert out.status_code == 200
    assert not browser.cookies
    assert copy.get("/api/night").status_code == 401


def test_whoever_guesses_tokens_waits(review: Review, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    app = make_app(review, Access("ABC", tmp_path / "tokens"))
    browser = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    form = {"scanner": "XYZ", "token": "wrong"}
    found = [browser.post("/login", data=form).status_code for _ in range(7)]
    assert found == [401] * 5 + [429] * 2
    refused = browser.post("/login", data=form | {"token": TOKEN})
    assert refused.status_code == 429
    assert "wait 1 s" in refused.text


def test_two_scanners_have_labels_of_their_own(review: Review) -> None:
    review.label("ABC", {"row": 0, "interest": 5})
    review.label("XYZ", {"row": 0, "interest": 1})
    assert review.columns("ABC")["label"][0] == 5
    assert review.columns("XYZ")["label"][0] == 1
    review.undo("ABC")
    assert review.columns("ABC")["label"][0] == -1
    assert review.columns("XYZ")["label"][0] == 1


def browser_of(night: ReviewNight, sky: Path, labels: LabelStore, model: ReviewModel) -> TestClient:
    review = Review(night, Coadds(night, sky), labels, lambda: model, Links("", ""))
    with pytest.raises(InputError):
        review.map()
    review.close()
    return TestClient(make_app(review, Access("ABC")), base_url="http://127.0.0.1")


def label_first(browser: TestClient) -> int:
    """Label the first row; return the status."""
    csrf = {"X-CSRF-Token": browser.get("/api/night").json()["csrf"]}
    return browser.post("/api/labels", json={"row": 0, "interest": 1}, headers=csrf).status_code


def test_a_coadd_that_changed_is_one_sentence(
    made: Path, night: ReviewNight, labels: LabelStore, tmp_path: Path
) -> None:
    shutil.copytree(made / "sky", tmp_path / "sky")
    browser = browser_of(night, tmp_path / "sky", labels, NoModel())
    found = decoded(browser.get("/api/spectrum/0").content)[0]["meta"]
    assert "--model or --url" in found["notice"]
    assert "--model" in found["no_neighbours"]
    assert not found["neighbours"]
    there_is_none = browser.get("/api/map")
    assert there_is_none.status_code == 409
    assert "start the review with --model" in there_is_none.json()["error"]

    coadd = find_petals(tmp_path / "sky")[0].coadd
    os.utime(coadd, ns=(1, 1))
    response = browser.get("/api/spectrum/0")
    assert response.status_code == 409
    assert "changed since it was scored" in response.json()["error"]
    coadd.unlink()
    error = browser.get("/api/spectrum/0").json()["error"]
    assert "is not there any more" in error
    assert "--coadds" in error
    assert label_first(browser) == 200


def test_the_summary_says_where_the_coadds_are(night: ReviewNight, tmp_path: Path) -> None:
    moved = replace(night, folder=tmp_path)
    assert Coadds(moved).root is None
    with pytest.raises(InputError, match="name their folder with --coadds"):
        Coadds(moved).files(night.tables[0])
    root = tmp_path / ("a long name, with: signs " * 5)
    Table({"COADD": ["x"]}, meta={"petals": 1, "root": str(root)}).write(tmp_path / "summary.ecsv")
    assert Coadds(moved).root == root


def test_spectra_that_were_scored_elsewhere_are_said_to_be_there(night: ReviewNight) -> None:
    address = "https://data.example/iron/tiles/coadd-1.fits"
    table = replace(night.tables[0], cards=night.tables[0].cards | {"INFIL000": address})
    with pytest.raises(InputError, match=f"{address} was scored where it is, .* copy it"):
        Coadds(night).files(table)


def test_a_service_that_is_away_is_said_and_labels_are_kept(
    made: Path, night: ReviewNight, labels: LabelStore
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    browser = browser_of(night, made / "sky", labels, ServedModel(url, night.model))
    header, arrays = decoded(browser.get("/api/spectrum/0").content)
    assert f"the service at {url} is away" in header["meta"]["notice"]
    assert len(arrays["flux"]) == 7781
    assert len(arrays["model"]) == 0
    assert browser.get("/api/spectrum/0/at?z=0.2").status_code == 503
    assert label_first(browser) == 200


def test_a_label_database_that_fails_is_503(made: Path, night: ReviewNight, tmp_path: Path) -> None:
    with LabelStore(tmp_path / "labels.sqlite") as labels:
        browser = browser_of(night, made / "sky", labels, NoModel())
        assert label_first(browser) == 200
        labels.close()
        for file in tmp_path.glob("labels.sqlite*"):
            file.write_bytes(b"not a database" * 1000)
        assert label_first(browser) == 503


def test_the_bundle_must_be_that_of_the_night(bundle: Path) -> None:
    with pytest.raises(InputError, match="give the bundle of that model"):
        BundledModel(bundle, ModelIdentity("outcrop", "1", "ab" * 32))
