"""Runs a COPY: columns from PostgreSQL's catalog, objects from S3, converted blocks into PostgreSQL's own COPY.

Nothing is held but a block, so a table of any size loads. What a record means is ``records``'s business.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import psycopg
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types
from isal import igzip_lib
from urllib3.exceptions import HTTPError

from medgen_pipeline_tests.gates.lexer import quoted_literal, quoted_name
from medgen_pipeline_tests.redgate.copycommand import CopyCommand
from medgen_pipeline_tests.redgate.errors import LoadFailedError, RefusedError, not_emulated
from medgen_pipeline_tests.redgate.records import SUPPORTED_TYPES, LoadColumn, LoadError, RecordConverter

BLOCK_BYTES = 1 << 20
# isal 1.9.1 declares the class as if it were an instance.
_GzipError: type[Exception] = igzip_lib.error  # type: ignore[assignment]
_COLUMNS = """
    SELECT a.attname, split_part(format_type(a.atttypid, NULL), '(', 1), a.atttypmod - 4, NOT a.attnotnull,
           a.attidentity::text
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = CAST(%s AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""


class Part(NamedTuple):
    """An object to load."""

    bucket: str
    key: str
    mandatory: bool

    @property
    def uri(self) -> str:
        """The object's address, as load errors show it."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass
class LoadReport:
    """What a COPY did."""

    rows: int = 0
    errors: list[tuple[Part, LoadError]] = field(default_factory=list)


@dataclass(frozen=True)
class S3Source:
    """The S3 that the cluster reads.

    Attributes:
        client: A boto3 client; boto3 has no types.
        region: The cluster's region.
        roles: Roles attached to the cluster.
    """

    client: Any
    region: str
    roles: frozenset[str]

    def check_roles(self, command: CopyCommand, user: str) -> None:
        """Redshift assumes the roles of the chain one after the other."""
        for role in command.roles:
            if role not in self.roles:
                who = f"arn:aws:redshift:{self.region}:123456789012:dbuser:redgate/{user}"
                raise LoadFailedError(f"User {who} is not authorized to assume IAM Role {role}")

    def parts(self, command: CopyCommand) -> list[Part]:
        """The objects to load, from the manifest or by prefix."""
        bucket, _, key = command.uri.removeprefix("s3://").partition("/")
        try:
            located = self.client.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
        except (ClientError, BotoCoreError) as error:
            raise _s3_failure(error, command.uri) from error
        if located != (command.region or self.region):
            message = "The bucket you are attempting to access must be addressed using the specified endpoint."
            raise LoadFailedError(f"S3ServiceException:{message},Status 301,Error PermanentRedirect")
        return self._manifest(bucket, key) if command.manifest else self._prefix(bucket, key)

    def _manifest(self, bucket: str, key: str) -> list[Part]:
        try:
            text = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if _status(error) == 403:  # misleading, but what Redshift says (PostHog issue 61603)
                raise LoadFailedError("COPY with MANIFEST parameter requires full path of an S3 object.") from error
            raise _s3_failure(error, f"s3://{bucket}/{key}", "Problem reading manifest file - ") from error
        except BotoCoreError as error:
            raise _s3_failure(error, f"s3://{bucket}/{key}", "Problem reading manifest file - ") from error
        try:
            entries = json.loads(text)["entries"]
            return [_entry(str(entry["url"]), entry.get("mandatory") is True) for entry in entries]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoadFailedError("Problem reading manifest file - the file is not a valid manifest") from error

    def _prefix(self, bucket: str, prefix: str) -> list[Part]:
        try:
            pages = list(self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
        except (ClientError, BotoCoreError) as error:
            raise _s3_failure(error, f"s3://{bucket}/{prefix}") from error
        found = [Part(bucket, item["Key"], True) for page in pages for item in page.get("Contents", [])]
        if not found:
            raise LoadFailedError(f"The specified S3 prefix '{prefix}' does not exist")
        return found

    def read(self, part: Part, *, compressed: bool) -> Iterator[bytes]:
        """The bytes of one object, block by block; nothing where an object that is not mandatory is missing."""
        try:
            body = self.client.get_object(Bucket=part.bucket, Key=part.key)["Body"]
            blocks = iter(lambda: body.read(BLOCK_BYTES), b"")
            yield from _inflate(blocks) if compressed else blocks
        except ClientError as error:
            if part.mandatory or _status(error) != 404:
                raise _s3_failure(error, part.uri) from error
        except (BotoCoreError, HTTPError) as error:
            raise _s3_failure(error, part.uri) from error
        except (_GzipError, EOFError) as error:
            raise LoadFailedError(f"Failed to decompress {part.uri}: {error}", 1216) from error


def _inflate(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Member after member, in blocks of a bounded size: a text of one letter is a thousandth of itself compressed."""
    member = _new_member()
    for block in blocks:
        rest = block
        while rest or not (member.needs_input or member.eof):
            if member.eof:
                member = _new_member()
            yield member.decompress(rest, BLOCK_BYTES)
            rest = member.unused_data if member.eof else b""
    if not member.eof:
        raise EOFError("unexpected end of file")


def _new_member() -> igzip_lib.IgzipDecompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _entry(uri: str, mandatory: bool) -> Part:
    bucket, slash, key = uri.removeprefix("s3://").partition("/")
    if not (uri.startswith("s3://") and slash and key):
        raise ValueError(f"{uri} is no S3 object")
    return Part(bucket, key, mandatory)


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _s3_failure(error: Exception, uri: str, context: str = "") -> LoadFailedError:
    if not isinstance(error, ClientError):
        return LoadFailedError(f"{context}S3ServiceException:{error},Status 0,Error RequestFailed,Key {uri}")
    code, text = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    return LoadFailedError(
        f"{context}S3ServiceException:{text},Status {_status(error)},Error {code},Key {uri},CanRetry 1"
    )


def load_columns(connection: psycopg.Connection, command: CopyCommand) -> tuple[LoadColumn, ...]:
    """The columns that the command fills, in the order of the data."""
    rows = connection.execute(_COLUMNS, (command.table,)).fetchall()
    # Redshift fills an identity column by itself; naming it needs EXPLICIT_IDS.
    known = {row[0]: _load_column(*row[:4]) for row in rows if not row[4] or row[0] in command.columns}
    identities = [row[0] for row in rows if row[4] == "a" and row[0] in command.columns]
    if identities:
        raise not_emulated(f"COPY into the identity column {identities[0]}", "copy-parameters-data-conversion")
    for name in command.columns:
        if name not in known:
            message = f'column "{name}" of relation "{command.table_name}" does not exist'
            raise RefusedError("copy-column", message, "r_COPY", "42703")
    columns = tuple(known[name] for name in command.columns or known)
    for column in columns:
        if column.type not in SUPPORTED_TYPES:
            raise not_emulated(f"COPY into a column of type {column.type}", "r_COPY")
    return columns


def _load_column(name: str, type_name: str, modifier: int, nullable: bool) -> LoadColumn:
    # A numeric's modifier holds its precision in the upper half and its scale in 11 bits of the lower.
    is_number = type_name == "numeric"
    length = modifier >> 16 if is_number else modifier
    return LoadColumn(name, type_name, length, modifier & 0x7FF if is_number else 0, nullable)


def load(
    connection: psycopg.Connection,
    source: S3Source,
    command: CopyCommand,
    columns: tuple[LoadColumn, ...],
    report: LoadReport,
) -> None:
    """Load all parts in one COPY of PostgreSQL's; the report is also complete where this raises."""
    converter = RecordConverter(command, columns)
    names = ", ".join(quoted_name(column.name) for column in columns)
    options = f"DELIMITER {quoted_literal(command.delimiter)}, NULL {quoted_literal(converter.null_marker.decode())}"
    cursor = connection.cursor()
    with cursor.copy(f"COPY {command.table} ({names}) FROM STDIN ({options})".encode()) as copy:
        for part in source.parts(command):
            blocks = source.read(part, compressed=command.gzip)
            for converted in converter.convert(blocks, partial(_note, command, report, part)):
                copy.write(converted)
    report.rows = cursor.rowcount


def _note(command: CopyCommand, report: LoadReport, part: Part, error: LoadError) -> None:
    report.errors.append((part, error))
    if len(report.errors) >= command.max_errors:
        table, view = command.table_name, "sys_load_error_detail"
        raise LoadFailedError(
            f"Load into table '{table}' failed.  Check '{view}' system table for details.", error.code
        )
