"""The store of labels, in SQLite and in PostgreSQL."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop import InputError, LabelsUnavailable
from outcrop.fingerprint import FileFingerprint
from outcrop.label import Label, LabelledSpectrum
from outcrop.labels import LabelStore

LARGEST = 2**63 - 1
SPECTRUM = LabelledSpectrum(
    night=20210324,
    tileid=80613,
    coadd=FileFingerprint("coadd-4-80613-thru20210324.fits", 2**40, 1616500000000000000),
    redrock_spectype="GALAXY",
    redrock_z=0.1234,
    redrock_deltachi2=901.5,
)
# Records labels and says so, one a line, until it is stopped.
WRITER = """
import sys
from outcrop.labels import LabelStore
database, scanner, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
with LabelStore(database) as store:
    for targetid in range(number):
        store.record(scanner, targetid, {"interest": targetid % 6})
        print(targetid, flush=True)
"""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Address of a PostgreSQL server that only this machine's sockets reach."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = os.pathsep.join([*map(str, found[::-1]), os.environ["PATH"]])
    initdb = shutil.which("initdb", path=path)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql): no initdb")

    # It does not run as root.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="outcrop-pg-"))
    if user is not None:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        # Not captured: the server would keep the pipe open.
        with (folder / "out").open("ab") as out:
            command = [str(Path(initdb).with_name(program)), "-D", "data", *arguments]
            subprocess.run(command, cwd=folder, user=user, stdout=out, stderr=out, check=True)

    try:
        run("initdb", "--username=outcrop", "--auth=trust", "--no-sync")
        run("pg_ctl", "start", "-w", "-o", f"-k {folder} -c listen_addresses=''")
        yield f"postgresql://outcrop:secret@/postgres?host={folder}"
        run("pg_ctl", "stop", "-w", "-m", "fast")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database of each kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "labels.sqlite")
        return

    import psycopg

    address = request.getfixturevalue("postgresql")
    yield address
    with psycopg.connect(address) as connection:
        connection.execute("DROP TABLE IF EXISTS label_changes")


@pytest.fixture
def store(database: str) -> Iterator[LabelStore]:
    with LabelStore(database) as store:
        yield store


def writer(database: str, scanner: str, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, database, scanner, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def fill(store: LabelStore) -> None:
    for targetid in range(1000):
        store.record("ABC", targetid, {"interest": 2})


def test_what_is_recorded_is_current(store: LabelStore) -> None:
    said = {
        "interest": 4,
        "vi_quality": 3,
        "issues": "RS",
        "z": 0.1234,
        "spectype": "QSO",
        "comment": "Two objects, 'quoted' \"too\"; Hα",
    }
    store.record("ABC", LARGEST, said, SPECTRUM)
    (label,) = store.current()
    assert label.fields == said
    assert (label.targetid, label.scanner, label.spectrum) == (LARGEST, "ABC", SPECTRUM)
    assert label.time is not None
    assert abs((datetime.now(UTC) - label.time).total_seconds()) < 60


def test_a_change_leaves_the_other_fields_and_none_takes_a_value_back(store: LabelStore) -> None:
    store.record("ABC", 1, {"interest": 4, "comment": "BAL"})
    store.record("ABC", 1, {"interest": 2, "z": 0.0})
    assert [label.fields for label in store.current()] == [
        {"interest": 2, "z": 0.0, "comment": "BAL"}
    ]
    store.record("ABC", 1, {"interest": None, "comment": "", "z": None})
    assert store.current() == []


def test_each_scanner_has_labels_of_their_own(store: LabelStore) -> None:
    store.record("ABC", 1, {"interest": 4})
    store.record("XYZ", 1, {"interest": 0})
    assert [(each.scanner, each.interest) for each in store.current()] == [("ABC", 4), ("XYZ", 0)]
    assert [each.interest for each in store.current("XYZ")] == [0]
    assert store.current("NEW") == []


def test_undo_takes_back_the_last_change_of_the_scanner_again_and_again(store: LabelStore) -> None:
    first = store.record("ABC", 1, {"interest": 4})
    last = store.record("ABC", 2, {"interest": 5})
    store.record("XYZ", 2, {"interest": 1})

    undone = store.undo("ABC")
    assert undone is not None
    assert (undone.id, undone.targetid, undone.fields) == (last, 2, {"interest": 5})
    assert [(each.targetid, each.scanner) for each in store.current()] == [(1, "ABC"), (2, "XYZ")]

    again = store.undo("ABC")
    assert again is not None
    assert again.id == first
    assert store.undo("ABC") is None
    assert [each.scanner for each in store.current()] == ["XYZ"]


def test_nothing_is_ever_altered(store: LabelStore) -> None:
    store.record("ABC", 1, {"interest": 4}, SPECTRUM)
    store.record("ABC", 1, {"interest": 2})
    store.undo("ABC")
    store.record("XYZ", 1, {"z": 0.2})
    store.record("ABC", 2, {"z": 0.2})

    history = store.history(1)
    assert [(each.scanner, dict(each.fields)) for each in history] == [
        ("ABC", {"interest": 4}),
        ("ABC", {"interest": 2}),
        ("ABC", {}),
        ("XYZ", {"z": 0.2}),
    ]
    assert [each.undoes for each in history] == [None, None, history[1].id, None]
    assert history[0].spectrum == SPECTRUM
    assert sorted(each.time for each in history) == [each.time for each in history]


@pytest.mark.parametrize(
    ("scanner", "targetid", "fields"),
    [("", 1, {"z": 0}), ("ABC", 2**63, {"z": 0}), ("ABC", 1, {"interest": 6}), ("ABC", 1, {})],
)
def test_bad_values_are_not_kept(
    store: LabelStore, scanner: str, targetid: int, fields: dict[str, int]
) -> None:
    with pytest.raises(InputError, match=";"):
        store.record(scanner, targetid, fields)
    assert store.current() == []


def test_the_same_labels_again_are_no_change(store: LabelStore) -> None:
    labels = [Label(1, "ABC", z=0.1, spectrum=SPECTRUM), Label(2, "ABC", interest=0)]
    assert store.record_all([*labels, labels[0]]) == 2
    assert store.record_all(labels) == 0
    assert [label.fields for label in store.current()] == [{"z": 0.1}, {"interest": 0}]
    assert store.record_all([Label(1, "ABC", z=0.2)]) == 1
    assert [label.fields for label in store.current()] == [{"z": 0.2}, {"interest": 0}]


def test_of_several_labels_all_are_kept_or_none(store: LabelStore) -> None:
    with pytest.raises(InputError, match="z 99"):
        store.record_all([Label(1, "ABC", z=0.1), Label(2, "ABC", z=99)])
    assert store.current() == []


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=100)
said = st.fixed_dictionaries(
    {},
    optional={
        "interest": st.none() | st.integers(0, 5),
        "vi_quality": st.none() | st.integers(0, 4),
        "issues": st.sets(st.sampled_from("RCS")).map("".join),
        "z": st.none() | st.floats(-0.99, 9.99),
        "spectype": st.sampled_from(["", "STAR", "GALAXY", "QSO"]),
        "comment": texts.filter(str.isprintable).map(str.strip),
    },
).filter(bool)
changes = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.none() | st.tuples(st.sampled_from([1, -5]), said))
)


@settings(deadline=None, max_examples=50)
@given(changes)
def test_any_changes_give_what_a_list_of_them_gives(
    changes: list[tuple[str, tuple[int, dict[str, object]] | None]],
) -> None:
    kept: list[tuple[str, int, dict[str, object]]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        LabelStore(Path(folder, "labels.sqlite")) as store,
    ):
        for scanner, change in changes:
            if change is not None:
                store.record(scanner, *change)
                kept.append((scanner, *change))
            else:
                of_scanner = [number for number, each in enumerate(kept) if each[0] == scanner]
                assert (store.undo(scanner) is None) == (not of_scanner)
                if of_scanner:
                    kept.pop(of_scanner[-1])

        found = {(each.scanner, each.targetid): each.fields for each in store.current()}

    expected: dict[tuple[str, int], dict[str, object]] = {}
    for scanner, targetid, fields in kept:
        expected[scanner, targetid] = expected.get((scanner, targetid), {}) | fields
    said = {
        key: {
            name: "".join(sorted(str(value), key="RCS".index)) if name == "issues" else value
            for name, value in fields.items()
            if value not in (None, "")
        }
        for key, fields in expected.items()
    }
    assert found == {key: fields for key, fields in said.items() if fields}


@pytest.mark.long
@pytest.mark.parametrize(
    "number", [500, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_nothing_is_lost_and_nothing_doubled_where_a_process_is_killed(
    database: str, number: int
) -> None:
    each = number // 2
    with writer(database, "KIL", each) as killed, writer(database, "OTH", each) as other:
        assert killed.stdout is not None
        acknowledged = [killed.stdout.readline() for _ in range(each // 3)]
        killed.kill()
        acknowledged += killed.stdout.readlines()
        assert killed.wait() == -signal.SIGKILL

        # The one that was killed starts again while the other goes on.
        with writer(database, "AGA", each) as again:
            finished = [process.communicate()[0].split() for process in (other, again)]
    assert [len(lines) for lines in finished] == [each, each]
    confirmed = {int(line) for line in acknowledged if line.endswith("\n")}
    assert len(confirmed) < each

    with LabelStore(database) as store:
        labels = store.current()
        histories = Counter(change.scanner for change in store.history(0))
    kept = {
        scanner: sorted(label.targetid for label in labels if label.scanner == scanner)
        for scanner in ("KIL", "OTH", "AGA")
    }
    assert kept["OTH"] == kept["AGA"] == list(range(each))
    # At most the one that it was at when it was killed is more.
    assert kept["KIL"] == list(range(len(kept["KIL"])))
    assert len(confirmed) <= len(kept["KIL"]) <= len(confirmed) + 1
    assert histories == {"KIL": 1, "OTH": 1, "AGA": 1}
    assert all(label.interest == label.targetid % 6 for label in labels)


@pytest.mark.long
def test_processes_that_start_at_the_same_time_make_one_database(database: str) -> None:
    processes = [writer(database, f"S{number}", 3) for number in range(4)]
    assert [process.communicate()[0] for process in processes] == ["0\n1\n2\n"] * 4
    with LabelStore(database) as store:
        assert len(store.current()) == 12


@pytest.mark.long
def test_two_that_undo_at_the_same_time_take_back_two_changes(database: str) -> None:
    script = """
import sys
from outcrop.labels import LabelStore
with LabelStore(sys.argv[1]) as store:
    for _ in range(20):
        print(store.undo("ABC").targetid)
"""
    with LabelStore(database) as store:
        for targetid in range(50):
            store.record("ABC", targetid, {"interest": 1})
        command = [sys.executable, "-c", script, database]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        undone = [int(word) for each in both for word in each.communicate()[0].split()]
        assert sorted(undone) == list(range(10, 50))
        assert [label.targetid for label in store.current()] == list(range(10))


def test_sqlite_is_durable(tmp_path: Path) -> None:
    with LabelStore(tmp_path / "labels.sqlite") as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_locked_database_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outcrop.labels.WAIT", 0.05)
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        store.record("ABC", 1, {"interest": 1})
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        message = "labels in .*labels.sqlite cannot be .*another process has locked it; wait for it"
        with pytest.raises(LabelsUnavailable, match=message) as caught:
            store.record("ABC", 2, {"comment": "secret"})
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)

        # What was kept can be read meanwhile, and labelled when the other has ended.
        assert len(store.current()) == 1
        other.close()
        store.record("ABC", 2, {"interest": 1})
        assert len(store.current()) == 2


def test_a_full_disk_is_one_sentence_and_what_was_kept_stays(tmp_path: Path) -> None:
    # A file that may not grow; EFBIG instead of the signal.
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.record("ABC", 1, {"interest": 1})
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
            with pytest.raises(LabelsUnavailable, match="the disk is full or fails; free"):
                fill(store)
            reached = len(store.current())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)

        assert reached > 1
        store.record("XYZ", 1, {"interest": 1})
        assert len(store.current()) == reached + 1


def test_a_full_database_is_one_sentence(tmp_path: Path) -> None:
    with LabelStore(tmp_path / "labels.sqlite") as store:
        with store._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(LabelsUnavailable, match="the disk is full; free some space"):
            fill(store)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"TARGETID,LABEL\n" * 100, "it is no label database; choose another name"),
        (None, "is a folder; name a file"),
    ],
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "labels.sqlite"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises((InputError, LabelsUnavailable), match=message):
        LabelStore(path)
    assert content is None or path.read_bytes() == content


def test_the_database_of_another_program_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE places (id INTEGER)")
    content = path.read_bytes()
    with pytest.raises(InputError, match="of another program, with the table places; choose"):
        LabelStore(path)
    assert path.read_bytes() == content


def test_labels_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE label_changes (id INTEGER, scanner TEXT, targetid INTEGER)")
    with pytest.raises(InputError, match="labels of another version of Outcrop, without time, "):
        LabelStore(path)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("nowhere/labels.sqlite", InputError, "its folder nowhere does not exist; make it first"),
        ("://", InputError, "the address of the labels is none; write sqlite:///FILE"),
        ("oracledb://h/n", InputError, "install its driver"),
        ("nosuch://h/n", InputError, "install its driver"),
    ],
)
def test_addresses_that_are_none(address: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LabelStore(address)


def test_a_server_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(LabelsUnavailable, match="check the database and its address") as caught:
        LabelStore(f"postgresql://user:hidden@/labels?host={tmp_path}")
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_may_be_an_address_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c d%.sqlite"
    with LabelStore(path) as store:
        store.record("ABC", 1, {"interest": 1})
    assert path.is_file()
    with LabelStore(f"sqlite:///{tmp_path}/other.sqlite") as store:
        assert store.current() == []
