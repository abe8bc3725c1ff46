"""One load of a table at a time, without a lock that goes with its session: leases, which their holder renews.

A lease is the one row of a table of its own, for warehouses that find conflicts per table. It keeps loads apart. That a
load whose lease ran out publishes nothing does not depend on it: a publication writes the load's row in ``load_run``
where it is still running, and the next load of the table marks that row abandoned before it does anything else. Of the
two transactions one is refused.
"""

import logging
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.dialect import PROPERTIES
from medgen_pipeline.loaders.databricks.failures import StatementError
from medgen_pipeline.loaders.databricks.session import Answer, DatabricksSession
from medgen_pipeline.loaders.records import TableBusyError
from medgen_pipeline.loaders.sql.names import MARK, schemas

logger = logging.getLogger(__name__)

_RENEWALS = 4  # in the time of a lease
_SLOWEST_LOOK = 2.0
TURN = "load_run"
"""The lease of the one that publishes. Where conflicts are found per table, loads of several tables would meet in
``load_run`` all the time; with it they wait for each other."""
_TABLE: LiteralString = (
    "CREATE TABLE IF NOT EXISTS {lock} (lock_name {name_type} NOT NULL, holder {name_type},"
    " expires_at {timestamp_type}) COMMENT {mark} {properties}"
)


class Leases:
    """The leases of one loader."""

    def __init__(self, session: DatabricksSession) -> None:
        """Nothing is opened."""
        self._session = session
        self._line = session.new_line("lock")
        self._seconds = session.config.lease_seconds
        self._holder = ""
        self._table = ""
        self._publishes = False
        self._good_until = 0.0
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None

    def take(self, table: Table) -> None:
        """Take the lease of ``table``, giving up what was held before, or say who holds it.

        Raises:
            TableBusyError: It was not free within ``lock_timeout_seconds``.
        """
        self.release()
        self._holder = f"{socket.gethostname()} process {os.getpid()} {uuid.uuid4().hex[:12]}"
        seconds = self._session.config.lock_timeout_seconds
        with self._session.errors(f"locking {table.name}"):
            began = self._wait(table.name, seconds)
            if began is None:
                raise TableBusyError(
                    f"{self._session.schema}.{table.name}: waited {seconds:g} s for another load of this table: "
                    f"{self._said(table.name)}. Wait for it or end it, then load again."
                )
        self._table, self._good_until = table.name, began + self._seconds
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, args=(self._ended, self._holder), daemon=True)
        self._renewing.start()

    def release(self) -> None:
        """Free what is held; harmless when nothing is."""
        self._ended.set()
        if self._renewing is not None:
            self._renewing.join()
            self._renewing = None
        if self._table:
            table_name, self._table = self._table, ""
            try:
                self._free(table_name)
            except StatementError as error:
                logger.warning("the lock stays until its lease runs out: %s", error)
        self._line.close()

    def require(self) -> None:
        """Raise TableBusyError where a lease that was taken may have run out: another load may be at work."""
        if self._table and time.monotonic() > self._good_until:
            raise TableBusyError(
                f"{self._session.schema}.{self._table}: the lock could not be renewed in {self._seconds:g} s, so that "
                "another load of this table may have it. Load again."
            )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Publish while no other load does, if one can be waited for."""
        if self._wait(TURN, self._seconds) is None:
            logger.warning("publishing beside %s", self._said(TURN))
        self._publishes = True
        try:
            yield
        finally:
            self._publishes = False
            try:
                self._free(TURN)
            except StatementError as error:
                logger.warning("others wait until this load's lease runs out: %s", error)

    def wait_for_turn(self) -> None:
        """Let the one that publishes finish, if one does and can be waited for."""
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline and not self._is_free(TURN):
            time.sleep(self._look_every)

    @property
    def _look_every(self) -> float:
        return min(self._seconds / 20, _SLOWEST_LOOK)

    def _wait(self, name: str, seconds: float) -> float | None:
        """When this loader began to take a lease that it has now; None where it could not in time."""
        deadline = time.monotonic() + seconds
        while True:
            began = time.monotonic()
            if self._take(name):
                return began
            while not self._is_free(name):
                if time.monotonic() >= deadline:
                    return None
                time.sleep(max(0.0, min(self._look_every, deadline - time.monotonic())))

    def _is_free(self, name: str) -> bool:
        held = self._run(
            "SELECT 1 FROM {lock} WHERE holder <> {holder} AND expires_at > {now}", name, holder=self._holder
        )
        return held.fetchone() is None

    def _take(self, name: str) -> bool:
        """Take a lease if it is free; whether it is this loader's now.

        One statement takes a lease that exists, for an UPDATE may ask about the whole table. All statements of it are
        harmless when they are executed twice. Two loaders that make the row at once make two, and whoever does not get
        both gives up the one. https://docs.databricks.com/aws/en/sql/language-manual/delta-update
        """
        taken = self._run(
            "UPDATE {lock} SET holder = {holder}, expires_at = {expires} WHERE"
            " (SELECT COUNT(*) FROM {lock} WHERE holder <> {holder} AND expires_at > {now}) = 0",
            name,
            holder=self._holder,
            expires=self._expires,
        )
        if taken.rowcount > 0:
            return True
        made = self._run(
            "MERGE INTO {lock} AS held USING (SELECT {its_name} AS lock_name) AS given"
            " ON held.lock_name = given.lock_name"
            " WHEN NOT MATCHED THEN INSERT (lock_name, holder, expires_at) VALUES ({its_name}, {holder}, {expires})",
            name,
            its_name=name,
            holder=self._holder,
            expires=self._expires,
        )
        if made.rowcount < 1:
            return False
        holders = self._run("SELECT holder FROM {lock}", name).fetchall()
        if all(holder == self._holder for (holder,) in holders):
            return True
        if any(holder == self._holder for (holder,) in holders):
            self._free(name)
        return False

    def _renew(self, ended: threading.Event, holder: str) -> None:
        """Renew what this holder has, until it ends or has nothing any more."""
        while not ended.wait(self._seconds / _RENEWALS):
            began = time.monotonic()
            for name in (self._table, *([TURN] if self._publishes else [])):
                try:
                    held = self._run(
                        "UPDATE {lock} SET expires_at = {expires} WHERE holder = {holder}",
                        name,
                        expires=self._expires,
                        holder=holder,
                    )
                except StatementError as error:
                    logger.warning("the lease was not renewed: %s", error)
                    continue
                if name == self._table:
                    self._good_until = began + self._seconds if held.rowcount else 0.0

    def _free(self, name: str) -> None:
        """Free a lease, where this loader has it."""
        self._run("UPDATE {lock} SET holder = NULL WHERE holder = {holder}", name, holder=self._holder)

    def _said(self, name: str) -> str:
        row = self._run("SELECT holder, expires_at FROM {lock}", name).fetchone()
        if row is None or row[0] is None:
            return "it has just ended"
        return f"{row[0]}, whose lease runs until {row[1]:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def _expires(self) -> sql.Statement:
        now = self._session.dialect.words["now"]
        return sql.SQL("{} + INTERVAL {} SECONDS").format(now, sql.Literal(math.ceil(self._seconds)))

    def _run(self, statement: LiteralString, name: str, **values: Any) -> Answer:
        """Execute a statement about one lease, whose table is made where it does not exist."""
        parts = {
            **self._session.dialect.words,
            "lock": sql.Identifier(schemas(self._session.schema).audit, f"lock_{name}"),
            "mark": sql.Literal(MARK),
            "properties": sql.SQL(PROPERTIES),
            **values,
        }
        text, parameters = self._session.dialect.render(sql.SQL(statement).format(**parts))
        with self._one_at_a_time:
            try:
                return self._line.execute(text, parameters)
            except StatementError as error:
                if not error.is_done:  # there is no such table
                    raise
                self._line.execute(self._session.dialect.text(sql.SQL(_TABLE).format(**parts)))
                return self._line.execute(text, parameters)
