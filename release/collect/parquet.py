"""Parquet: the rows of one survey and program, as a file of a partitioned dataset.

The folders are named ``SURVEY=main/PROGRAM=bright``, as Hive does: readers of datasets make columns
of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import InputError
from outcrop.columns import Column

from .columns import HEALPIX_29
from .provenance import Provenance

if TYPE_CHECKING:
    import pyarrow as pa

FILE: Final = "part-0.parquet"
_VECTORS: Final = ("LATENT",)


def require_pyarrow() -> None:
    """Raise an InputError where pyarrow or astropy-healpix is not installed."""
    try:
        import astropy_healpix
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"a catalogue needs pyarrow and astropy-healpix ({error}); install them: "
            "pip install pyarrow astropy-healpix"
        ) from error
    del astropy_healpix, pyarrow


def partition_path(folder: Path, partition: tuple[str, str]) -> Path:
    """Return the file of a survey and program."""
    survey, program = partition
    return folder / f"SURVEY={survey}" / f"PROGRAM={program}" / FILE


class ParquetFile:
    """A Parquet file that is being written; a context manager.

    Parameters
    ----------
    path : Path
        Its folder is made if missing.
    columns : sequence of Column
    latents : int
        Length of LATENT.
    provenance : Provenance
    """

    def __init__(
        self, path: Path, columns: Sequence[Column], latents: int, provenance: Provenance
    ) -> None:
        self.path = path
        self._schema = _schema(columns, latents, provenance)
        self._latents = latents

    def __enter__(self) -> "ParquetFile":
        import pyarrow.parquet as pq

        self.path.parent.mkdir(parents=True, exist_ok=True)
        texts: Any = [each.name for each in self._schema if str(each.type) == "string"]
        vectors: Any = [f"{name}.list.element" for name in _VECTORS if name in self._schema.names]
        self._writer = pq.ParquetWriter(
            self.path,
            self._schema,
            compression="zstd",
            # A dictionary of numbers that hardly repeat only takes time.
            use_dictionary=texts,
            use_byte_stream_split=vectors,
            sorting_columns=pq.SortingColumn.from_ordering(
                self._schema, [(HEALPIX_29.name, "ascending")]
            ),
        )
        return self

    def write(self, block: Mapping[str, NDArray[Any]]) -> None:
        """Write the next rows as a row group, given the columns by name."""
        import pyarrow as pa

        arrays = [self._array(each, block[each.name]) for each in self._schema]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def _array(self, field: Any, values: NDArray[Any]) -> Any:
        import pyarrow as pa

        if field.name in _VECTORS:
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            return pa.FixedSizeListArray.from_arrays(flat, type=field.type)
        made = pa.array(values)
        return made if made.type == field.type else made.cast(field.type)


def _schema(columns: Sequence[Column], latents: int, provenance: Provenance) -> "pa.Schema":
    import pyarrow as pa

    types = {
        "K": pa.int64(),
        "J": pa.int32(),
        "D": pa.float64(),
        "E": pa.float32(),
        "L": pa.bool_(),
    }

    def field(column: Column) -> Any:
        text = column.format.endswith("A")
        kind = pa.string() if text else types[column.format]
        if column.name in _VECTORS:
            kind = pa.list_(kind, latents)
        metadata = {"description": column.description, "unit": column.unit or ""}
        return pa.field(column.name, kind, nullable=False, metadata=metadata)

    return pa.schema([field(column) for column in columns], metadata=provenance.metadata())
