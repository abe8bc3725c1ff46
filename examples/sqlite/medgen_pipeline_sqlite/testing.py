"""A folder of SQLite's files as the conformance suite sees it. Needs the extra ``testing``."""

import sqlite3
from pathlib import Path

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.testing import Backend, Row
from medgen_pipeline_sqlite.session import attach, connect, typed_row

_PATIENCE_SECONDS = 0.2
_ATTEMPTS = 100


class SqliteFolder(Backend):
    """A folder without a file in it."""

    no_connections = "SQLite runs in the loader's process: there is no connection to lose"

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.dsn.partition("://")[2])

    def query(self, statement: str) -> list[Row]:
        """See the base class; again where a writer waits for this reader, and this reader for the writer."""
        for attempt in range(_ATTEMPTS):
            try:
                connection = connect(self.path, self.schema, _PATIENCE_SECONDS)
                connection.row_factory = typed_row
                try:
                    return connection.execute(statement).fetchall()
                finally:
                    connection.close()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def schemas(self) -> set[str]:
        """See the base class."""
        return {file.stem for file in self.path.glob("*.db")}

    def create_schema(self, name: str) -> None:
        """See the base class."""
        connection = sqlite3.connect(":memory:")
        attach(connection, self.path, name, create=True)
        connection.close()

    def relations(self, part: str = "") -> set[str]:
        """See the base class."""
        if f"{self.schema}{part}" not in self.schemas():
            return set()
        master = sql.Identifier(f"{self.schema}{part}", "sqlite_master")
        found = self.run("SELECT name FROM {master} WHERE type IN ('table', 'view')", master=master)
        return {str(name) for (name,) in found}

    def left_outside(self) -> list[str]:
        """See the base class."""
        return [file.name for file in self.path.glob("*-journal")]
