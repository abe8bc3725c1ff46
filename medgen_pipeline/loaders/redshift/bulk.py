"""COPY from S3 into a staging table, its row count proven, its errors in words."""

from dataclasses import dataclass

import psycopg

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.redshift.aws import AwsUnavailableError
from medgen_pipeline.loaders.redshift.session import RedshiftSession, describe
from medgen_pipeline.loaders.redshift.stage import Uploaded

# Canonical bytes: TAB, LF, backslash before what belongs to a value, nothing for NULL. NULL AS '' makes an empty field
# NULL in every column as EMPTYASNULL does, and takes the default null string \N away, so that the value \N is one.
# Without COMPUPDATE OFF and STATUPDATE OFF, COPY analyses a table that is dropped minutes later.
# https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-conversion.html
_COPY = (
    "COPY {staging} FROM {manifest} IAM_ROLE {role} REGION {region} MANIFEST GZIP DELIMITER {tab} ESCAPE NULL AS ''"
    " MAXERROR 0 COMPUPDATE OFF STATUPDATE OFF"
)
# Redshift's words, and what to do about them.
_ADVICE = {
    "requires full path of an S3 object": "The role may not read the manifest: allow s3:GetObject on the prefix.",
    "not authorized to assume": "Attach the role to the cluster, and let its trust policy name redshift.amazonaws.com.",
    "AccessDenied": "Allow the role s3:GetObject on the prefix and s3:ListBucket on the bucket.",
    "PermanentRedirect": "aws_region is not the bucket's region.",
}
_PASSING = ("Error SlowDown", "Error InternalError", "Error ServiceUnavailable", "Status 500", "Status 503")


@dataclass(frozen=True)
class _LoadError:
    file: str
    line: int
    column: str
    code: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}, column {self.column or '?'}: {self.reason} ({self.code})"


def copy(session: RedshiftSession, table_name: str, staging: sql.Identifier, uploaded: Uploaded) -> int:
    """Load what was uploaded into an empty staging table; returns the rows Redshift says it loaded.

    Outside a transaction: a COPY that is rolled back leaves no id to look up its errors by.
    https://docs.aws.amazon.com/redshift/latest/dg/PG_LAST_COPY_ID.html

    Raises:
        LoaderError: Redshift refuses the rows or the bucket, or has loaded another number of rows. Staging is empty.
        AwsUnavailableError: S3 failed while Redshift was reading.
    """
    if uploaded.manifest is None:
        return 0
    role = session.config.iam_role
    statement = sql.SQL(_COPY).format(
        staging=staging,
        manifest=sql.Literal(uploaded.manifest),
        role=sql.Literal(role) if role else sql.SQL("DEFAULT"),
        region=sql.Literal(session.config.aws_region),
        tab=sql.Literal("\t"),
    )
    try:
        session.execute(statement)
    except psycopg.InternalError as error:
        _explain(session, table_name, error)
        raise
    row = session.work.execute("SELECT pg_last_copy_count()").fetchone()
    held = int(row[0]) if row else 0
    if held != uploaded.rows:
        session.execute(sql.SQL("DELETE FROM {}").format(staging))
        raise LoaderError(f"{table_name}: sent {uploaded.rows:,} rows, Redshift holds {held:,}; nothing was kept.")
    return held


def _explain(session: RedshiftSession, table_name: str, error: psycopg.InternalError) -> None:
    """Raise what a failed COPY was about, where it can be told."""
    words = describe(error)
    if any(phrase in words for phrase in _PASSING):
        raise AwsUnavailableError(f"{table_name}: COPY could not read S3: {words}. Load again later.") from error
    advice = [text for phrase, text in _ADVICE.items() if phrase in words]
    if advice and not session.config.iam_role:
        advice.append("The role is the cluster's default role, because iam_role (MEDGEN_IAM_ROLE) names none.")
    if advice:
        raise LoaderError(f"{table_name}: COPY refused: {words}. {' '.join(advice)}") from error
    if "load_error" in words and (found := _load_errors(session)):
        raise LoaderError(
            f"{table_name}: COPY into the staging table of {table_name} refused {len(found)} or more rows, nothing was "
            f"kept: {'; '.join(map(str, found))}. No line of the file should get this far: please report it."
        ) from error


def _load_errors(session: RedshiftSession) -> list[_LoadError]:
    """The first errors of the last COPY. SYS views exist on Serverless too; STL views do not."""
    row = session.work.execute("SELECT pg_last_copy_id()").fetchone()
    rows = session.work.execute(
        "SELECT TRIM(file_name), line_number, TRIM(column_name), error_code, TRIM(error_message)"
        " FROM sys_load_error_detail WHERE query_id = %s ORDER BY 1, 2 LIMIT 10",
        [row[0] if row else -1],
    ).fetchall()
    return [_LoadError(*values) for values in rows]
