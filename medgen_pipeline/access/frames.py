"""A stream of rows as one of the types that people work with. Their libraries are theirs, and not asked for here."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Frame = Callable[["pa.RecordBatchReader", Any], Any]
"""Makes one of a type's from a stream and the type's package."""


def _pandas(rows: "pa.RecordBatchReader", pandas: Any) -> Any:
    import pyarrow as pa

    # Without it, integers of which one is NULL would be floats.
    return rows.read_all().to_pandas(types_mapper={pa.int64(): pandas.Int64Dtype()}.get)


# By package and name: where in its package a class is defined is the package's own affair.
_FRAMES: Mapping[tuple[str, str], Frame] = {
    ("pyarrow", "Table"): lambda rows, _: rows.read_all(),
    ("pyarrow", "RecordBatchReader"): lambda rows, _: rows,
    ("polars", "DataFrame"): lambda rows, polars: polars.DataFrame(rows.read_all()),
    ("polars", "LazyFrame"): lambda rows, polars: polars.LazyFrame(rows.read_all()),
    ("pandas", "DataFrame"): _pandas,
    ("duckdb", "DuckDBPyRelation"): lambda rows, duckdb: duckdb.connect().from_arrow(rows.read_all()),
}
FRAMES = tuple(f"{package}.{name}" for package, name in _FRAMES)
"""The types that there are."""


def frame_of(kind: Any) -> Callable[["pa.RecordBatchReader"], Any] | None:
    """What makes one of a type's, or None where it is none of ``FRAMES``."""
    package = str(getattr(kind, "__module__", "")).partition(".")[0].lstrip("_")
    frame = _FRAMES.get((package, str(getattr(kind, "__name__", ""))))
    return None if frame is None else lambda rows: frame(rows, import_module(package))
