"""The calls of TCLIService that the vendor's connector makes, on a warehouse. A call that is missing is an error."""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import TCLIService
from databricks.sql.thrift_api.TCLIService import ttypes as generated
from thrift.transport.TTransport import TTransportException

from medgen_pipeline_tests.dbxgate.allowlist import SETTINGS
from medgen_pipeline_tests.dbxgate.engine import Running
from medgen_pipeline_tests.dbxgate.errors import DOCUMENTATION, GateError
from medgen_pipeline_tests.dbxgate.execution import Answer, sql_literal
from medgen_pipeline_tests.dbxgate.faults import Fault
from medgen_pipeline_tests.dbxgate.warehouse import Session, Warehouse
from medgen_pipeline_tests.gates.faults import Drop, FaultPlan, LoggedStatement

ttypes: Any = generated  # without types
OK = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
PAGE_ROWS = 100_000  # the connector asks for so many by default
PAGE_BYTES = 10 << 20
_DIRECT_SECONDS = 2.0  # until then an answer to ExecuteStatement brings the result; the vendor says 5
_POLL_SECONDS = 0.2
_TYPES = {
    "bool": "BOOLEAN_TYPE",
    "int8": "TINYINT_TYPE",
    "int16": "SMALLINT_TYPE",
    "int32": "INT_TYPE",
    "int64": "BIGINT_TYPE",
    "float": "FLOAT_TYPE",
    "double": "DOUBLE_TYPE",
    "string": "STRING_TYPE",
    "binary": "BINARY_TYPE",
    "date32[day]": "DATE_TYPE",
    "null": "NULL_TYPE",
}


class CutError(TTransportException):  # type: ignore[misc]  # the one error that Thrift passes on
    """A fault cuts the connection, or answers with an HTTP status."""

    def __init__(self, status: int = 0, seconds: float = 0) -> None:
        super().__init__()
        self.status, self.seconds = status, seconds


@dataclass
class Operation:
    """A statement that runs or has run."""

    running: Running
    result: "Future[Answer]"

    @property
    def error(self) -> GateError | None:
        """Why it failed."""
        error = self.result.exception()
        if error is None or isinstance(error, GateError):
            return error
        logging.getLogger(__name__).error("the gate failed", exc_info=error)
        return GateError("INTERNAL_ERROR", f"dbxgate failed: {error!r}", "XX000")


def _column(index: int, column: pa.Field) -> Any:
    qualifiers = None
    if pa.types.is_decimal(column.type):
        name = "DECIMAL_TYPE"
        parts = {"precision": column.type.precision, "scale": column.type.scale}
        values = {part: ttypes.TTypeQualifierValue(i32Value=value) for part, value in parts.items()}
        qualifiers = ttypes.TTypeQualifiers(values)
    elif pa.types.is_timestamp(column.type):
        name = "TIMESTAMP_TYPE"
    else:
        name = _TYPES.get(str(column.type), "ARRAY_TYPE")
    entry = ttypes.TPrimitiveTypeEntry(type=getattr(ttypes.TTypeId, name), typeQualifiers=qualifiers)
    described = ttypes.TTypeDesc([ttypes.TTypeEntry(primitiveEntry=entry)])
    return ttypes.TColumnDesc(columnName=column.name, position=index + 1, typeDesc=described)


def _metadata(answer: Answer) -> Any:
    schema = ttypes.TTableSchema([_column(index, column) for index, column in enumerate(answer.table.schema)])
    return ttypes.TGetResultSetMetadataResp(
        status=OK,
        schema=schema,
        resultFormat=ttypes.TSparkRowSetType.ARROW_BASED_SET,
        lz4Compressed=False,
        arrowSchema=answer.table.schema.serialize().to_pybytes(),
        isStagingOperation=answer.staging,
    )


def _fetched(answer: Answer, rows: int) -> Any:
    """The next page of a result: no more than so many rows, nor than ten megabytes."""
    rows = min(rows or PAGE_ROWS, PAGE_ROWS)
    if answer.table.num_rows:
        rows = max(1, min(rows, PAGE_BYTES * answer.table.num_rows // (answer.table.nbytes or 1)))
    page = answer.table.slice(answer.at, rows) if answer.table.num_columns else answer.table  # else Arrow invents rows
    start, answer.at = answer.at, answer.at + page.num_rows
    batches = [
        ttypes.TSparkArrowBatch(batch=batch.serialize().to_pybytes(), rowCount=batch.num_rows)
        for batch in page.combine_chunks().to_batches()
    ]
    found = ttypes.TRowSet(startRowOffset=start, rows=[], arrowBatches=batches)
    return ttypes.TFetchResultsResp(status=OK, hasMoreRows=answer.at < answer.table.num_rows, results=found)


def _value(parameter: Any) -> str:
    """A parameter as SQL; a warehouse binds it itself."""
    kind = (parameter.type or "STRING").upper()
    if parameter.value is None or kind == "VOID":
        return "NULL"
    text = sql_literal(parameter.value.stringValue)
    return text if kind == "STRING" else f"CAST({text} AS {kind})"


def _values(parameters: Sequence[Any] | None) -> Mapping[str, str] | Sequence[str]:
    if parameters and parameters[0].name:
        return {parameter.name: _value(parameter) for parameter in parameters}
    return [_value(parameter) for parameter in parameters or ()]


class Service(TCLIService.Iface):
    """Sessions and operations of all connections."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.warehouse: Warehouse
        self._sessions: dict[bytes, Session] = {}
        self._operations: dict[bytes, Operation] = {}
        self._pool = ThreadPoolExecutor(16, "dbxgate")
        self._suffered = threading.local()

    # --- beside the protocol -----------------------------------------------------------------------------------------

    @property
    def open_sessions(self) -> int:
        """How many sessions clients have."""
        return len(self._sessions)

    def end_sessions(self) -> None:
        """As a restart does: what runs is cancelled, transactions are rolled back, nobody's handle is known."""
        operations = list(self._operations.values())
        for operation in operations:
            operation.running.cancel()
        self._sessions.clear()
        self._operations.clear()
        wait_for([operation.result for operation in operations], timeout=10)

    def stop(self) -> None:
        """End all."""
        self.end_sessions()
        self._pool.shutdown(cancel_futures=True)

    def suffer(self, name: str) -> None:
        """Let a call that is no statement suffer the faults that were ordered for its name."""
        if fault := self.plan.struck(name):
            self._strike(fault, Running())

    def cut_after(self) -> bool:
        """Whether the call just answered is one whose answer gets lost; asked once."""
        found = getattr(self._suffered, "after", False)
        self._suffered.after = False
        return found

    def _strike(self, fault: Any, running: Running) -> None:
        if fault.seconds and not getattr(fault, "status", 0):
            running.cancelled.wait(fault.seconds)
        if fault.drop is Drop.BEFORE:
            raise CutError
        if isinstance(fault, Fault) and fault.status:
            raise CutError(fault.status, fault.seconds)
        self._suffered.after = fault.drop is Drop.AFTER

    # --- sessions ----------------------------------------------------------------------------------------------------

    def OpenSession(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        self.suffer("OpenSession")
        asked = req.configuration or {}
        if unknown := [name for name in asked if not name.startswith("spark.") and name.lower() not in SETTINGS]:
            message = f"[CONFIG_NOT_AVAILABLE] Configuration {unknown} is not available. SQLSTATE: 42K0I"
            status = ttypes.TStatus(statusCode=ttypes.TStatusCode.ERROR_STATUS, errorMessage=message, sqlState="42K0I")
            return ttypes.TOpenSessionResp(status=status, serverProtocolVersion=0)
        guid = uuid.uuid4().bytes
        self._sessions[guid] = Session()
        return ttypes.TOpenSessionResp(
            status=OK,
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            sessionHandle=ttypes.TSessionHandle(ttypes.THandleIdentifier(guid, guid)),
            canUseMultipleCatalogs=True,
            initialNamespace=req.initialNamespace,
        )

    def CloseSession(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        self._sessions.pop(req.sessionHandle.sessionId.guid, None)  # an open transaction is rolled back
        return ttypes.TCloseSessionResp(status=OK)

    # --- statements --------------------------------------------------------------------------------------------------

    def ExecuteStatement(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        session = self._sessions.get(req.sessionHandle.sessionId.guid)
        if session is None:
            return ttypes.TExecuteStatementResp(status=_invalid("SessionHandle"))
        values = _values(req.parameters)
        running = Running()
        sent = tuple(values.values() if isinstance(values, Mapping) else values)
        fault = self.plan.arrived(LoggedStatement(req.statement, sent, session.number))
        if fault and not (fault.seconds and not getattr(fault, "status", 0)):
            self._strike(fault, running)
        work = self._work(session, req.statement, values, running, fault)
        guid = uuid.uuid4().bytes
        operation = self._operations[guid] = Operation(running, self._pool.submit(work))
        handle = ttypes.TOperationHandle(
            ttypes.THandleIdentifier(guid, guid), ttypes.TOperationType.EXECUTE_STATEMENT, True
        )
        wait_for([operation.result], timeout=_DIRECT_SECONDS if req.getDirectResults else 0)
        if not req.getDirectResults:
            return ttypes.TExecuteStatementResp(status=OK, operationHandle=handle)
        direct = ttypes.TSparkDirectResults(operationStatus=self._status(operation))
        if operation.result.done() and operation.error is None:
            answer = operation.result.result()
            direct.resultSetMetadata = _metadata(answer)
            direct.resultSet = _fetched(answer, req.getDirectResults.maxRows)
            if not direct.resultSet.hasMoreRows:
                direct.closeOperation = self._close(guid)
        return ttypes.TExecuteStatementResp(status=OK, operationHandle=handle, directResults=direct)

    def _work(
        self,
        session: Session,
        text: str,
        values: Mapping[str, str] | Sequence[str],
        running: Running,
        fault: Any,
    ) -> Callable[[], Answer]:
        warehouse = self.warehouse

        def work() -> Answer:
            if fault and fault.seconds:
                running.cancelled.wait(fault.seconds)
            running.check()
            if fault and fault.error:
                session.aborted = session.unit is not None
                raise fault.error
            return warehouse.execute(session, text, values, running)

        return work

    @staticmethod
    def _status(operation: Operation) -> Any:
        state = ttypes.TOperationState
        if not operation.result.done():
            return ttypes.TGetOperationStatusResp(status=OK, operationState=state.RUNNING_STATE)
        if error := operation.error:
            cancelled = operation.running.cancelled.is_set()
            return ttypes.TGetOperationStatusResp(
                status=OK,
                operationState=state.CANCELED_STATE if cancelled else state.ERROR_STATE,
                sqlState=error.sqlstate,
                errorMessage=str(error),
                displayMessage=str(error),
            )
        changed = operation.result.result().changed
        return ttypes.TGetOperationStatusResp(
            status=OK, operationState=state.FINISHED_STATE, numModifiedRows=changed, hasResultSet=True
        )

    def _operation(self, req: Any) -> Operation | None:
        return self._operations.get(req.operationHandle.operationId.guid)

    def GetOperationStatus(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        self.suffer("GetOperationStatus")
        operation = self._operation(req)
        if operation is None:
            return ttypes.TGetOperationStatusResp(status=_invalid("OperationHandle"))
        wait_for([operation.result], timeout=_POLL_SECONDS)
        return self._status(operation)

    def FetchResults(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        self.suffer("FetchResults")
        operation = self._operation(req)
        if operation is None or operation.error:
            return ttypes.TFetchResultsResp(status=_invalid("OperationHandle"))
        fetched = _fetched(operation.result.result(), req.maxRows)
        if req.includeResultSetMetadata:
            fetched.resultSetMetadata = _metadata(operation.result.result())
        return fetched

    def GetResultSetMetadata(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        operation = self._operation(req)
        if operation is None or operation.error:
            return ttypes.TGetResultSetMetadataResp(status=_invalid("OperationHandle"))
        return _metadata(operation.result.result())

    def CloseOperation(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        return self._close(req.operationHandle.operationId.guid)

    def _close(self, guid: bytes) -> Any:
        if operation := self._operations.pop(guid, None):
            operation.running.cancel()
        return ttypes.TCloseOperationResp(status=OK)

    def CancelOperation(self, req: Any) -> Any:  # noqa: N802  # the protocol's name
        if operation := self._operation(req):
            operation.running.cancel()
        return ttypes.TCancelOperationResp(status=OK)


def _invalid(what: str) -> Any:
    message = f"Invalid {what} ({DOCUMENTATION}dev-tools/python-sql-connector)"
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.INVALID_HANDLE_STATUS, errorMessage=message)
