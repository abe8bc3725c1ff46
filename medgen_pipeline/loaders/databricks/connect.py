"""Opens connections to a SQL warehouse: the DSN, tokens, TLS, and errors before a session exists."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import requests
import urllib3

from medgen_pipeline.errors import missing_extra
from medgen_pipeline.loaders.databricks.failures import error_of
from medgen_pipeline.loaders.records import LoaderError, LostConnectionError
from medgen_pipeline.urls import split_url

if TYPE_CHECKING:
    from databricks.sql.client import Connection

_FORM = "databricks://token:SECRET@HOST/HTTP_PATH?catalog=CATALOG"
_PERSONAL = "token"
_TIMEOUT_SECONDS = 60
_SPARE_SECONDS = 120  # an OAuth token is replaced so long before it ends


@dataclass(frozen=True)
class Place:
    """What a DSN says.

    Attributes:
        user: ``token`` for a personal access token, else the client id of a service principal.
        tls_ca_file: Authorities to trust instead of the system's, where a proxy has one of its own.
    """

    host: str
    port: int
    http_path: str
    catalog: str
    user: str
    secret: str = field(repr=False)
    tls_ca_file: str | None = None


def read_dsn(db_dsn: str) -> Place:
    """Take a DSN apart.

    Raises:
        ValueError: It is not of the form. The DSN stays out of the message: it holds a secret.
    """
    parts = split_url(db_dsn, "Databricks loader: the DSN")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = {"catalog", "tls_ca_file"}
    # hostname and port raise where several hosts are named, as only libpq knows them.
    host = "" if "," in parts.netloc else parts.hostname or ""
    complete = host and parts.path.strip("/") and parts.username and parts.password and options.get("catalog")
    if not complete or options.keys() - known:
        raise ValueError(
            f"Databricks loader: the DSN is not of the form {_FORM}, or with CLIENT_ID:CLIENT_SECRET in place of "
            f"token:SECRET. Special characters are percent-encoded; behind the question mark there may be "
            f"{' and '.join(sorted(known))}. docs/databricks.md shows where a workspace tells them."
        )
    return Place(
        host=host,
        port=parts.port or 443,
        http_path=unquote(parts.path),
        catalog=options["catalog"],
        user=unquote(parts.username or ""),
        secret=unquote(parts.password or ""),
        tls_ca_file=options.get("tls_ca_file"),
    )


def _is_news(record: logging.LogRecord) -> bool:
    return "Legacy retry behavior" not in record.getMessage()


class ServicePrincipal:
    """OAuth, machine to machine: what the connector asks for the headers of each request.

    https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
    """

    def __init__(self, place: Place) -> None:
        """Nothing is fetched."""
        self._place = place
        self._header: dict[str, str] = {}
        self._good_until = 0.0

    def auth_type(self) -> str:
        """As the connector names it."""
        return "oauth-m2m"

    def __call__(self) -> Callable[[], dict[str, str]]:
        """What makes the headers."""
        return self._headers

    def _headers(self) -> dict[str, str]:
        if time.monotonic() >= self._good_until:
            token, seconds = self._fetch()
            self._header = {"Authorization": f"Bearer {token}"}
            self._good_until = time.monotonic() + max(0.0, seconds - _SPARE_SECONDS)
        return dict(self._header)

    def _fetch(self) -> tuple[str, float]:
        place = self._place
        try:
            answer = requests.post(
                f"https://{place.host}:{place.port}/oidc/v1/token",
                data={"grant_type": "client_credentials", "scope": "all-apis"},
                auth=(place.user, place.secret),
                timeout=_TIMEOUT_SECONDS,
                verify=place.tls_ca_file or True,
            )
        except requests.RequestException as error:
            raise LostConnectionError(
                f"Databricks at {place.host} gave no OAuth token: {type(error).__name__}. Load again later."
            ) from None  # requests shows headers in some of its errors
        if answer.status_code in (400, 401, 403):
            raise LoaderError(
                f"Databricks at {place.host} refuses the service principal (HTTP {answer.status_code}). Check the "
                "client id and its secret in the DSN."
            )
        try:
            found = answer.json()
            return str(found["access_token"]), float(found["expires_in"])
        except (ValueError, KeyError, TypeError):
            raise LostConnectionError(
                f"Databricks at {place.host} gave no OAuth token: HTTP {answer.status_code}. Load again later."
            ) from None


def driver_errors() -> tuple[type[Exception], ...]:
    """What the connector raises: its own errors, and those of the network."""
    from databricks.sql.exc import Error

    return (Error, urllib3.exceptions.HTTPError, OSError)


class Connector:
    """Opens connections to one warehouse."""

    def __init__(self, db_dsn: str) -> None:
        """Read the DSN; nothing is opened."""
        self.place = read_dsn(db_dsn)
        self._principal = None if self.place.user == _PERSONAL else ServicePrincipal(self.place)

    @property
    def where(self) -> str:
        """Host and catalog, without credentials."""
        return f"{self.place.host}/{self.place.catalog}"

    def open(self, purpose: str) -> "Connection":
        """A new connection.

        Args:
            purpose: What it is for, for the list of sessions.

        Raises:
            LoaderError: The warehouse refuses the login, or does not exist.
            LostConnectionError: It cannot be reached.
        """
        try:
            from databricks import sql as driver
        except ImportError as error:
            raise LoaderError(missing_extra("Databricks", "databricks-sql-connector", "databricks")) from error
        # What _enable_v3_retries brings, on each connection.
        logging.getLogger("databricks.sql.backend.thrift_backend").addFilter(_is_news)
        place = self.place
        login: dict[str, Any] = (
            {"credentials_provider": self._principal} if self._principal else {"access_token": place.secret}
        )
        try:
            return driver.connect(
                server_hostname=place.host,
                http_path=place.http_path,
                catalog=place.catalog,
                session_configuration={"TIMEZONE": "UTC", "ANSI_MODE": "true"},
                ignore_transactions=False,
                user_agent_entry=f"medgen_pipeline {purpose}",
                enable_telemetry=False,
                _port=place.port,
                _tls_trusted_ca_file=place.tls_ca_file,
                # The other way to retry sends a statement again whose answer was lost, and tells nobody.
                _enable_v3_retries=False,
                _retry_stop_after_attempts_duration=300.0,
                **login,
            )
        except driver_errors() as error:
            raise error_of(error).as_error(f"Databricks at {self.where}: connecting") from error
