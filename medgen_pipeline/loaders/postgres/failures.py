"""What PostgreSQL's errors mean for a load, where it says more than the codes that servers share; data only."""

from medgen_pipeline.loaders.records import LoaderError, WarehouseBusyError
from medgen_pipeline.loaders.sql import failures as shared
from medgen_pipeline.loaders.sql.failures import TOO_MANY_CONNECTIONS, Failure

FAILURES: tuple[Failure, ...] = (
    Failure(
        "25006",
        LoaderError,
        "The server is a standby, or default_transaction_read_only is on for the role or the database. Name the "
        "primary in the DSN; of several hosts, target_session_attrs=read-write takes it.",
    ),
    Failure(
        "53400",
        LoaderError,
        "Raise that limit for the role of the DSN: `ALTER ROLE … SET temp_file_limit = -1`, as a superuser.",
        says="temp_file_limit",
    ),
    Failure(
        "54000",
        LoaderError,
        "Drop that index, or make it on a hash or a prefix of the column: `md5(column)`, `left(column, 500)`.",
        says="index",
    ),
    Failure(
        "55000",
        LoaderError,
        "A publication covers the table, which has no primary key for subscribers to find its rows by: run "
        "`ALTER TABLE … REPLICA IDENTITY FULL` on it, or take the table out of the publication.",
        says="REPLICA IDENTITY",
    ),
    *shared.FAILURES,
)

REFUSALS: tuple[Failure, ...] = (
    Failure("", WarehouseBusyError, TOO_MANY_CONNECTIONS, "no more connections allowed"),  # all four are pgbouncer's
    Failure(
        "", LoaderError, "Take it out of the DSN, or into ignore_startup_parameters.", "unsupported startup parameter"
    ),
    Failure("", LoaderError, "Check the DSN.", "no such database"),
    Failure("", LoaderError, "Check the DSN.", "no such user"),
    *shared.REFUSALS,
)
