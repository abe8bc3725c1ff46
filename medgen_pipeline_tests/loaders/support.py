"""What the loader tests share: rows to canonical bytes, one load by hand, and reading tables back."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ApplyMode,
    ChangeCounts,
    LoadDetail,
    LoaderFactory,
    LoadStart,
    Strategy,
)

Row = tuple[object, ...]


def canonical(rows: Iterable[Row]) -> bytes:
    """Rows as canonical bytes, written independently of the framing."""
    return b"".join(b"\t".join(_field(value) for value in row) + b"\n" for row in rows)


def _field(value: object) -> bytes:
    text = "" if value is None else str(value)
    for special in ("\\", "\t", "\r"):
        text = text.replace(special, "\\" + special)
    return text.encode() if text != "\\\\N" else b"\\\\\\N"


def start_of(table: Table, release: str = "2026-01-07") -> LoadStart:
    return LoadStart(table, release, "a" * 64, "b" * 64, "a-dagster-run")


def load(loader: AbstractNativeLoader, table: Table, rows: Sequence[Row], release: str = "2026-01-07") -> ChangeCounts:
    """One whole load through the contract, as ``load_table`` does it, without gates."""
    with loader:
        load_id = loader.log_run_start(start_of(table, release))
        loader.initialize_staging(table)
        loader.bulk_load(table.name, iter([canonical(rows)] if rows else []))
        loader.log_run_detail(load_id, LoadDetail(Strategy.WAREHOUSE, len(rows), 0, 0))
        counts = loader.execute_cdc(table)
        mode = ApplyMode.SWAP if counts.baseline else ApplyMode.DELTA if counts.changed else ApplyMode.UNCHANGED
        loader.apply_changes(table, mode)
        loader.cleanup(table)
    return counts


def new_loader(dsn: str, **config: object) -> AbstractNativeLoader:
    return LoaderFactory.create_loader(dsn, config)


def read(dsn: str, schema: str, table: Table, columns: Sequence[str] = ()) -> list[Row]:
    """All rows of ``schema.table`` as text, sorted; the feed's own columns first where asked for."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in (*columns, *table.column_names))
    statement = sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(schema, table.name))
    with psycopg.connect(dsn) as connection:
        return sorted(connection.execute(statement).fetchall(), key=repr)


def query(dsn: str, statement: str, *params: object) -> list[Row]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement, params or None)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def session(dsn: str) -> Iterator[psycopg.Connection[Row]]:
    with psycopg.connect(dsn) as connection:
        yield connection
