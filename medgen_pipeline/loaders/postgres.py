"""The PostgreSQL backend: COPY FROM STDIN, change sets by joins inside the server, publication in one transaction.

Verified on PostgreSQL 15 and 18. Needs 14 or later: rows are hashed with ``hash_record_extended``.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, LiteralString, Self

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.rows import class_row

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.framing import RejectedRow
from medgen_pipeline.loaders.base import (
    AbstractNativeLoader,
    ApplyMode,
    ChangeCounts,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    LostConnectionError,
    Strategy,
    TableBusyError,
    new_load_id,
)
from medgen_pipeline.loaders.capabilities import LoaderCapabilities

logger = logging.getLogger(__name__)

_TYPES = {ColumnType.TEXT: sql.SQL("text"), ColumnType.INTEGER: sql.SQL("bigint")}

_AUDIT_DDL = """
CREATE TABLE IF NOT EXISTS {audit}.load_run (
    load_id bigint PRIMARY KEY,
    dagster_run_id text,
    table_name text NOT NULL,
    release text NOT NULL,
    source_sha256 text NOT NULL,
    content_sha256 text NOT NULL,
    table_shape text NOT NULL,
    strategy text,
    mode text,
    status text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    rows_extracted bigint,
    rows_rejected bigint,
    rows_repaired bigint,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    rows_unchanged bigint,
    error text
);
CREATE INDEX IF NOT EXISTS load_run_table_name_idx ON {audit}.load_run (table_name, load_id);
CREATE TABLE IF NOT EXISTS {audit}.rejected_row (
    load_id bigint NOT NULL REFERENCES {audit}.load_run,
    line_number bigint NOT NULL,
    reason text NOT NULL,
    raw bytea NOT NULL,
    PRIMARY KEY (load_id, line_number)
);
"""

# Setting names are PostgreSQL's; see https://www.postgresql.org/docs/current/runtime-config-resource.html.
# jit: compiling costs more than it saves on these plans. search_path: nothing of the user's may shadow a built-in.
_SESSION = (
    "SET search_path = pg_catalog, pg_temp; SET jit = off; SET client_min_messages = warning;"
    " SET timezone = 'UTC'; SET datestyle = 'ISO'"
)

_LOCK_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class PostgresConfig:
    """Settings of the PostgreSQL loader.

    Attributes:
        schema: Schema of the tables; ``_staging``, ``_changes`` and ``_audit`` are appended for the others.
        lock_timeout_seconds: How long to wait for another load of the same table.
        work_mem: Memory per sort or hash of the comparison, as PostgreSQL writes sizes.
        maintenance_work_mem: Memory per index build.
    """

    schema: str = "medgen"
    lock_timeout_seconds: float = 600.0
    work_mem: str = "256MB"
    maintenance_work_mem: str = "512MB"

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Self:
        """Check names and the schema's length.

        Raises:
            ValueError: An unknown setting, or a schema name that leaves no room for the suffixes.
        """
        known = {field.name for field in fields(cls)}
        if strangers := sorted(set(config) - known):
            raise ValueError(f"PostgreSQL loader: unknown settings {strangers}; known: {sorted(known)}.")
        made = cls(**config)
        longest = PostgresNativeLoader.capabilities.max_identifier_bytes - len("_staging")
        if not 0 < len(made.schema.encode()) <= longest:
            raise ValueError(f"PostgreSQL loader: schema {made.schema!r} must have 1 to {longest} bytes.")
        return made


class _Names:
    """Every relation a load of one table touches, as composable identifiers."""

    def __init__(self, schema: str, table: Table) -> None:
        self.schema = schema
        self.table = table
        self.production = sql.Identifier(schema, table.name)
        self.staging = sql.Identifier(f"{schema}_staging", table.name)
        self.change_set = sql.Identifier(f"{schema}_staging", f"{table.name}__changes")
        self.retired = sql.Identifier(f"{schema}_staging", f"{table.name}__retired")
        self.feed = sql.Identifier(f"{schema}_changes", table.name)

    def columns(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Composed:
        """Comma-separated columns, all of the table's unless ``names`` says which."""
        chosen = self.table.column_names if names is None else names
        parts = [sql.Identifier(name) if alias is None else sql.Identifier(alias, name) for name in chosen]
        return sql.SQL(", ").join(parts)

    def key_matches(self, left: str, right: str) -> sql.Composed:
        """``left.k = right.k AND ...`` over the key."""
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name))
            for name in self.table.key
        )

    def same_row(self, left: str, right: str) -> sql.Composed:
        """Whole-row equality that takes NULL for equal to NULL and can be hash-joined."""
        left_row, right_row = self.columns(left), self.columns(right)
        return sql.SQL(
            "hash_record_extended(ROW({l}), 0) = hash_record_extended(ROW({r}), 0)"
            " AND ROW({l}) IS NOT DISTINCT FROM ROW({r})"
        ).format(l=left_row, r=right_row)

    @property
    def index_columns(self) -> tuple[str, ...]:
        """What the table is looked up by: its key, or the first column where only the whole row is one."""
        return self.table.key or self.table.column_names[:1]


class PostgresNativeLoader(AbstractNativeLoader):
    """Loads into PostgreSQL 14 or later.

    Two connections: one does the work and holds the table's advisory lock, so that the lock goes when the work's
    connection goes; the other writes the audit, so that the record survives a rollback.
    """

    capabilities: ClassVar[LoaderCapabilities] = LoaderCapabilities(
        backend="postgres",
        max_identifier_bytes=63,
        max_text_bytes=(1 << 30) - 1,
        transactional_ddl=True,
        enforced_keys=True,
        documentation=(
            "https://www.postgresql.org/docs/current/limits.html",
            "https://www.postgresql.org/docs/current/sql-copy.html",
        ),
    )

    def __init__(self, db_dsn: str, config: PostgresConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self._dsn = db_dsn
        self._config = config
        self._work_connection: psycopg.Connection[Any] | None = None
        self._audit_connection: psycopg.Connection[Any] | None = None
        self._start: LoadStart | None = None
        self._load_id: int | None = None
        self._staged_rows = 0
        self._strategy = Strategy.WAREHOUSE
        self._counts: ChangeCounts | None = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``PostgresConfig``."""
        try:
            psycopg.conninfo.conninfo_to_dict(db_dsn)
        except psycopg.ProgrammingError:
            # libpq's message quotes the DSN, password included, so neither message nor cause is passed on.
            raise ValueError(
                "PostgreSQL loader: the DSN is not a valid connection URI. Expected the form "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE with special characters percent-encoded."
            ) from None
        return cls(db_dsn, PostgresConfig.from_mapping(config))

    # --- connections ---------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Open the work connection and create the schemas and audit tables that are missing."""
        if self._work_connection is not None and not self._work_connection.closed:
            return
        self._work_connection = self._open("load")
        try:
            self._require_utf8()
            self._ensure_schemas()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both connections."""
        for connection in (self._work_connection, self._audit_connection):
            if connection is not None:
                connection.close()
        self._work_connection = self._audit_connection = None

    def cancel(self) -> None:
        """Cancel the running statement and reconnect.

        psycopg cancels by itself only on KeyboardInterrupt; after Dagster's interrupt the server would go on and hold
        its locks, and the connection stays in use (seen with psycopg 3.3.9).
        """
        if self._work_connection is not None and not self._work_connection.closed:
            try:
                self._work_connection.cancel_safe(timeout=10)
            except psycopg.Error as error:
                logger.warning("could not cancel the running statement: %s", error)
            self._work_connection.close()
        self._work_connection = None
        self.connect()

    def _open(self, purpose: str) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                client_encoding="utf8",
                application_name=f"medgen_pipeline {purpose}",
                keepalives_idle=30,
                connect_timeout=30,
                options=f"{self._dsn_options()} -c statement_timeout=0".strip(),
            )
            connection.execute(_SESSION)
        except psycopg.OperationalError as error:
            raise self._connection_error(error) from error
        return connection

    def _dsn_options(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self._dsn).get("options") or "")

    def _where(self) -> str:
        parts = psycopg.conninfo.conninfo_to_dict(self._dsn)
        host = str(parts.get("host", "localhost"))
        return f"{'local socket' if host.startswith('/') else host}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"

    def _connection_error(self, error: psycopg.OperationalError) -> Exception:
        """A wrong password will stay wrong; a server that does not answer may come back.

        libpq gives no SQLSTATE before a session exists, so the server's wording is all there is.
        """
        text = str(error).strip()
        permanent = (
            "authentication failed",
            "does not exist",
            "no pg_hba.conf entry",
            "not permitted",
            "no password",
        )
        if any(phrase in text for phrase in permanent):
            return LoaderError(f"PostgreSQL at {self._where()} refuses the connection: {text}. Check the DSN.")
        return LostConnectionError(f"PostgreSQL at {self._where()} cannot be reached: {text}. Is the server running?")

    @property
    def _work(self) -> psycopg.Connection[Any]:
        if self._work_connection is None:
            raise LoaderError("The loader is not connected: call connect() or use it in a with statement.")
        return self._work_connection

    @property
    def _audit(self) -> psycopg.Connection[Any]:
        if self._audit_connection is None or self._audit_connection.closed:
            self._audit_connection = self._open("audit")
        return self._audit_connection

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into the contract's, naming what was being done."""
        try:
            yield
        except (pg_errors.AdminShutdown, pg_errors.CrashShutdown, pg_errors.LockNotAvailable) as error:
            raise LostConnectionError(f"PostgreSQL at {self._where()}: {doing}: {error}") from error
        except pg_errors.InsufficientPrivilege as error:
            raise LoaderError(
                f"PostgreSQL at {self._where()}: {doing}: {error}. The role needs CREATE on the database, or on "
                f"the schemas {', '.join(self._schemas())} that somebody else has created."
            ) from error
        except psycopg.OperationalError as error:
            raise LostConnectionError(f"PostgreSQL at {self._where()}: {doing}: {error}") from error
        except psycopg.Error as error:
            raise LoaderError(f"PostgreSQL at {self._where()}: {doing}: {error}") from error

    def _require_utf8(self) -> None:
        encoding = self._work.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise LoaderError(
                f"PostgreSQL at {self._where()}: the database's encoding is {encoding}, expected UTF8. "
                "Create the database with ENCODING 'UTF8' TEMPLATE template0."
            )

    def _schemas(self) -> tuple[str, ...]:
        schema = self._config.schema
        return schema, f"{schema}_staging", f"{schema}_changes", f"{schema}_audit"

    def _ensure_schemas(self) -> None:
        """Create what is missing. Looks first, so that a role without CREATE can work in schemas made for it."""
        names = self._schemas()
        audit = sql.Identifier(names[3])
        with self._errors("creating schemas"), self._work.transaction():
            # CREATE ... IF NOT EXISTS of two sessions at once still collides in pg_namespace; the lock prevents it.
            self._work.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"medgen_pipeline:{names[0]}"])
            found = self._work.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [list(names)])
            existing = {row[0] for row in found}
            for name in names:
                if name not in existing:
                    self._work.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
            tables = self._work.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename IN ('load_run', 'rejected_row')",
                [names[3]],
            ).fetchone()
            if tables != (2,):
                self._work.execute(sql.SQL(_AUDIT_DDL).format(audit=audit))

    def _run(self, statement: LiteralString, names: _Names, **parts: sql.Composable) -> psycopg.Cursor[Any]:
        """Execute ``statement`` on the work connection with the names of one table filled in."""
        composed = sql.SQL(statement).format(
            production=names.production,
            staging=names.staging,
            changes=names.change_set,
            retired=names.retired,
            feed=names.feed,
            columns=names.columns(),
            **parts,
        )
        return self._work.execute(composed)

    def _value(self, statement: LiteralString, names: _Names, **parts: sql.Composable) -> Any:
        row = self._run(statement, names, **parts).fetchone()
        return None if row is None else row[0]

    def _names(self, table: Table) -> _Names:
        return _Names(self._config.schema, table)

    # --- audit ---------------------------------------------------------------------------------------------------

    def _audit_run(self, statement: LiteralString, params: Sequence[Any]) -> psycopg.Cursor[Any]:
        composed = sql.SQL(statement).format(audit=sql.Identifier(self._schemas()[3]))
        with self._errors("writing the audit"):
            return self._audit.execute(composed, params)

    def log_run_start(self, start: LoadStart) -> int:
        """See the base class."""
        self._take_table_lock(start.table)
        table_name = start.table.name
        self._audit_run(
            "UPDATE {audit}.load_run SET status = %s, finished_at = clock_timestamp(),"
            " error = 'its process ended without a word; found by the next load'"
            " WHERE table_name = %s AND status = %s",
            [LoadStatus.ABANDONED, table_name, LoadStatus.RUNNING],
        )
        newest = self._audit_run("SELECT max(load_id) FROM {audit}.load_run WHERE table_name = %s", [table_name])
        row = newest.fetchone()
        self._load_id = new_load_id(row[0] if row else None)
        self._start = start
        self._audit_run(
            "INSERT INTO {audit}.load_run (load_id, dagster_run_id, table_name, release, source_sha256,"
            " content_sha256, table_shape, status) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self._load_id,
                start.dagster_run_id,
                table_name,
                start.release,
                start.source_sha256,
                start.content_sha256,
                start.table.shape,
                LoadStatus.RUNNING,
            ],
        )
        return self._load_id

    def log_run_detail(self, load_id: int, detail: LoadDetail) -> None:
        """See the base class."""
        self._audit_run(
            "UPDATE {audit}.load_run SET strategy = %s, rows_extracted = %s, rows_rejected = %s, rows_repaired = %s"
            " WHERE load_id = %s",
            [detail.strategy, detail.rows_extracted, detail.rows_rejected, detail.rows_repaired, load_id],
        )

    def log_rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """See the base class."""
        statement = sql.SQL(
            "COPY {audit}.rejected_row (load_id, line_number, reason, raw) FROM STDIN (FORMAT binary)"
        ).format(audit=sql.Identifier(self._schemas()[3]))
        with (
            self._errors("recording rejected rows"),
            self._audit.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            copy.set_types(["int8", "int8", "text", "bytea"])
            for row in rows:
                copy.write_row((load_id, row.line_number, row.reason, row.raw))

    def log_run_finish(self, load_id: int, status: LoadStatus, error: str | None = None) -> LoadStatus:
        """See the base class."""
        self._audit_run(
            "UPDATE {audit}.load_run SET status = %s, error = %s, finished_at = clock_timestamp()"
            " WHERE load_id = %s AND status = %s",
            [status, error, load_id, LoadStatus.RUNNING],
        )
        row = self._audit_run("SELECT status FROM {audit}.load_run WHERE load_id = %s", [load_id]).fetchone()
        if row is None:
            raise LoaderError(f"load {load_id} is not in the audit: was {self._schemas()[3]}.load_run emptied?")
        return LoadStatus(row[0])

    def table_uri(self, table: Table) -> str:
        """See the base class."""
        return f"postgresql://{self._where()}/{self._config.schema}/{table.name}"

    def last_load(self, table: Table) -> LoadRecord | None:
        """See the base class."""
        names = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(LoadRecord))
        statement = sql.SQL(
            "SELECT {names} FROM {audit}.load_run WHERE table_name = %s AND status = %s ORDER BY load_id DESC LIMIT 1"
        ).format(names=names, audit=sql.Identifier(self._schemas()[3]))
        with (
            self._errors("reading the audit"),
            self._audit.cursor(row_factory=class_row(LoadRecord)) as cursor,
        ):
            return cursor.execute(statement, [table.name, LoadStatus.SUCCEEDED]).fetchone()

    def _take_table_lock(self, table: Table) -> None:
        """Take the session's advisory lock on ``schema.table``, or say who holds it.

        Polls instead of waiting in the server: a waiting statement would hold back VACUUM's horizon.
        """
        lock_name = f"medgen_pipeline:{self._config.schema}.{table.name}"
        deadline = time.monotonic() + self._config.lock_timeout_seconds
        while True:
            with self._errors(f"locking {table.name}"):
                taken = self._work.execute(
                    "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [lock_name]
                ).fetchone()
            if taken == (True,):
                return
            if time.monotonic() >= deadline:
                raise TableBusyError(
                    f"{self._config.schema}.{table.name}: waited {self._config.lock_timeout_seconds:g} s for another "
                    f"load of this table: {self._lock_holder(lock_name)}. Wait for it or end it, then load again."
                )
            time.sleep(_LOCK_POLL_SECONDS)

    def _lock_holder(self, lock_name: str) -> str:
        holder = self._work.execute(
            "SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'this machine'), a.backend_start"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid), (SELECT hashtextextended(%s, 0) AS key) k"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND l.classid = ((k.key >> 32) & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid",
            [lock_name],
        ).fetchone()
        if holder is None:
            return "it has just ended"
        pid, user, host, since = holder
        return f"server process {pid} of {user} from {host}, connected since {since:%Y-%m-%d %H:%M:%S} UTC"

    # --- staging -------------------------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """See the base class."""
        names = self._names(table)
        self._strategy = strategy
        self._staged_rows = 0
        self._counts = None
        with self._errors(f"creating the staging table of {table.name}"), self._work.transaction():
            self._drop_staging(names)
            # A first load's staging table becomes production, so it is written as production is. A later one is
            # scratch: unlogged saves the write-ahead log on servers with wal_level=replica.
            scratch = sql.SQL("UNLOGGED") if self._production_exists(names) else sql.SQL("")
            marker = sql.SQL('_sign "char", ') if strategy is Strategy.SNAPSHOT else sql.SQL("")
            self._run(
                "CREATE {scratch} TABLE {staging} ({marker}{definitions})",
                names,
                scratch=scratch,
                marker=marker,
                definitions=_definitions(table.columns),
            )

    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """See the base class.

        TRUNCATE in the transaction of the COPY makes a repeated call start afresh, lets ``wal_level=minimal`` skip the
        write-ahead log, and allows FREEZE, which spares the first reader from writing hint bits.
        """
        staging = sql.Identifier(f"{self._config.schema}_staging", table_name)
        sent = 0
        with self._errors(f"COPY into the staging table of {table_name}"), self._work.transaction():
            self._work.execute(sql.SQL("TRUNCATE {}").format(staging))
            with self._work.cursor() as cursor:
                statement = sql.SQL("COPY {} FROM STDIN (FORMAT text, NULL '', FREEZE true)").format(staging)
                with cursor.copy(statement) as copy:
                    for chunk in data_iterator:
                        sent += chunk.count(b"\n")
                        copy.write(chunk)
                held = cursor.rowcount
            if held != sent:
                raise LoaderError(f"{table_name}: sent {sent:,} rows, PostgreSQL holds {held:,}; nothing was kept.")
        self._staged_rows = held
        return held

    def cleanup(self, table: Table) -> None:
        """See the base class."""
        with self._errors(f"cleaning up the staging of {table.name}"), self._work.transaction():
            self._drop_staging(self._names(table))

    def _drop_staging(self, names: _Names) -> None:
        self._run("DROP TABLE IF EXISTS {staging}, {changes}, {retired}", names)

    def _production_exists(self, names: _Names) -> bool:
        """Whether production stands in the catalog's shape; raises where something else has its name."""
        found = self._work.execute(
            "SELECT c.relkind IN ('r', 'p'), array_agg(a.attname::text || ' ' || format_type(a.atttypid, -1))"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE n.nspname = %s AND c.relname = %s GROUP BY c.oid, c.relkind",
            [names.schema, names.table.name],
        ).fetchone()
        if found is None:
            return False
        is_table, observed = found
        wanted = [f"{column.name} {_TYPES[column.type].as_string()}" for column in names.table.columns]
        missing = sorted(set(wanted) - set(observed))
        if not is_table or missing:
            raise LoaderError(
                f"{names.schema}.{names.table.name} exists, but not as the catalog has it: missing {missing}, found "
                f"{sorted(observed)}. Rename or drop it, and the next load makes it anew as a first load."
            )
        return True

    # --- change data capture -------------------------------------------------------------------------------------

    def execute_cdc(self, table: Table) -> ChangeCounts:
        """See the base class."""
        names = self._names(table)
        with self._errors(f"comparing {table.name} with production"):
            self._work.execute("SELECT set_config('work_mem', %s, false)", [self._config.work_mem])
            if not self._production_exists(names):
                counts = self._baseline(names)
            else:
                counts = self._compare(names)
        self._counts = counts
        return counts

    def _baseline(self, names: _Names) -> ChangeCounts:
        """There is no production to compare with: build the index, which also tells whether the key is unique."""
        by_key = self._build_index(names)
        return ChangeCounts(self._staged_rows, 0, 0, 0, by_key=by_key, baseline=True)

    def _compare(self, names: _Names) -> ChangeCounts:
        rows_before = int(self._value("SELECT count(*) FROM {production}", names))
        self._run("ANALYZE {staging}", names)
        if names.table.key and (self._key_is_unique_in_production(names) or self._make_key_unique(names)):
            self._write_change_set_by_key(names)
            counts = self._count_changes(names, rows_before, by_key=True)
            if self._keys_were_unique(names, counts, rows_before):
                return counts
        self._write_change_set_by_row(names)
        return self._count_changes(names, rows_before, by_key=False)

    def _key_is_unique_in_production(self, names: _Names) -> bool:
        """Whether a valid unique index over just the key stands; it is the proof, the catalog only the hint."""
        row = self._work.execute(
            "SELECT count(*) FROM pg_index i WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indisvalid"
            " AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = %s AND i.indnkeyatts ="
            " (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attname = ANY(%s)"
            " AND a.attnum = ANY(i.indkey))",
            [names.production.as_string(), len(names.table.key), list(names.table.key)],
        ).fetchone()
        return row is not None and row[0] > 0

    def _make_key_unique(self, names: _Names) -> bool:
        """Give production back its unique index after releases in which the key repeated, if it repeats no more."""
        try:
            self._run("CREATE UNIQUE INDEX {name} ON {production} ({key})", names, **self._key_index(names))
        except (pg_errors.UniqueViolation, pg_errors.DuplicateTable):
            return False
        return True

    def _key_index(self, names: _Names) -> dict[str, sql.Composable]:
        name = sql.Identifier(f"{names.table.name}_key")
        return {"name": name, "key": names.columns(None, names.table.key)}

    def _write_change_set_by_key(self, names: _Names) -> None:
        """One pass of a full join on the key. CREATE TABLE AS, because only that may use a parallel plan."""
        rest = [name for name in names.table.column_names if name not in names.table.key]
        differs = (
            sql.SQL("OR ROW({}) IS DISTINCT FROM ROW({})").format(names.columns("s", rest), names.columns("p", rest))
            if rest
            else sql.SQL("")
        )
        self._run("DROP TABLE IF EXISTS {changes}", names)
        self._run(
            "CREATE UNLOGGED TABLE {changes} AS"
            " SELECT side.* FROM {staging} s FULL JOIN {production} p ON {on}"
            " CROSS JOIN LATERAL (VALUES"
            "  (CASE WHEN s.ctid IS NULL THEN 'delete' ELSE 'update_preimage' END, p.ctid IS NOT NULL, {old}),"
            "  (CASE WHEN p.ctid IS NULL THEN 'insert' ELSE 'update_postimage' END, s.ctid IS NOT NULL, {new})"
            " ) AS side (_change_type, _present, {columns})"
            " WHERE (s.ctid IS NULL OR p.ctid IS NULL {differs}) AND side._present",
            names,
            on=names.key_matches("s", "p"),
            old=names.columns("p"),
            new=names.columns("s"),
            differs=differs,
        )

    def _keys_were_unique(self, names: _Names, counts: ChangeCounts, rows_before: int) -> bool:
        """Whether the staged keys are unique and never NULL, so that the change set by key is right.

        Production's unique index matches each staged row to one production row at most. So the matched staged rows
        (unchanged + updated) equal production's matched rows exactly when no two staged rows share a match; rows that
        matched nothing are looked through for repeated and NULL keys.
        """
        if counts.unchanged + counts.updated + counts.deleted != rows_before:
            return False
        bad = self._value(
            "SELECT EXISTS (SELECT FROM {changes} WHERE _change_type IN ('insert', 'delete')"
            " GROUP BY _change_type, {key} HAVING count(*) > 1 OR num_nulls({key}) > 0)",
            names,
            key=names.columns(None, names.table.key),
        )
        return not bad

    def _write_change_set_by_row(self, names: _Names) -> None:
        """Compare whole rows as multisets: GROUP BY takes NULLs for equal, and counts keep duplicates apart."""
        self._run("DROP TABLE IF EXISTS {changes}", names)
        self._run(
            "CREATE UNLOGGED TABLE {changes} AS"
            " SELECT CASE WHEN copies > 0 THEN 'insert' ELSE 'delete' END AS _change_type, true AS _present, {columns}"
            " FROM (SELECT {columns}, sum(one) AS copies FROM"
            "  (SELECT {columns}, 1 AS one FROM {staging} UNION ALL SELECT {columns}, -1 FROM {production}) AS both_sides"
            "  GROUP BY {columns} HAVING sum(one) <> 0) AS difference, generate_series(1, abs(copies))",
            names,
        )

    def _count_changes(self, names: _Names, rows_before: int, *, by_key: bool) -> ChangeCounts:
        rows = self._run("SELECT _change_type, count(*) FROM {changes} GROUP BY _change_type", names).fetchall()
        count = dict(rows)
        inserted, deleted = count.get("insert", 0), count.get("delete", 0)
        updated = count.get("update_postimage", 0)
        unchanged = self._staged_rows - inserted - updated if by_key else rows_before - deleted
        return ChangeCounts(inserted, updated, deleted, unchanged, by_key=by_key)

    # --- publication ---------------------------------------------------------------------------------------------

    def can_swap(self, table: Table) -> bool:
        """See the base class."""
        return not self._production_exists(self._names(table))

    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        """See the base class."""
        names = self._names(table)
        counts = self._counts
        if counts is None or self._start is None:
            raise LoaderError(f"{table.name}: nothing to apply: log_run_start and execute_cdc come first.")
        with self._errors(f"publishing {table.name}"):
            with self._work.transaction():
                if mode is ApplyMode.SWAP:
                    self._swap(names)
                elif mode is ApplyMode.DELTA:
                    self._apply_delta(names, counts)
                self._record_success(counts, mode)
            if counts.changed:
                self._run("ANALYZE {production}", names)
        return counts

    def _swap(self, names: _Names) -> None:
        production_schema = sql.Identifier(names.schema)
        self._run("ALTER TABLE {staging} SET SCHEMA {schema}", names, schema=production_schema)
        self._describe(names)

    def _describe(self, names: _Names) -> None:
        """Put the catalog's descriptions where psql, BI tools and data catalogs find them."""
        self._run("COMMENT ON TABLE {production} IS {text}", names, text=sql.Literal(names.table.description))
        for column in names.table.columns:
            self._run(
                "COMMENT ON COLUMN {production}.{column} IS {text}",
                names,
                column=sql.Identifier(column.name),
                text=sql.Literal(column.description),
            )

    def _apply_delta(self, names: _Names, counts: ChangeCounts) -> None:
        """Delete, update and insert in place; a count that differs from the change set's means somebody else wrote."""
        # Lets readers through and keeps other writers out until the commit.
        self._run("LOCK TABLE {production} IN SHARE ROW EXCLUSIVE MODE", names)
        if names.table.key and not counts.by_key:
            self._give_up_unique_key(names)
        self._check_applied(names, "deleted", self._delete(names, counts), counts.deleted)
        if counts.updated:
            rest = [name for name in names.table.column_names if name not in names.table.key]
            assignments = sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("c", name)) for name in rest
            )
            updated = self._run(
                "UPDATE {production} AS p SET {assignments} FROM {changes} c"
                " WHERE c._change_type = 'update_postimage' AND {on}",
                names,
                assignments=assignments,
                on=names.key_matches("p", "c"),
            ).rowcount
            self._check_applied(names, "updated", updated, counts.updated)
        self._run(
            "INSERT INTO {production} ({columns}) SELECT {columns} FROM {changes} WHERE _change_type = 'insert'",
            names,
        )
        self._write_feed(names)

    def _give_up_unique_key(self, names: _Names) -> None:
        """An unproven key that repeats must not cost rows: its index stays, but no longer as a unique one."""
        self._run(
            "CREATE INDEX IF NOT EXISTS {name} ON {production} ({key})",
            names,
            name=sql.Identifier(f"{names.table.name}_idx"),
            key=names.columns(None, names.table.key),
        )
        self._run("DROP INDEX IF EXISTS {index}", names, index=sql.Identifier(names.schema, f"{names.table.name}_key"))

    def _delete(self, names: _Names, counts: ChangeCounts) -> int:
        if not counts.deleted:
            return 0
        if counts.by_key:
            return self._run(
                "DELETE FROM {production} AS p USING {changes} c WHERE c._change_type = 'delete' AND {on}",
                names,
                on=names.key_matches("p", "c"),
            ).rowcount
        # As many copies as the change set has, of however many equal rows production holds.
        return self._run(
            "DELETE FROM {production} WHERE ctid = ANY (ARRAY("
            " SELECT tid FROM (SELECT p.ctid AS tid, d.copies,"
            "   row_number() OVER (PARTITION BY {production_columns}) AS nth"
            "  FROM {production} p JOIN (SELECT {columns}, count(*) AS copies FROM {changes}"
            "    WHERE _change_type = 'delete' GROUP BY {columns}) d ON {same}) AS numbered"
            " WHERE nth <= copies))",
            names,
            production_columns=names.columns("p"),
            same=names.same_row("p", "d"),
        ).rowcount

    def _check_applied(self, names: _Names, verb: str, observed: int, expected: int) -> None:
        if observed != expected:
            raise LoaderError(
                f"{names.schema}.{names.table.name}: {verb} {observed:,} rows, the change set has {expected:,}: somebody "
                "else wrote to the table during the load. Production is as it was; load again."
            )

    def _write_feed(self, names: _Names) -> None:
        """Append the change set to the table's feed, which follows Delta Lake's change data feed."""
        self._run(
            "CREATE TABLE IF NOT EXISTS {feed} (_change_type text NOT NULL, _release text NOT NULL,"
            " _commit_timestamp timestamptz NOT NULL, _load_id bigint NOT NULL, {definitions})",
            names,
            definitions=_definitions(names.table.columns),
        )
        for column in names.table.columns:
            self._run(
                "ALTER TABLE {feed} ADD COLUMN IF NOT EXISTS {definition}",
                names,
                definition=_definitions([column]),
            )
        assert self._start is not None  # noqa: S101  # apply_changes has checked it
        self._run(
            "INSERT INTO {feed} (_change_type, _release, _commit_timestamp, _load_id, {columns})"
            " SELECT _change_type, {release}, now(), {load_id}, {columns} FROM {changes}",
            names,
            release=sql.Literal(self._start.release),
            load_id=sql.Literal(self._load_id),
        )

    def _record_success(self, counts: ChangeCounts, mode: ApplyMode) -> None:
        """In the transaction of the data: the audit says succeeded exactly when production changed."""
        statement = sql.SQL(
            "UPDATE {audit}.load_run SET status = %s, mode = %s, finished_at = clock_timestamp(),"
            " rows_inserted = %s, rows_updated = %s, rows_deleted = %s, rows_unchanged = %s"
            " WHERE load_id = %s AND status = %s"
        ).format(audit=sql.Identifier(self._schemas()[3]))
        cursor = self._work.execute(
            statement,
            [
                LoadStatus.SUCCEEDED,
                mode,
                counts.inserted,
                counts.updated,
                counts.deleted,
                counts.unchanged,
                self._load_id,
                LoadStatus.RUNNING,
            ],
        )
        if cursor.rowcount != 1:
            raise LoaderError(f"load {self._load_id} is no longer running in the audit: another load has taken over.")

    def _build_index(self, names: _Names) -> bool:
        """Index the staged table; returns whether the catalog's key is unique in it.

        The index is unique exactly where the key is: that is what the next load's comparison relies on.
        """
        self._work.execute("SELECT set_config('maintenance_work_mem', %s, false)", [self._config.maintenance_work_mem])
        columns = names.columns(None, names.index_columns)
        if names.table.key:
            try:
                self._run("CREATE UNIQUE INDEX {name} ON {staging} ({key})", names, **self._key_index(names))
            except pg_errors.UniqueViolation as error:
                logger.warning("%s: the key repeats, so rows are compared whole: %s", names.table.name, error)
            else:
                return True
        self._run(
            "CREATE INDEX {name} ON {staging} ({key})",
            names,
            name=sql.Identifier(f"{names.table.name}_idx"),
            key=columns,
        )
        return False


def _definitions(columns: Sequence[Column]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), _TYPES[column.type]) for column in columns
    )
