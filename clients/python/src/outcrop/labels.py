"""Label store: who said what about which spectrum, and when, in SQLite or PostgreSQL.

Every change is a row that is never altered, and so is taking one back; what a scanner says now is
derived from them. Several processes may use a store at a time.

Needs SQLAlchemy, which only this module imports.
"""

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    exists,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from .errors import InputError, LabelsUnavailable
from .fingerprint import FileFingerprint
from .label import (
    FIELDS,
    Label,
    LabelledSpectrum,
    check_fields,
    check_scanner,
    check_targetid,
)

WAIT: Final = 10.0
"""Seconds that a change waits for those of other processes."""

_CHANGES: Final = Table(
    "label_changes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("time", String(32), nullable=False),  # ISO 8601, UTC
    Column("scanner", String(10), nullable=False),
    Column("targetid", BigInteger, nullable=False),
    # The change that this one takes back: each at most once.
    Column("undoes", Integer, ForeignKey("label_changes.id"), unique=True),
    # Names of the fields that this change sets, with a comma between them.
    Column("changed", String(60), nullable=False),
    Column("interest", Integer),
    Column("vi_quality", Integer),
    Column("issues", String(3)),
    Column("z", Float),
    Column("spectype", String(10)),
    Column("comment", String(100)),
    Column("night", Integer),
    Column("tileid", Integer),
    Column("expid", Integer),
    Column("coadd", String),
    Column("coadd_size", BigInteger),
    Column("coadd_mtime", BigInteger),
    Column("spec_version", String),
    Column("redrock_version", String),
    Column("template_version", String),
    Column("redrock_spectype", String),
    Column("redrock_z", Float),
    Column("redrock_deltachi2", Float),
)
_INDEX: Final = Index("label_changes_of_scanner", _CHANGES.c.scanner, _CHANGES.c.targetid)
_NAMES: Final = tuple(column.name for column in _CHANGES.columns)
_LATER: Final = _CHANGES.alias()
_COUNTS: Final = _CHANGES.c.undoes.is_(None) & ~exists().where(_LATER.c.undoes == _CHANGES.c.id)
"""Of a change that is not taken back."""
_CAUSES: Final = {
    "locked": "another process has locked it; wait for it, or end it",
    "disk I/O": "the disk is full or fails; free some space",
    "full": "the disk is full; free some space",
    "readonly": "it cannot be written; check its permissions",
    "unable to open": "it cannot be opened; check its name, its folder and its permissions",
    "not a database": "it is no label database; choose another name",
    "malformed": "it is damaged; restore it from a copy",
}
"""Remedies of SQLite's errors, by what they say."""


@dataclass(frozen=True)
class LabelChange:
    """One row of a store: a change, or the taking back of one.

    Attributes
    ----------
    id : int
        Ascending in the order in which they were made.
    time : datetime
        UTC.
    scanner : str
    targetid : int
    fields : mapping
        The fields of `Label` that it sets; empty where it takes a change back.
    undoes : int or None
        The id of the change that it takes back.
    spectrum : LabelledSpectrum
    """

    id: int
    time: datetime
    scanner: str
    targetid: int
    fields: Mapping[str, Any]
    undoes: int | None
    spectrum: LabelledSpectrum


class LabelStore:
    """The labels of all scanners.

    A method that changes something returns when the change is on the disk.

    Parameters
    ----------
    database : path or str
        An SQLite file, made where it does not exist, or an address as
        ``postgresql://user:password@host/name``, for which psycopg must be installed.

    Raises
    ------
    InputError
        Where it is no address or no label database, or its folder does not exist.
    LabelsUnavailable
        Here and in every method, where the database cannot be used now: the message says why.

    Examples
    --------
    >>> import tempfile
    >>> from outcrop.labels import LabelStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with LabelStore(f"{folder}/labels.sqlite") as store:
    ...         _ = store.record("ABC", 39633345008634465, {"interest": 4})
    ...         _ = store.record("ABC", 39633345008634465, {"comment": "two spectra"})
    ...         _ = store.undo("ABC")
    ...         print([(label.interest, label.comment) for label in store.current()])
    [(4, '')]
    """

    def __init__(self, database: str | os.PathLike[str]) -> None:
        url = _url(database)
        self.name = url.database if _is_sqlite(url) else url.render_as_string(hide_password=True)
        with self._errors():
            self._engine = _engine(url)
            try:
                self._check_tables()
                _create(self._engine)
                self._check_columns()
            except BaseException:
                self._engine.dispose()
                raise

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def record(
        self,
        scanner: str,
        targetid: int,
        fields: Mapping[str, Any],
        spectrum: LabelledSpectrum = LabelledSpectrum(),  # noqa: B008 (frozen)
    ) -> int:
        """Keep what a scanner says now of a target, and return the id of the change.

        Parameters
        ----------
        scanner : str
        targetid : int
        fields : mapping
            Some fields of `Label`; the others stay. None takes back what was said.
        spectrum : LabelledSpectrum, optional

        Raises
        ------
        InputError
            Names the value and the remedy; nothing is kept.
        """
        if not fields:
            raise InputError(
                f"a label of {targetid} says nothing; name some of {', '.join(FIELDS)}"
            )
        row = _row(scanner, targetid, fields, spectrum)
        with self._errors(), self._engine.begin() as connection:
            return _insert(connection, row)

    def record_all(self, labels: Iterable[Label]) -> int:
        """Keep labels, as of a file, where they say something else than the scanner does now.

        All of them are kept or none. What they do not say stays.

        Returns
        -------
        int
            The number of changes: 0 where the same labels are kept a second time.
        """
        current = {(each.scanner, each.targetid): each.fields for each in self.current()}
        rows: list[dict[str, Any]] = []
        for label in labels:
            said = current.setdefault((label.scanner, label.targetid), {})
            new = {name: value for name, value in label.fields.items() if said.get(name) != value}
            if new:
                said.update(new)
                rows.append(_row(label.scanner, label.targetid, new, label.spectrum))

        if rows:
            with self._errors(), self._engine.begin() as connection:
                connection.execute(insert(_CHANGES), rows)
        return len(rows)

    def undo(self, scanner: str) -> LabelChange | None:
        """Take back the last change of a scanner that is not taken back, and return it.

        Returns
        -------
        LabelChange or None
            The change that no longer counts; None where there is none left.
        """
        check_scanner(scanner)
        while True:
            found = self._rows(_COUNTS, _CHANGES.c.scanner == scanner, last=True)
            if not found:
                return None

            last = _change(found[0])
            row = _row(scanner, last.targetid, {}, last.spectrum) | {"undoes": last.id}
            with self._errors():
                try:
                    with self._engine.begin() as connection:
                        _insert(connection, row)
                except IntegrityError:
                    # Another process took the same change back at the same time.
                    continue
            return last

    def current(self, scanner: str | None = None) -> list[Label]:
        """Return what is said now, of one scanner or of all, in the order of the first change."""
        conditions = [] if scanner is None else [_CHANGES.c.scanner == check_scanner(scanner)]
        said: dict[tuple[str, int], dict[str, Any]] = {}
        last: dict[tuple[str, int], dict[str, Any]] = {}
        for row in self._rows(_COUNTS, *conditions):
            key = row["scanner"], row["targetid"]
            said.setdefault(key, {}).update(_set_by(row))
            last[key] = row

        return [
            Label(targetid, scanner, **fields, time=_time(row), spectrum=_spectrum(row))
            for ((scanner, targetid), fields), row in zip(said.items(), last.values(), strict=True)
            if any(value not in (None, "") for value in fields.values())
        ]

    def history(self, targetid: int) -> list[LabelChange]:
        """Return every change to the labels of a target, those taken back too, in their order."""
        rows = self._rows(_CHANGES.c.targetid == check_targetid(targetid))
        return [_change(row) for row in rows]

    def _rows(self, *conditions: Any, last: bool = False) -> list[dict[str, Any]]:
        """Return the rows that meet conditions, in their order, or the last one of them."""
        asked = select(_CHANGES).where(*conditions)
        of_id = _CHANGES.c.id
        asked = asked.order_by(of_id.desc()).limit(1) if last else asked.order_by(of_id)
        with self._errors(), self._engine.connect() as connection:
            return [dict(zip(_NAMES, row, strict=True)) for row in connection.execute(asked)]

    def _check_tables(self) -> None:
        """Refuse the SQLite file of another program, before it is changed."""
        tables = inspect(self._engine).get_table_names()
        if self._engine.name == "sqlite" and tables and _CHANGES.name not in tables:
            raise InputError(
                f"{self.name} is the database of another program, with the table {tables[0]}; "
                "choose another name"
            )

    def _check_columns(self) -> None:
        found = {column["name"] for column in inspect(self._engine).get_columns(_CHANGES.name)}
        missing = [column.name for column in _CHANGES.columns if column.name not in found]
        if missing:
            raise InputError(
                f"{self.name} has labels of another version of Outcrop, without "
                f"{', '.join(missing)}; export them with that version, and import them into a new "
                "database"
            )

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Raise the database's errors as one sentence."""
        try:
            yield
        except SQLAlchemyError as error:
            # Not the error itself, which quotes the statement and its values.
            cause = error.orig if isinstance(error, DBAPIError) else error
            said = " ".join(str(cause).split())
            remedies = (remedy for words, remedy in _CAUSES.items() if words in said)
            remedy = next(remedies, "check the database and its address")
            raise LabelsUnavailable(
                f"labels in {self.name} cannot be read or kept ({said:.200}): {remedy}; what was "
                "kept before is still there"
            ) from error


def _url(database: str | os.PathLike[str]) -> URL:
    if isinstance(database, str) and "://" in database:
        try:
            url = make_url(database)
        except ArgumentError as error:
            raise InputError(
                "the address of the labels is none; write sqlite:///FILE or "
                "postgresql://USER:PASSWORD@HOST/NAME"
            ) from error
        return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url

    path = Path(database)
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: its folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    return URL.create("sqlite", database=os.fspath(path))


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> Engine:
    try:
        if not _is_sqlite(url):
            return create_engine(url, pool_pre_ping=True)
        engine = create_engine(url, connect_args={"timeout": WAIT})
    except (ImportError, ArgumentError) as error:
        raise InputError(
            f"labels cannot be kept at {url.drivername} ({error}); install its driver, as "
            "pip install 'psycopg[binary]', or keep them in an SQLite file"
        ) from error

    def prepare(connection: Any, _: object) -> None:
        # A change is on the disk before it is acknowledged.
        connection.execute("PRAGMA synchronous = FULL")

    event.listen(engine, "connect", prepare)
    return engine


def _create(engine: Engine) -> None:
    if engine.name == "sqlite":
        with engine.connect() as connection:
            # Readers never wait for writers; the file remembers it.
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    try:
        with engine.begin() as connection:
            connection.execute(CreateTable(_CHANGES, if_not_exists=True))
            connection.execute(CreateIndex(_INDEX, if_not_exists=True))
    except DBAPIError:
        # PostgreSQL fails where another process creates the same at the same time.
        if not inspect(engine).has_table(_CHANGES.name):
            raise


def _row(
    scanner: str, targetid: int, fields: Mapping[str, Any], spectrum: LabelledSpectrum
) -> dict[str, Any]:
    checked = check_fields(fields)
    file = spectrum.coadd
    coadd = (None, None, None) if file is None else (file.name, file.size, file.mtime)
    row = {
        **dict.fromkeys(FIELDS),
        **checked,
        **{name: getattr(spectrum, name) for name in _OF_SPECTRUM},
        **dict(zip(_OF_COADD, coadd, strict=True)),
        "time": datetime.now(UTC).isoformat(timespec="microseconds"),
        "scanner": check_scanner(scanner),
        "targetid": check_targetid(targetid),
        "changed": ",".join(checked),
    }
    # SQLite has no NaN.
    return {name: None if value != value else value for name, value in row.items()}


_OF_COADD: Final = ("coadd", "coadd_size", "coadd_mtime")
_OF_SPECTRUM: Final = (
    *("night", "tileid", "expid", "spec_version", "redrock_version", "template_version"),
    *("redrock_spectype", "redrock_z", "redrock_deltachi2"),
)


def _insert(connection: Connection, row: dict[str, Any]) -> int:
    return connection.execute(insert(_CHANGES).returning(_CHANGES.c.id), row).scalar_one()


def _change(row: Mapping[str, Any]) -> LabelChange:
    return LabelChange(
        id=row["id"],
        time=_time(row),
        scanner=row["scanner"],
        targetid=row["targetid"],
        fields=_set_by(row),
        undoes=row["undoes"],
        spectrum=_spectrum(row),
    )


def _set_by(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row["changed"].split(",") if name}


def _time(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["time"])


def _spectrum(row: Mapping[str, Any]) -> LabelledSpectrum:
    coadd = None
    if row["coadd"] is not None:
        coadd = FileFingerprint(*(row[name] for name in _OF_COADD))
    known = {name: row[name] for name in _OF_SPECTRUM if row[name] is not None}
    return LabelledSpectrum(coadd=coadd, **known)
