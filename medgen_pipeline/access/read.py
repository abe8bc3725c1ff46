"""The rows of one table, from a warehouse that is opened for them and closed behind them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Any

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderError
from medgen_pipeline.loaders.arrow import reader_of

if TYPE_CHECKING:
    import pyarrow as pa


def require_loaded(loader: AbstractNativeLoader, table: Table) -> None:
    """Refuse to read a table that is not there, in words of ours."""
    if not loader.columns(table):
        raise LoaderError(
            f"{loader.table_uri(table)}: there is no such table: it was never loaded, or not here. Check MEDGEN_DSN "
            "and MEDGEN_SCHEMA, or load it first."
        )


def read(
    new_loader: Callable[[], AbstractNativeLoader],
    table: Table,
    columns: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    release: str | None = None,
    *,
    ordered: bool = False,
) -> "pa.RecordBatchReader":
    """A stream of a table's rows. The connection is closed when it has ended, or when nobody holds it any more.

    Args:
        new_loader: Makes a loader that is not connected yet.
        table: The table.
        columns: Those of its columns to read, in this order; none: all.
        where: What columns must hold: a value, or one of several in a list; None is NULL.
        release: As the table was after the last load of this release; None: as it is.
        ordered: By the table's key and then by its other columns; otherwise in no order.

    Raises:
        MedgenError: The warehouse cannot be reached, or has no such table, column or release; the message says it.
    """
    with ExitStack() as opened:
        loader = opened.enter_context(new_loader())
        require_loaded(loader, table)
        batches = loader.read(table, columns, where, release, ordered=ordered)
        until_read = opened.pop_all()

    def stream() -> Iterator["pa.RecordBatch"]:
        with until_read:
            yield from batches

    # The first batch at once: what fails, fails here, and a stream that has begun closes what it holds when it goes.
    rows = stream()
    first = [batch for batch in (next(rows, None),) if batch is not None]
    known = {column.name: column for column in table.columns}
    return reader_of([known[name] for name in columns or known], chain(first, rows))
