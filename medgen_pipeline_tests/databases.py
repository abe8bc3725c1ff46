"""Databases of the tests' PostgreSQL, made for one use and dropped after it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg


@contextmanager
def fresh_database(server: str, like: str | None = None) -> Iterator[str]:
    """URL of a database, empty or a copy of another that nobody is connected to; dropped whoever is connected then."""
    name = f"medgen_test_{uuid.uuid4().hex}"
    template = urlsplit(like).path[1:] if like else "template1"
    with psycopg.connect(server, autocommit=True) as connection:
        # Half the time of the default where fsync is off; PostgreSQL 15 is the first to have both.
        strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}".encode())
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
