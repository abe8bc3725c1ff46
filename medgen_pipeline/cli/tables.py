"""What is in the warehouse now: the state of each table, and rows of one."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from medgen_pipeline.cli.common import any_table, warehouse_to_read
from medgen_pipeline.cli.instance import existing_dagster_home
from medgen_pipeline.cli.rows import format_option, limit_option, write_rows

if TYPE_CHECKING:
    from medgen_pipeline.catalog import Table
    from medgen_pipeline.loaders.records import LoadRecord


@dataclass(frozen=True)
class TableState:
    """One line of ``medgen status``; what was never so is empty.

    Attributes:
        table: The table.
        release: The one that it holds.
        loaded: When its last load ended, UTC; one that found nothing new counts.
        age: How long ago that was.
        rows: It has so many.
        changed: The release that last changed its rows.
        inserted: Rows that came with that one; those of the first load of all count.
        updated: Rows that it altered.
        deleted: Rows that went with it.
        checks: How many of its checks came out how when they were last made, as this machine's Dagster has it.
        note: That it is pinned, and what is wrong or under way: a load that runs, or how the last attempt ended.
    """

    table: str
    release: str = ""
    loaded: str = ""
    age: str = ""
    rows: int | None = None
    changed: str = ""
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    checks: str = ""
    note: str = "never loaded"


@click.command()
@format_option("table")
def status(form: str) -> None:
    """List the tables: release, age, rows, last change, checks, and how the last load went if it did not succeed."""
    from medgen_pipeline.catalog import CURATED_TABLES, TABLES

    with warehouse_to_read() as loader:
        loads = loader.loads()
    of_table: dict[str, list[LoadRecord]] = {}
    for load in loads:
        of_table.setdefault(load.table_name, []).append(load)
    now = datetime.now(UTC)
    states = [state_of(table.name, of_table.get(table.name, ()), now) for table in (*TABLES, *CURATED_TABLES)]
    checks = _checks()
    states = [replace(state, checks=checks.get(state.table, "")) for state in states]
    write_rows([field.name for field in fields(TableState)], map(astuple, states), form)


def _checks() -> dict[str, str]:
    """How the checks of each table came out; none where no Dagster has run here."""
    home = existing_dagster_home()
    if home is None:
        return {}
    from medgen_pipeline.orchestration.check_report import counts_by_table, last_results
    from medgen_pipeline.orchestration.local import LocalRunError, open_instance

    try:
        with open_instance(home) as instance:
            return counts_by_table(last_results(instance))
    except (LocalRunError, OSError) as error:  # the tables are there all the same
        click.echo(f"The checks are not known: {error}", err=True)
        return {}


@click.command()
@click.argument("table")
@click.option("--columns", help="Comma-separated; all of them where absent.")
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows with this value; COLUMN= is NULL. Given again for a column: with either value.",
)
@format_option("table")
@limit_option(10)
def show(table: str, columns: str | None, where: Sequence[str], form: str, limit: int) -> None:
    """Write some rows of TABLE, in the order of its key."""
    from medgen_pipeline.access.read import require_loaded
    from medgen_pipeline.loaders import statement as sql
    from medgen_pipeline.loaders.sql.reading import request

    entry = any_table(table)
    names = [name.strip() for name in columns.split(",")] if columns else entry.column_names
    wanted = _wanted(entry, where)
    if unknown := sorted({*names, *wanted} - set(entry.column_names)):
        raise click.ClickException(
            f"{entry.name} has no columns {', '.join(unknown)}; it has {', '.join(entry.column_names)}."
        )
    with warehouse_to_read() as loader:
        require_loaded(loader, entry)
        chosen, condition = request(loader.dialect, entry, names, wanted)
        rows = loader.query(
            "SELECT {columns} FROM {table} WHERE {condition} ORDER BY {key} {limit}",
            table=entry,
            columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in chosen),
            condition=condition,
            key=sql.SQL(", ").join(map(sql.Identifier, entry.index_columns)),
            limit=sql.SQL("LIMIT {}").format(sql.Literal(limit)) if limit else sql.SQL(""),
        )
    write_rows(names, rows, form)


def _wanted(table: "Table", conditions: Sequence[str]) -> dict[str, list[Any]]:
    """The values that rows may have, by column; an empty field is NULL everywhere in these tables."""
    from medgen_pipeline.catalog import ColumnType

    kinds = {column.name: column.type for column in table.columns}
    found: dict[str, list[Any]] = {}
    for text in conditions:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.ClickException(f"--where is {text!r}, expected COLUMN=VALUE.")
        name = name.strip()
        words, read = _READ.get(kinds.get(name, ColumnType.TEXT).value, ("", str))
        try:
            found.setdefault(name, []).append(read(value) if value else None)
        except (ValueError, KeyError):
            raise click.ClickException(f"{table.name}.{name} is {words}, and {value!r} is none.") from None
    return found


_READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "integer": ("a number", int),
    "boolean": ("true or false", lambda text: {"true": True, "false": False}[text.lower()]),
    "date": ("a day such as 2026-01-07", date.fromisoformat),
}
"""By type: what a value is, for people, and what reads one."""


def state_of(table: str, loads: "Sequence[LoadRecord]", now: datetime) -> TableState:
    """The state that the loads of one table, newest first, have left it in."""
    succeeded = [load for load in loads if load.status == "succeeded"]
    if not succeeded:
        return TableState(table, note=_note(loads[0]) if loads else "never loaded")
    last = succeeded[0]
    change = next((load for load in succeeded if load.rows_changed), last)
    ended = (last.finished_at or last.started_at).astimezone(UTC)
    return TableState(
        table=table,
        release=last.release,
        loaded=f"{ended:%Y-%m-%d %H:%M}",
        age=_age((now - ended).total_seconds()),
        rows=last.rows_after,
        changed=change.release,
        inserted=change.rows_inserted,
        updated=change.rows_updated,
        deleted=change.rows_deleted,
        note="; ".join(["pinned"] * last.pinned + [_note(loads[0])] * (loads[0] is not last)),
    )


def _note(load: "LoadRecord") -> str:
    """What became of a load that has not succeeded."""
    if load.status == "running":
        return f"release {load.release} is being loaded since {load.started_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"release {load.release} {load.status}: {load.error or 'its process ended'}"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(int(seconds), 0)} s"
