"""How each kind of statement is carried out: by the engine on Delta tables, or on the catalog and the volumes.

A change of rows is written into a directory that nobody sees yet: INSERT and MERGE beside what the table holds, UPDATE
and DELETE into a new one, as a query that says what each row becomes. So the counts are the gate's, not the engine's. A
MERGE that only deletes or only inserts is such a DELETE or INSERT.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline_tests.dbxgate.allowlist import INFORMATION_SCHEMA, SHORT_TYPES, TABLE_PROPERTIES
from medgen_pipeline_tests.dbxgate.catalog import CATALOG, Catalog, Column, Name, Table, Unit, quoted
from medgen_pipeline_tests.dbxgate.engine import Engine, Running
from medgen_pipeline_tests.dbxgate.errors import GateError, not_emulated
from medgen_pipeline_tests.dbxgate.reading import Place, Reading, lex, literal, read, relation, type_of
from medgen_pipeline_tests.dbxgate.volumes import Volumes
from medgen_pipeline_tests.gates.lexer import Cursor, Token, split_list

_FEW = 1000
_VARYING = re.compile(r"\b(CURRENT_\w+|NOW|RAND|RANDOM|UUID)\b")
_MANAGED_PAGE = "tables/features/catalog-commits"
_WORDS_OF_ARROW = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "binary": "binary",
    "date32[day]": "date",
}


@dataclass
class Answer:
    """What a statement gives.

    Attributes:
        table: Its rows.
        changed: How many rows it has changed.
        staging: Whether the client shall now move a file.
        at: The row from which the client has yet to fetch.
    """

    table: pa.Table = field(default_factory=lambda: pa.table({}))
    changed: int = 0
    staging: bool = False
    at: int = 0


def _counted(changed: int, **more: int) -> Answer:
    numbers = {"num_affected_rows": changed, **more}
    return Answer(pa.table({name: pa.array([number], pa.int64()) for name, number in numbers.items()}), changed)


def _texts(**columns: Sequence[str | None]) -> Answer:
    return Answer(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))


def sql_literal(value: object) -> str:
    """A text or NULL as the engine reads it."""
    if value is None:
        return "NULL"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass
class Execution:
    """One statement at work.

    Attributes:
        catalog: What is committed.
        engine: Runs queries.
        volumes: Files.
        unit: What the statement sees and writes.
        reading: The statement.
        values: Its parameters, written as SQL: by position, or by name.
        running: So that it can be cancelled.
        copying: The rows of the file that COPY INTO is at.
    """

    catalog: Catalog
    engine: Engine
    volumes: Volumes
    unit: Unit
    reading: Reading
    values: Mapping[str, str] | Sequence[str] = ()
    running: Running = field(default_factory=Running)
    copying: int = 0

    def run(self) -> Answer:
        """Carry it out; what it writes is in the unit, and not committed."""
        method: Callable[[], Answer] = getattr(self, f"_{self.reading.kind}")
        return method()

    # --- text for the engine -----------------------------------------------------------------------------------------

    def _text(self, start: int = 0, end: int | None = None) -> str:
        """A part of the statement in which tables are the engine's, and parameters are values."""
        end = len(self.reading.text) if end is None else end
        inside = (place for place in self.reading.places if start <= place.start < end)
        pieces = [(place.start, place.end, self._relation(place)) for place in inside]
        position = 0
        for token in self.reading.tokens:
            if token.kind == "parameter":
                if start <= token.start < end:
                    pieces.append((token.start, token.end, self._value(token, position)))
                position += 1
        written, at = [], start
        for first, last, piece in sorted(pieces):
            written += [self.reading.text[at:first], piece]
            at = last
        return "".join([*written, self.reading.text[at:end]])

    def _value(self, token: Token, position: int) -> str:
        try:
            return self.values[position] if isinstance(self.values, Sequence) else self.values[token.text[1:]]
        except (IndexError, KeyError):
            raise GateError("UNBOUND_SQL_PARAMETER", f"Found the unbound parameter: {token.text}.", "42P02") from None

    def _relation(self, place: Place) -> str:
        schema, name = place.name
        if schema == "information_schema":
            found = self._information_schema(name)
        else:
            table = self._existing(place.name)
            found = f"({self._view(table.view)})" if table.view else self.engine.table(table.path)
        return found if place.aliased else f"{found} AS {quoted(name)}"

    def _view(self, query: str) -> str:
        return replace(self, reading=read(lex(query)))._text()

    def _existing(self, name: Name) -> Table:
        table = self.unit.current(name)
        if table is None:
            raise GateError(
                "TABLE_OR_VIEW_NOT_FOUND", f"The table or view `{name[0]}`.`{name[1]}` cannot be found.", "42P01"
            )
        return table

    def _target(self, name: Name) -> Table:
        """A table that may be written."""
        table = self._existing(name)
        if table.view:
            raise GateError("EXPECT_TABLE_NOT_VIEW", f"`{name[1]}` is a view.", "42809")
        return table

    def _names_a_table(self, cursor: Cursor) -> tuple[Name, str]:
        """Step over a target and its alias; the name, and how columns of it are qualified."""
        name = relation(cursor)
        cursor.accept("AS")
        alias = name[1]
        if cursor.next.identifier and cursor.next.keyword not in ("WHERE", "SET", "USING"):
            alias = cursor.take().identifier
        return name, quoted(alias)

    # --- queries and changes -----------------------------------------------------------------------------------------

    def _ask(self, query: str) -> pa.Table:
        """The rows of a query made from the statement."""
        varying = _VARYING.search(self.reading.lexed.shape)
        return (self.engine.query if varying else self.engine.repeated)(query, self.running)

    def _select(self) -> Answer:
        if {place.name[0] for place in self.reading.places} == {"information_schema"}:
            return Answer(self.engine.constant(self._text()))
        return Answer(self._ask(self._text()))

    def _insert(self) -> Answer:
        cursor = self.reading.cursor
        cursor.accept("INSERT", "INTO")
        cursor.accept("TABLE")
        name = relation(cursor)
        table = self._target(name)
        given = [column.name.lower() for column in table.columns]
        if cursor.next.text == "(" and Cursor(cursor.rest[1:]).next.keyword not in ("SELECT", "WITH", "VALUES"):
            given = cursor.names()
        source = self._text(cursor.next.start)
        number = self._append(name, table, given, source)
        return _counted(number, num_inserted_rows=number)

    def _append(self, name: Name, table: Table, given: Sequence[str], source: str) -> int:
        """Add rows to a table, with NULL in the columns that are not given."""
        self._known(given, table.columns)
        values = ", ".join(
            quoted(column.name)
            if column.name.lower() in given
            else f"CAST(NULL AS {column.type}) AS {quoted(column.name)}"
            for column in table.columns
        )
        named = ", ".join(map(quoted, given))
        return self._write(name, table, f"SELECT {values} FROM ({source}) AS given({named})")

    def _rewritten(self, name: Name, table: Table, select: str, **changes: Any) -> int:
        """Let a table hold the rows of a query instead of its own; how many they are."""
        return self._write(name, self._emptied(name, table, **changes), select)

    def _write(self, name: Name, table: Table, select: str, rows: pa.Table | None = None) -> int:
        """Add the rows of a query to a table, in a directory that nobody has seen; how many they were.

        A few rows of the table's own types are a file and an entry in Delta's log, in a fifth of the time of an INSERT.
        Many, and what is to be cast or refused, are the engine's.
        """
        if rows is None and self._rows_read() <= _FEW:
            rows = self._ask(select)
        if (
            rows is not None
            and len(table.columns) == rows.num_columns
            and all(
                column.stored == _word_of(values.type) and (column.nullable or not values.null_count)
                for column, values in zip(table.columns, rows.columns, strict=True)
            )
        ):
            number = int(rows.num_rows)
            rows = rows.rename_columns([column.name for column in table.columns])
            path = self.engine.appended(table.path, rows, self.catalog.new_path(name))
        else:
            path = self.catalog.copy(name, table).path
            number = self.engine.number(f"INSERT INTO {self.engine.target(path)} {select}", self.running)
        self.unit.put(name, replace(table, path=path, rows=table.rows + number))
        return number

    def _rows_read(self) -> int:
        """Of tables; those of a view are not counted."""
        tables = (self.unit.current(place.name) for place in self.reading.places)
        return self.copying or sum(table.rows for table in tables if table)

    def _emptied(self, name: Name, table: Table, **changes: Any) -> Table:
        """A table without its rows."""
        new = replace(table, rows=0, **changes)
        new = replace(new, path=self.engine.empty(new.definitions))
        self.unit.put(name, new)
        return new

    def _condition(self) -> str:
        where = self.reading.find("WHERE")
        return f"COALESCE({self._text(where.end)}, FALSE)" if where else "TRUE"

    def _delete(self) -> Answer:
        cursor = self.reading.cursor
        cursor.accept("DELETE", "FROM")
        name, alias = self._names_a_table(cursor)
        table = self._target(name)
        if self.reading.find("WHERE") is None:
            self._emptied(name, table)
            return _counted(table.rows)
        old = f"{self.engine.table(table.path)} AS {alias}"
        kept = self._rewritten(name, table, f"SELECT {alias}.* FROM {old} WHERE NOT {self._condition()}")
        return _counted(table.rows - kept)

    def _update(self) -> Answer:
        cursor = self.reading.cursor
        cursor.accept("UPDATE")
        name, alias = self._names_a_table(cursor)
        table = self._target(name)
        cursor.accept("SET")
        where = self.reading.find("WHERE", cursor.next.start)
        assigned = [token for token in cursor.rest if where is None or token.start < where.start]
        return _counted(self._updated(name, table, alias, assigned, self._condition(), ""))

    def _updated(
        self, name: Name, table: Table, alias: str, assigned: Sequence[Token], condition: str, joined: str
    ) -> int:
        """Assign to columns where a condition holds, and write the table anew where it holds anywhere; how often."""
        new = {}
        for part in split_list(assigned):
            equals = next(token for token in part if token.text == "=")
            column = part[part.index(equals) - 1].identifier
            new[column] = self._text(equals.end, part[-1].end)
        self._known(list(new), table.columns)
        of = f"FROM {self.engine.table(table.path)} AS {alias} {joined}"
        if not joined:  # once, for it may be a query of its own
            of, condition = f"FROM (SELECT {alias}.*, {condition} AS _met {of}) AS {alias}", f"{alias}._met"
        values = [
            f"CASE WHEN {condition} THEN CAST({new[column.name.lower()]} AS {column.type}) ELSE {held} END"
            if column.name.lower() in new
            else held
            for column in table.columns
            for held in [f"{alias}.{quoted(column.name)}"]
        ]
        rows = self._ask(f"SELECT {', '.join(values)}, {condition} {of}")
        if rows.num_rows > table.rows:
            raise GateError(
                "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", "several source rows match one.", "21506"
            )
        changed = rows.columns[-1].to_pylist().count(True) if rows.num_rows else 0
        if changed:
            select = f"SELECT {', '.join(values)} {of}"
            self._write(name, self._emptied(name, table), select, rows.select(range(rows.num_columns - 1)))
        return changed

    def _merge(self) -> Answer:
        cursor = self.reading.cursor
        cursor.accept("MERGE", "INTO")
        name, alias = self._names_a_table(cursor)
        using = cursor.next
        table = self._target(name)
        on = self.reading.find("ON", using.start)
        when = self.reading.find("WHEN", on.start if on else 0)
        if on is None or when is None:
            raise GateError("PARSE_SYNTAX_ERROR", "MERGE without ON or WHEN.", "42601")
        source, condition = self._text(using.end, on.start), self._text(on.end, when.start)
        branches = Cursor([token for token in self.reading.tokens if token.start >= when.start])
        old = f"{self.engine.table(table.path)} AS {alias}"
        if [token.keyword for token in branches.rest] == ["WHEN", "MATCHED", "THEN", "DELETE"]:
            gone = f"EXISTS (SELECT 1 FROM {source} WHERE {condition})"
            deleted = table.rows - self._rewritten(name, table, f"SELECT {alias}.* FROM {old} WHERE NOT {gone}")
            return _counted(deleted, num_updated_rows=0, num_deleted_rows=deleted, num_inserted_rows=0)
        only_if, assigned = self._assignments(branches)
        if branches.accept("WHEN", "NOT", "MATCHED", "THEN", "INSERT") and branches.next.text == "(":
            given = branches.names()
            if branches.accept("VALUES") and (values := branches.group()) and branches.next.kind == "end":
                updated = 0
                if assigned:
                    given_row = self.reading.tokens[self.reading.tokens.index(on) - 1].text
                    joined = f"LEFT JOIN (SELECT *, TRUE AS _met FROM {source}) AS {given_row} ON {condition}{only_if}"
                    met = f"{given_row}._met IS NOT NULL"
                    updated = self._updated(name, table, alias, assigned, met, joined)
                to = self.unit.written[name] if updated else table
                new = self._text(values[0].start, values[-1].end)
                missing = f"NOT EXISTS (SELECT 1 FROM {old} WHERE {condition})"
                inserted = self._append(name, to, given, f"SELECT {new} FROM {source} WHERE {missing}")
                counts = {"num_updated_rows": updated, "num_deleted_rows": 0, "num_inserted_rows": inserted}
                return _counted(updated + inserted, **counts)
        return self._merged(name, self.catalog.copy(name, table), f"AS {alias} {self._text(using.start)}")

    def _assignments(self, branches: Cursor) -> tuple[str, Sequence[Token]]:
        """Step over WHEN MATCHED [AND …] THEN UPDATE SET …, where there is such: what it asks more, and assigns."""
        begin, only_if = branches.position, ""
        if branches.accept("WHEN", "MATCHED") and "CASE" not in {token.keyword for token in branches.rest}:
            first = branches.next
            while branches.next.keyword != "THEN":
                branches.take()
            if first.keyword == "AND":
                only_if = f" AND ({self._text(first.end, branches.next.start)})"
            if branches.accept("THEN", "UPDATE", "SET") and branches.next.text != "*":
                start = branches.position
                while branches.next.kind != "end" and branches.next.keyword != "WHEN":
                    branches.take()
                return only_if, branches.tokens[start : branches.position]
        branches.position = begin
        return "", ()

    def _merged(self, name: Name, copied: Table, rest: str) -> Answer:
        """The engine's MERGE, which takes three times as long; counted by Delta's log, as its own counts are wrong."""
        before = set((copied.path / "_delta_log").glob("*.json"))
        self.engine.merge(copied.path, rest, self.running)
        found: dict[str, int] = {}
        for entry in set((copied.path / "_delta_log").glob("*.json")) - before:
            for line in entry.read_text().splitlines():
                found |= json.loads(line).get("commitInfo", {}).get("operationMetrics", {})
        inserted, updated, deleted = (
            int(found.get(f"numTargetRows{what}", 0)) for what in ("Inserted", "Updated", "Deleted")
        )
        changed = inserted + updated + deleted
        if changed:
            self.unit.put(name, replace(copied, rows=copied.rows + inserted - deleted))
        return _counted(changed, num_updated_rows=updated, num_deleted_rows=deleted, num_inserted_rows=inserted)

    def _truncate(self) -> Answer:
        cursor = self.reading.cursor
        cursor.accept("TRUNCATE", "TABLE")
        name = relation(cursor)
        table = self._target(name)
        self._emptied(name, table)
        return Answer()

    # --- COPY INTO ---------------------------------------------------------------------------------------------------

    def _copy(self) -> Answer:
        page = "delta-copy-into"
        cursor = self.reading.cursor
        cursor.accept("COPY", "INTO")
        name = relation(cursor)
        cursor.accept("FROM")
        folder = self.volumes.path(literal(cursor.take()))
        names: list[str] = []
        force = False
        while cursor.next.kind != "end":
            word = cursor.take().keyword
            cursor.accept("=")
            if word == "FILEFORMAT":
                if (found := cursor.take().keyword) != "PARQUET":
                    raise not_emulated(f"FILEFORMAT = {found}", page)
            elif word == "FILES":
                names = [literal(token) for token in cursor.group() if token.kind == "string"]
                if len(names) > 1000:
                    raise GateError("COPY_INTO_SYNTAX_ERROR", "FILES: up to 1000 files can be specified.", "42601")
            elif word == "COPY_OPTIONS":
                options = ["".join(token.text for token in part).casefold() for part in split_list(cursor.group())]
                if unknown := set(options) - {"'force'='true'", "'force'='false'", "'mergeschema'='false'"}:
                    raise not_emulated(f"COPY_OPTIONS {sorted(unknown)}", page)
                force = "'force'='true'" in options
            else:
                raise not_emulated(f"COPY INTO … {word}", page)
        files = [folder / file for file in names] or (
            [folder] if folder.is_file() else sorted(folder.rglob("*.parquet"))
        )
        if missing := [file.name for file in files if not file.is_file()]:
            raise GateError("COPY_INTO_SOURCE_FILE_NOT_FOUND", f"The source files {missing[:3]} do not exist.", "42K03")
        table = self._target(name)
        fresh = [file for file in files if force or str(file) not in table.loaded]
        if not fresh:
            return _counted(0, num_inserted_rows=0, num_skipped_corrupt_files=0)
        total = 0
        for file in fresh:
            given = self._columns_of(file, table)
            self.copying = pq.read_metadata(file).num_rows
            source = f"SELECT {', '.join(map(quoted, given))} FROM parquet.`{file}`"
            total += self._append(name, table, [column.lower() for column in given], source)
            table = self.unit.written[name]
        self.unit.put(name, replace(table, loaded=table.loaded | set(map(str, fresh))))
        return _counted(total, num_inserted_rows=total, num_skipped_corrupt_files=0)

    @staticmethod
    def _columns_of(file: Path, table: Table) -> list[str]:
        """The columns of a Parquet file, each of which the table has with this very type."""
        known = {column.name.lower(): column.type for column in table.columns}
        given = {
            column.name: _WORDS_OF_ARROW.get(str(column.type), str(column.type)) for column in pq.read_schema(file)
        }
        if extra := [column for column in given if column.lower() not in known]:
            raise GateError("COPY_INTO_SCHEMA_MISMATCH_WITH_TARGET_TABLE", f"the table has no columns {extra}", "42KDG")
        if wrong := [column for column, kind in given.items() if known[column.lower()] != kind]:
            raise not_emulated(
                f"what COPY INTO casts: the file's type of {wrong} is not the table's", "delta-copy-into"
            )
        return list(given)

    # --- definitions -------------------------------------------------------------------------------------------------

    def _create_schema(self) -> Answer:
        cursor, guarded, comment = self._created("CREATE"), self._guarded, None
        cursor.take()
        cursor.accept("IF", "NOT", "EXISTS")
        name = cursor.relation()[-1].identifier
        if cursor.accept("COMMENT"):
            comment = literal(cursor.take())
        if name in self.catalog.schemas and not guarded:
            raise GateError(
                "SCHEMA_ALREADY_EXISTS", f"Cannot create schema `{name}` because it already exists.", "42P06"
            )
        self.catalog.schemas.setdefault(name, comment)
        return Answer()

    def _created(self, *keywords: str) -> Cursor:
        cursor = self.reading.cursor
        cursor.accept(*keywords)
        return cursor

    @property
    def _guarded(self) -> bool:
        return re.search(r"\bIF (NOT )?EXISTS\b", self.reading.lexed.shape) is not None

    def _drop_schema(self) -> Answer:
        cursor = self._created("DROP")
        cursor.take()
        cursor.accept("IF", "EXISTS")
        name = cursor.relation()[-1].identifier
        if name not in self.catalog.schemas:
            if self._guarded:
                return Answer()
            raise GateError("SCHEMA_NOT_FOUND", f"The schema `{name}` cannot be found.", "42704")
        inside = [table for table in self.unit.seen if table[0] == name]
        volumes = [volume for volume in self.catalog.volumes if volume[0] == name]
        if (inside or volumes) and not cursor.accept("CASCADE"):
            raise GateError("SCHEMA_NOT_EMPTY", f"Cannot drop schema `{name}` because it contains objects.", "2BP01")
        for table in inside:
            self.unit.drop(table)
        for volume in volumes:
            self.volumes.drop(volume)
        del self.catalog.schemas[name]
        return Answer()

    def _create_volume(self) -> Answer:
        cursor = self._created("CREATE", "VOLUME")
        cursor.accept("IF", "NOT", "EXISTS")
        name = relation(cursor)
        self._in_schema(name)
        if name in self.catalog.volumes and not self._guarded:
            raise GateError("VOLUME_ALREADY_EXISTS", f"Cannot create volume `{name[1]}`: it already exists.", "42000")
        self.catalog.volumes.setdefault(name, literal(cursor.take()) if cursor.accept("COMMENT") else None)
        return Answer()

    def _drop_volume(self) -> Answer:
        cursor = self._created("DROP", "VOLUME")
        cursor.accept("IF", "EXISTS")
        name = relation(cursor)
        if name not in self.catalog.volumes and not self._guarded:
            raise GateError("VOLUME_NOT_FOUND", f"Volume `{name[1]}` does not exist.", "42704")
        self.volumes.drop(name)
        return Answer()

    def _in_schema(self, name: Name) -> None:
        if name[0] not in self.catalog.schemas:
            raise GateError("SCHEMA_NOT_FOUND", f"The schema `{name[0]}` cannot be found.", "42704")

    def _create_table(self) -> Answer:
        cursor = self._created("CREATE", "TABLE")
        cursor.accept("IF", "NOT", "EXISTS")
        name = relation(cursor)
        self._in_schema(name)
        if self.unit.current(name) is not None:
            if self._guarded:
                return Answer()
            raise GateError("TABLE_OR_VIEW_ALREADY_EXISTS", f"Cannot create `{name[1]}`: it already exists.", "42P07")
        columns = [column_of(part) for part in split_list(cursor.group())] if cursor.next.text == "(" else []
        properties: dict[str, str] = {}
        comment = None
        while cursor.next.kind != "end" and not cursor.accept("AS"):
            if cursor.accept("USING"):
                if cursor.take().keyword != "DELTA":
                    raise not_emulated("another format than Delta", self.reading.page)
            elif cursor.accept("COMMENT"):
                comment = literal(cursor.take())
            elif cursor.accept("CLUSTER", "BY"):  # how files are laid out, which no statement sees
                self._known(cursor.names(), columns)
            elif cursor.accept("TBLPROPERTIES"):
                properties = properties_of(cursor.group())
            else:
                raise not_emulated(f"CREATE TABLE … {cursor.next.text}", f"sql/language-manual/{self.reading.page}")
        table = Table(self.catalog.root, tuple(columns), properties=properties, comment=comment)
        if cursor.next.kind == "end":
            if not columns:
                raise not_emulated("a table without columns", f"sql/language-manual/{self.reading.page}")
            self._emptied(name, table)
            return Answer()
        query = self._text(cursor.next.start)
        described = self.engine.query(f"SELECT * FROM ({query}) AS made LIMIT 0", self.running).schema
        self._rewritten(name, table, query, columns=tuple(columns_of(described)))
        return Answer()

    @staticmethod
    def _known(names: Sequence[str], columns: Sequence[Column]) -> None:
        """Raise if there are no such columns."""
        if unknown := set(names) - {column.name.lower() for column in columns}:
            message = f"A column with name {sorted(unknown)} cannot be resolved."
            raise GateError("UNRESOLVED_COLUMN.WITH_SUGGESTION", message, "42703")

    def _create_view(self) -> Answer:
        cursor = self._created("CREATE")
        replaced = cursor.accept("OR", "REPLACE")
        cursor.take()
        guarded = cursor.accept("IF", "NOT", "EXISTS")
        name = relation(cursor)
        self._in_schema(name)
        if self.unit.current(name) is not None and not replaced:
            if guarded:
                return Answer()
            raise GateError("TABLE_OR_VIEW_ALREADY_EXISTS", f"Cannot create `{name[1]}`: it already exists.", "42P07")
        comment = literal(cursor.take()) if cursor.accept("COMMENT") else None
        if not cursor.accept("AS"):
            raise not_emulated(f"CREATE VIEW … {cursor.next.text}", f"sql/language-manual/{self.reading.page}")
        view = self.reading.text[cursor.next.start :]
        described = self.engine.query(f"SELECT * FROM ({self._text(cursor.next.start)}) AS v LIMIT 0").schema
        self.unit.put(name, Table(self.catalog.root, tuple(columns_of(described)), view=view, comment=comment))
        return Answer()

    def _drop_table(self) -> Answer:
        return self._drop("TABLE")

    def _drop_view(self) -> Answer:
        return self._drop("VIEW")

    def _drop(self, what: str) -> Answer:
        cursor = self._created("DROP", what)
        cursor.accept("IF", "EXISTS")
        name = relation(cursor)
        table = self.unit.current(name)
        if table is None:
            if not self._guarded:
                self._existing(name)
        elif bool(table.view) is not (what == "VIEW"):
            raise GateError("WRONG_COMMAND_FOR_OBJECT_TYPE", f"DROP {what} of `{name[1]}`, which is none.", "42809")
        else:
            self.unit.drop(name)
        return Answer()

    def _alter(self) -> Answer:
        page = "sql/language-manual/sql-ref-syntax-ddl-alter-table"
        cursor = self._created("ALTER", "TABLE")
        name = relation(cursor)
        table = self._target(name)
        if cursor.accept("ADD", "COLUMN") or cursor.accept("ADD", "COLUMNS"):
            parts = split_list(cursor.group() if cursor.next.text == "(" else cursor.rest)
            return self._add_columns(name, table, [column_of(part) for part in parts])
        if cursor.accept("DROP", "COLUMN") or cursor.accept("DROP", "COLUMNS"):
            gone = cursor.names() if cursor.next.text == "(" else [cursor.take().identifier]
            self._known(gone, table.columns)
            kept = [column for column in table.columns if column.name.lower() not in gone]
            return self._remapped(name, table, kept, kept)
        if cursor.accept("RENAME", "COLUMN"):
            old = cursor.take().identifier
            cursor.accept("TO")
            new = cursor.take().text.strip("`")
            self._known([old], table.columns)
            renamed = [replace(column, name=new) if column.name.lower() == old else column for column in table.columns]
            return self._remapped(name, table, table.columns, renamed)
        if cursor.accept("RENAME", "TO"):
            to = relation(cursor)
            if self.unit.current(to) is not None:
                raise GateError("TABLE_OR_VIEW_ALREADY_EXISTS", f"`{to[1]}` already exists.", "42P07")
            self._in_schema(to)
            self.unit.drop(name)
            self.unit.put(to, table)
            return Answer()
        if cursor.accept("SET", "TBLPROPERTIES"):
            self.unit.put(name, replace(table, properties={**table.properties, **properties_of(cursor.group())}))
            return Answer()
        raise not_emulated(f"ALTER TABLE … {cursor.next.text}", page)

    def _add_columns(self, name: Name, table: Table, added: Sequence[Column]) -> Answer:
        known = {column.name.lower() for column in table.columns}
        if twice := [column.name for column in added if column.name.lower() in known]:
            raise GateError("FIELD_ALREADY_EXISTS", f"Cannot add column {twice}: it already exists.", "42710")
        if any(not column.nullable for column in added):
            raise GateError("DELTA_ADD_COLUMN_NOT_NULL", "a column that is added must be nullable", "0A000")
        nulls = "".join(f", CAST(NULL AS {column.type}) AS {quoted(column.name)}" for column in added)
        select = f"SELECT *{nulls} FROM {self.engine.table(table.path)}"
        self._rewritten(name, table, select, columns=(*table.columns, *added))
        return Answer()

    def _remapped(self, name: Name, table: Table, old: Sequence[Column], new: Sequence[Column]) -> Answer:
        if table.properties.get("delta.columnMapping.mode") != "name":
            raise GateError(
                "DELTA_UNSUPPORTED_DROP_COLUMN" if len(old) < len(table.columns) else "DELTA_UNSUPPORTED_RENAME_COLUMN",
                "needs delta.columnMapping.mode = 'name' (https://docs.databricks.com/aws/en/delta/column-mapping)",
                "0AKDC",
            )
        values = ", ".join(f"{quoted(a.name)} AS {quoted(b.name)}" for a, b in zip(old, new, strict=True))
        self._rewritten(name, table, f"SELECT {values} FROM {self.engine.table(table.path)}", columns=tuple(new))
        return Answer()

    def _comment(self) -> Answer:
        cursor = self._created("COMMENT", "ON")
        what = cursor.take().keyword
        parts = [token.identifier for token in cursor.relation() if token.identifier]
        cursor.accept("IS")
        text = None if cursor.accept("NULL") else literal(cursor.take())
        if what == "SCHEMA":
            self.catalog.schemas[parts[-1]] = text
        elif what == "VOLUME":
            self.catalog.volumes[(parts[-2], parts[-1])] = text
        elif what == "TABLE":
            name = (parts[-2], parts[-1])
            self.unit.put(name, replace(self._existing(name), comment=text))
        elif what == "COLUMN":
            name = (parts[-3], parts[-2])
            table = self._existing(name)
            self._known(parts[-1:], table.columns)
            columns = (
                replace(column, comment=text) if column.name.lower() == parts[-1] else column
                for column in table.columns
            )
            self.unit.put(name, replace(table, columns=tuple(columns)))
        else:
            raise not_emulated(f"COMMENT ON {what}", f"sql/language-manual/{self.reading.page}")
        return Answer()

    # --- what is there -----------------------------------------------------------------------------------------------

    def _describe(self) -> Answer:
        cursor = self.reading.cursor
        cursor.take()
        cursor.accept("TABLE")
        if cursor.next.keyword in ("EXTENDED", "HISTORY", "DETAIL", "SCHEMA", "VOLUME", "QUERY"):
            raise not_emulated(f"DESCRIBE {cursor.next.keyword}", f"sql/language-manual/{self.reading.page}")
        columns = self._existing(relation(cursor)).columns
        return _texts(
            col_name=[column.name for column in columns],
            data_type=[column.type for column in columns],
            comment=[column.comment for column in columns],
        )

    def _show_columns(self) -> Answer:
        cursor = self._created("SHOW", "COLUMNS")
        cursor.take()
        return _texts(col_name=[column.name for column in self._existing(relation(cursor)).columns])

    def _schema_of(self, cursor: Cursor) -> str:
        if cursor.next.keyword not in ("IN", "FROM"):
            raise not_emulated("a current schema: name it", f"sql/language-manual/{self.reading.page}")
        cursor.take()
        name = cursor.relation()[-1].identifier
        if cursor.next.kind != "end":
            raise not_emulated(f"SHOW … {cursor.next.text}", f"sql/language-manual/{self.reading.page}")
        self._in_schema((name, ""))
        return name

    def _show_tables(self) -> Answer:
        schema = self._schema_of(self._created("SHOW", "TABLES"))
        names = sorted(name for of, name in self.unit.seen if of == schema)
        return _texts(database=[schema] * len(names), tableName=names, isTemporary=["false"] * len(names))

    def _show_schemas(self) -> Answer:
        return _texts(databaseName=sorted(self.catalog.schemas))

    def _show_volumes(self) -> Answer:
        schema = self._schema_of(self._created("SHOW", "VOLUMES"))
        names = sorted(name for of, name in self.catalog.volumes if of == schema)
        return _texts(database=[schema] * len(names), volume_name=names)

    def _information_schema(self, view: str) -> str:
        """A view of the catalog as a query."""
        names = INFORMATION_SCHEMA.get(view)
        if names is None:
            raise not_emulated(f"information_schema.{view}", "sql/language-manual/sql-ref-information-schema")
        seen: dict[Name, Table] = {**self.unit.seen, **self.unit.written}
        tables = [(name, table) for name, table in sorted(seen.items()) if name not in self.unit.dropped]
        rows: list[tuple[object, ...]]
        if view == "schemata":
            rows = [(CATALOG, name, "owner", comment) for name, comment in self.catalog.schemas.items()]
            rows.append((CATALOG, "information_schema", "System user", None))
        elif view == "tables":
            rows = [
                (CATALOG, *name, "VIEW" if table.view else "MANAGED", "owner", table.comment) for name, table in tables
            ]
        elif view == "views":
            rows = [(CATALOG, *name, table.view) for name, table in tables if table.view]
        elif view == "volumes":
            rows = [(CATALOG, *name, "MANAGED", comment) for name, comment in self.catalog.volumes.items()]
        else:
            rows = [
                (
                    CATALOG,
                    *name,
                    column.name,
                    position,
                    "YES" if column.nullable else "NO",
                    column.type,
                    short,
                    column.comment,
                )
                for name, table in tables
                for position, column in enumerate(table.columns, 1)
                for short in [SHORT_TYPES.get(column.type, column.type.split("(")[0].upper())]
            ]
        return self.engine.constants(names, rows)

    # --- volumes -----------------------------------------------------------------------------------------------------

    def _put(self) -> Answer:
        cursor = self._created("PUT")
        local = literal(cursor.take())
        cursor.accept("INTO")
        volume = literal(cursor.take())
        path = self.volumes.path(volume)
        if path.exists() and not cursor.accept("OVERWRITE"):
            raise GateError("FILE_ALREADY_EXISTS", f"{volume} exists already: PUT … OVERWRITE.", "42K03")
        return self._staging("PUT", self.volumes.sign("PUT", path), local)

    def _remove(self) -> Answer:
        volume = literal(self._created("REMOVE").take())
        return self._staging("REMOVE", self.volumes.sign("DELETE", self.volumes.path(volume)), None)

    @staticmethod
    def _staging(operation: str, url: str, local: str | None) -> Answer:
        answer = _texts(operation=[operation], presignedUrl=[url], headers=["{}"], localFile=[local])
        return replace(answer, staging=True)

    def _list(self) -> Answer:
        volume = literal(self._created("LIST").take())
        folder = self.volumes.path(volume)
        found = sorted(folder.iterdir())[:1001] if folder.is_dir() else []  # the page's default limit
        paths = [f"{volume.rstrip('/')}/{file.name}{'/' if file.is_dir() else ''}" for file in found]
        answer = _texts(path=paths, name=[f"{file.name}{'/' if file.is_dir() else ''}" for file in found])
        sizes = pa.array([0 if file.is_dir() else file.stat().st_size for file in found], pa.int64())
        times = pa.array([int(file.stat().st_mtime * 1000) for file in found], pa.int64())
        answer.table = answer.table.append_column("size", sizes).append_column("modification_time", times)
        return answer


def column_of(tokens: Sequence[Token]) -> Column:
    """A column of CREATE TABLE or ALTER TABLE ADD COLUMN."""
    cursor = Cursor(tokens)
    name = cursor.take()
    kind = [cursor.take()]
    if cursor.next.text == "(":
        kind += [cursor.next, *cursor.group(), Token("symbol", ")", -1, -1)]
    nullable, comment = True, None
    while cursor.next.kind != "end":
        if cursor.accept("NOT", "NULL"):
            nullable = False
        elif cursor.accept("COMMENT"):
            comment = literal(cursor.take())
        else:
            page = "sql/language-manual/sql-ref-syntax-ddl-create-table-using"
            raise not_emulated(f"a column with {cursor.next.text}", page)
    return Column(name.text.strip("`").replace("``", "`"), type_of(kind), nullable, comment)


def columns_of(schema: pa.Schema) -> list[Column]:
    """The columns of a query's result."""
    return [Column(column.name, _word_of(column.type)) for column in schema]


def _word_of(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return str(kind).replace("decimal128", "decimal").replace(" ", "")
    return "timestamp" if pa.types.is_timestamp(kind) else _WORDS_OF_ARROW.get(str(kind), str(kind))


def properties_of(tokens: Sequence[Token]) -> dict[str, str]:
    """TBLPROPERTIES, each of which is on the list."""
    found = {}
    for part in split_list(tokens):
        name, value = (
            "".join(token.text.strip("'") for token in side)
            for side in (part[: _equals(part)], part[_equals(part) + 1 :])
        )
        if value not in TABLE_PROPERTIES.get(name, ()):
            raise not_emulated(f"the table property '{name}' = '{value}'", _MANAGED_PAGE)
        found[name] = value
    return found


def _equals(part: Sequence[Token]) -> int:
    return next(index for index, token in enumerate(part) if token.text == "=")
