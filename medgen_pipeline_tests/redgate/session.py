"""A client's statements: logged, made to suffer the faults a test ordered, judged, then run.

Both protocols end in the same few methods. In the extended one, messages are collected until Sync, because only then
it is known whether PostgreSQL or the gate itself has to run them.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from medgen_pipeline_tests.gates.faults import Drop, Fault, FaultPlan, LoggedStatement
from medgen_pipeline_tests.gates.lexer import split
from medgen_pipeline_tests.redgate import wire
from medgen_pipeline_tests.redgate.backend import Backend
from medgen_pipeline_tests.redgate.copycommand import CopyCommand
from medgen_pipeline_tests.redgate.copyload import LoadReport, S3Source, load, load_columns
from medgen_pipeline_tests.redgate.errors import GateError, not_emulated, translated
from medgen_pipeline_tests.redgate.login import Client
from medgen_pipeline_tests.redgate.plan import Action, Plan, judge
from medgen_pipeline_tests.redgate.wire import Message

_PROTOCOL_PAGE = "c_redshift-and-postgres-sql"
_ABORTED = "current transaction is aborted, commands ignored until end of transaction block"


class DroppedError(Exception):
    """A fault cuts the connection."""


@lru_cache(maxsize=2048)
def _judged(sql: str) -> tuple[Plan, ...]:
    return tuple(judge(statement) for statement in split(sql))


class _Prepared(NamedTuple):
    sql: str
    plan: Plan | None


class _Portal(NamedTuple):
    prepared: _Prepared | None
    values: tuple[str, ...]


@dataclass
class Session:
    """One client between login and goodbye.

    Attributes:
        number: Number of the session in the log.
        user: Who logged in.
        client: The wire to the client.
        backend: The PostgreSQL session.
        source: The S3 that COPY reads.
        faults: What the test ordered, and the log; shared by all sessions.
        torn_rename: Whether others see ALTER TABLE ... RENAME before COMMIT.
    """

    number: int
    user: str
    client: Client
    backend: Backend
    source: S3Source
    faults: FaultPlan
    torn_rename: bool
    _batch: list[Message] = field(default_factory=list)
    _prepared: dict[str, _Prepared] = field(default_factory=dict)
    _portals: dict[str, _Portal] = field(default_factory=dict)
    _last_copy: tuple[int, int] = (-1, 0)

    def serve(self) -> None:
        """Answer until the client says goodbye; ConnectionError where it goes without a word."""
        while (message := self.client.read()).kind != b"X":
            if message.kind in (b"P", b"B", b"D", b"E", b"C"):
                self._batch.append(message)
                continue
            try:
                if message.kind == b"Q":
                    self._simple(wire.text(message.body)[0])
                elif message.kind == b"S":
                    self._extended(message)
                else:
                    raise not_emulated(f"the protocol message {message.kind!r}", _PROTOCOL_PAGE)
            except GateError as error:
                self.backend.abort()
                self.client.send(wire.error_message(error).encoded)
            if self.client.muted:
                raise DroppedError
            self.client.send(Message(b"Z", self.backend.status).encoded)
            self.client.flush()

    def _simple(self, sql: str) -> None:
        self._arrive(sql, ())
        plans = _judged(sql)
        if len(plans) == 1:
            self._perform(plans[0])
        elif all(self._is_forwarded(plan) for plan in plans):
            self._forward(Message(b"Q", "; ".join(plan.sql for plan in plans).encode() + b"\0").encoded)
        else:
            raise not_emulated("several statements at once where one is more than plain SQL", _PROTOCOL_PAGE)

    def _extended(self, sync: Message) -> None:
        batch, self._batch = self._batch, []
        forwarded = b""
        own = False
        for message in batch:
            plan = self._refers_to(message)
            if plan is None or self._is_forwarded(plan):
                forwarded += self._rewritten(message, plan).encoded
            else:
                own = True
                self._answer(message, plan)
        if own and forwarded:
            raise not_emulated("COPY and plain SQL between two Syncs", _PROTOCOL_PAGE)
        if not own:
            self._forward(forwarded + sync.encoded)

    def _refers_to(self, message: Message) -> Plan | None:
        """The plan that a message of the extended protocol is about; remembers statements, portals and arrivals."""
        if message.kind == b"P":
            name, position = wire.text(message.body)
            sql, _ = wire.text(message.body, position)
            plans = _judged(sql)
            if len(plans) > 1:
                raise GateError("cannot insert multiple commands into a prepared statement", "42601")
            self._prepared[name] = _Prepared(sql, plans[0] if plans else None)
            return self._prepared[name].plan
        if message.kind == b"B":
            name, position = wire.text(message.body)
            statement, _ = wire.text(message.body, position)
            portal = _Portal(self._prepared.get(statement), wire.bound_values(message.body))
        else:
            is_statement = message.kind in (b"D", b"C") and message.body[:1] == b"S"
            name, _ = wire.text(message.body, 0 if message.kind == b"E" else 1)
            portal = (
                _Portal(self._prepared.get(name), ()) if is_statement else self._portals.get(name, _Portal(None, ()))
            )
        if message.kind == b"B":
            self._portals[name] = portal
        if message.kind == b"E" and portal.prepared:
            self._arrive(portal.prepared.sql, portal.values)
        return portal.prepared.plan if portal.prepared else None

    @staticmethod
    def _rewritten(message: Message, plan: Plan | None) -> Message:
        if message.kind != b"P" or plan is None:
            return message
        name, position = wire.text(message.body)
        _, position = wire.text(message.body, position)
        return Message(b"P", f"{name}\0{plan.sql}\0".encode() + message.body[position:])

    def _answer(self, message: Message, plan: Plan) -> None:
        """Answer for a statement that PostgreSQL never sees."""
        if message.kind == b"E":
            self._perform(plan)
        elif message.kind == b"B" and (values := wire.bound_values(message.body)):
            message_text = f"bind message supplies {len(values)} parameters, but prepared statement requires 0"
            raise GateError(message_text, "08P01")
        else:
            no_parameters = Message(b"t", b"\0\0").encoded if message.body[:1] == b"S" else b""
            answers = {b"P": Message(b"1", b""), b"B": Message(b"2", b""), b"C": Message(b"3", b"")}
            known = answers.get(message.kind)
            self.client.send(known.encoded if known else no_parameters + Message(b"n", b"").encoded)

    def _arrive(self, sql: str, values: tuple[str, ...]) -> None:
        """Log the statement and let it suffer what is ordered for it."""
        fault = self.faults.arrived(LoggedStatement(sql, values, self.number))
        if fault:
            self._suffer(fault)
        if "pg_last_copy" in sql.lower() and self.backend.status != b"E":
            query_id, rows = self._last_copy
            self.backend.execute("SELECT set_config('redgate.last_copy_id', %s, false)", (str(query_id),))
            self.backend.execute("SELECT set_config('redgate.last_copy_count', %s, false)", (str(rows),))

    def _suffer(self, fault: Fault) -> None:
        if fault.seconds and self.backend.status != b"E":
            self.backend.execute("SELECT pg_sleep(%s)", (fault.seconds,))
        if fault.drop is Drop.BEFORE:
            raise DroppedError
        if fault.error:
            raise fault.error
        self.client.muted = fault.drop is Drop.AFTER

    def _is_forwarded(self, plan: Plan) -> bool:
        torn = self.torn_rename and self.backend.status == b"T"
        return plan.action is Action.FORWARD or (plan.action is Action.RENAME and not torn)

    def _forward(self, request: bytes) -> None:
        for message in self.backend.relay(request):
            if message.kind == b"E":
                error = translated(wire.error_fields(message.body))
                self.client.send(wire.error_message(error).encoded)
            elif message.kind != b"S":  # PostgreSQL's parameters are not what Redshift reports
                self.client.send(message.encoded)

    def _perform(self, plan: Plan) -> None:
        """Run one statement and answer with its tag."""
        if self._is_forwarded(plan):
            self._forward(Message(b"Q", plan.sql.encode() + b"\0").encoded)
            return
        if self.backend.status == b"E":
            raise GateError(_ABORTED, "25P02")
        inside = self.backend.status == b"T"
        if plan.action is Action.ALONE and inside:
            raise GateError(f"{plan.tag} cannot run inside a transaction block", "25001")
        if plan.copy:
            self._copy(plan.copy)
        elif plan.sql:
            self.backend.execute(plan.sql)
        if inside and plan.action in (Action.COMMIT_AFTER, Action.RENAME):
            self.backend.execute("COMMIT")
            self.backend.execute("BEGIN")
        self.client.send(Message(b"C", plan.tag.encode() + b"\0").encoded)

    def _copy(self, command: CopyCommand) -> None:
        ((query_id,),) = self.backend.execute("SELECT nextval('redgate.query_id')")
        self._last_copy = (query_id, 0)
        self.source.check_roles(command, self.user)
        report = LoadReport()
        try:
            with self.backend.own_queries() as connection:
                load(connection, self.source, command, load_columns(connection, command), report)
        finally:
            if report.errors:
                self.backend.record(query_id, command, report)
        self._last_copy = (query_id, report.rows)
        table = command.table_name
        if report.errors:
            trouble = f"completed, {len(report.errors)} record(s) could not be loaded."
            where = "Check 'sys_load_error_detail' system table for details."
            self._inform(f"Load into table '{table}' {trouble}  {where}")
        self._inform(f"Load into table '{table}' completed, {report.rows} record(s) loaded successfully.")

    def _inform(self, text: str) -> None:
        self.client.send(wire.info_message(text).encoded)
