"""Opens connections to Redshift: the DSN, TLS, IAM credentials, and errors before a session exists."""

from collections.abc import Mapping
from typing import Any

import psycopg
from certifi import where as ca_bundle
from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline.loaders.records import LostConnectionError, WarehouseBusyError
from medgen_pipeline.loaders.redshift.aws import aws_errors, client
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loaders.sql.failures import REFUSALS, TOO_MANY_CONNECTIONS, Failure, refusal_of
from medgen_pipeline.urls import split_url

# prepare_threshold: psycopg would prepare a repeated statement and later say DEALLOCATE ALL, which Redshift does not
# know. client_encoding: Redshift reports UNICODE. keepalives: firewalls drop a connection that a long COPY leaves
# silent. gssencmode: Redshift drops the connection when asked for it.
_SETTINGS: Mapping[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "client_encoding": "utf8",
    "gssencmode": "disable",
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 5,
    "connect_timeout": 30,
}
_SESSION = ("SET timezone TO 'UTC'", "SET datestyle TO 'ISO'", "SET statement_timeout TO 0")
# https://docs.aws.amazon.com/redshift/latest/mgmt/amazon-redshift-limits.html
_REFUSALS = (Failure("", WarehouseBusyError, TOO_MANY_CONNECTIONS, "connection limit"), *REFUSALS)

CONNECTIONS = 3
"""How many one load has open at the same time: for its work, its audit and its lock."""


def connection_parts(db_dsn: str) -> dict[str, Any]:
    """The DSN as libpq's keywords, with Redshift's port and verified TLS where it names neither.

    Raises:
        ValueError: It is no connection URI. The DSN stays out of the message: it may hold a password.
    """
    split_url(db_dsn, "Redshift loader: the DSN")
    try:
        # Redshift's schemes are not libpq's, though all that follows is.
        parts: dict[str, Any] = dict(conninfo_to_dict("postgresql:" + db_dsn.partition(":")[2]))
    except psycopg.ProgrammingError:
        raise ValueError(
            "Redshift loader: the DSN is not a valid connection URI. Expected the form "
            "redshift://USER:PASSWORD@HOST:5439/DATABASE with special characters percent-encoded."
        ) from None
    parts.setdefault("port", "5439")
    parts.setdefault("sslmode", "verify-full")
    if parts["sslmode"].startswith("verify"):
        # Amazon's roots are in certifi's bundle; libpq by itself looks only in the home directory.
        parts.setdefault("sslrootcert", ca_bundle())
    return parts


class Connector:
    """Opens connections to one cluster."""

    def __init__(self, db_dsn: str, config: RedshiftConfig) -> None:
        """Read the DSN; nothing is opened."""
        self._parts = connection_parts(db_dsn)
        self._config = config

    @property
    def where(self) -> str:
        """Host, port and database, without credentials."""
        parts = self._parts
        return f"{parts.get('host', 'localhost')}:{parts['port']}/{parts.get('dbname', '')}"

    def open(self, purpose: str) -> psycopg.Connection[Any]:
        """A new connection, its session set up.

        Raises:
            LoaderError: The cluster refuses the login, or its certificate cannot be trusted.
            LostConnectionError: It cannot be reached.
        """
        try:
            connection = psycopg.connect(
                **{**_SETTINGS, **self._parts, **self._credentials()}, application_name=f"medgen_pipeline {purpose}"
            )
            try:
                for statement in _SESSION:
                    connection.execute(statement)
            except BaseException:
                connection.close()
                raise
        except psycopg.OperationalError as error:
            text = str(error).strip()
            if refusal := refusal_of(error, _REFUSALS):
                remedy = refusal.remedy.format(connections=CONNECTIONS)
                raise refusal.error(f"Redshift at {self.where} refuses the connection: {text}. {remedy}") from error
            raise LostConnectionError(
                f"Redshift at {self.where} cannot be reached: {text}. Is the cluster running, and may this machine "
                "reach its port?"
            ) from error
        return connection

    def _credentials(self) -> dict[str, str]:
        """User and password from IAM, fetched for each connection: the password is good for one login."""
        config = self._config
        if config.auth != "iam":
            return {}
        database = str(self._parts.get("dbname", ""))
        if config.workgroup:
            with aws_errors(f"fetching credentials for workgroup {config.workgroup}"):
                found = client("redshift-serverless", config).get_credentials(
                    workgroupName=config.workgroup, dbName=database, durationSeconds=900
                )
            return {"user": found["dbUser"], "password": found["dbPassword"]}
        with aws_errors(f"fetching credentials for cluster {config.cluster_identifier}"):
            found = client("redshift", config).get_cluster_credentials_with_iam(
                ClusterIdentifier=config.cluster_identifier, DbName=database, DurationSeconds=900
            )
        return {"user": found["DbUser"], "password": found["DbPassword"]}
