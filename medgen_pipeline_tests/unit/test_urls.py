"""A password with special characters in a URL: whatever is done with the URL, nothing of the password is shown."""

import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from medgen_pipeline.errors import PermanentError
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.loaders.postgres import PostgresNativeLoader
from medgen_pipeline.loaders.redshift import RedshiftNativeLoader
from medgen_pipeline.release import Archive, ReleaseSource, S3Store
from medgen_pipeline.urls import split_url

MALFORMED = [
    "{}://u:s3cret@s3cret#1@host/db",
    "{}://u:s3cret#s3cret@host/db",
    "{}://u:1#s3cret@host/db",
    "{}://u:s3cret/s3cret@host/db",
    "{}://u:1/s3cret@host/db",
    "{}://u:s3cret?s3cret@host/db",
    "{}://u:1?s3cret=@host/db",
    "{}://u:s3cret@s3cret@host/db",
    "{}://u:s3cret@s3cret:s3cret@host:1/db",
    "{}://u:s3cret%zz@host/db",
    "{}://u:s3cret%00@host/db",
    "{}://u:s3cret%@host/db",
    "{}://u:s3cret[s3cret@host/db",
    "{}://u:s3cret]s3cret@[::1/db",
    "{}://u:s3cret\ns3cret@host/db",
    "{}://u:s3cret s3cret@host/db",
    "{}://u:pw@s3cret\u2100host/db",
    "{}://u:s3cret",
    "{}://u:s3cret/db",
    "{}:u:s3cret@host/db",
    "{}:/u:s3cret@host/db",
    "//u:s3cret@host/db",
    "u:s3cret@host/db",
    "s3cret@host/db",
    "host=host user=u password=s3cret@",
]

REDSHIFT = {"s3_bucket": "bucket", "aws_region": "us-east-1"}


def open_source(url: str, folder: Path) -> object:
    return ReleaseSource(url, Archive(folder))


OPENED: dict[str, tuple[str, Callable[[str, Path], object]]] = {
    "PostgreSQL": ("postgresql", lambda url, _: LoaderFactory.create_loader(url, {})),
    "PostgreSQL, directly": ("postgres", lambda url, _: PostgresNativeLoader.from_dsn(url, {})),
    "Redshift": ("redshift", lambda url, _: LoaderFactory.create_loader(url, REDSHIFT)),
    "Redshift, directly": ("redshift+psycopg", lambda url, _: RedshiftNativeLoader.from_dsn(url, REDSHIFT)),
    "an unknown database": ("mysql", lambda url, _: LoaderFactory.create_loader(url, {})),
    "https": ("https", open_source),
    "http": ("http", open_source),
    "a directory": ("file", open_source),
    "a bucket": ("s3", open_source),
    "another kind of source": ("gopher", open_source),
    "the archive in S3": ("s3", lambda url, _: S3Store(url)),
}


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("where", OPENED)
def test_a_malformed_url_is_refused_and_nothing_of_it_is_shown(where: str, malformed: str, tmp_path: Path) -> None:
    scheme, opening = OPENED[where]
    with pytest.raises((ValueError, PermanentError)) as refusal:
        opening(malformed.format(scheme), tmp_path)
    assert "s3cret" not in "".join(traceback.format_exception(refusal.value))
    assert "percent-encode" in str(refusal.value).lower() or "scheme" in str(refusal.value)


@pytest.mark.parametrize("password", ["s3cret", "@", "a:b", "p@ss#1", "pw/x", "50%", "[x]", "a b", "é"])
def test_a_percent_encoded_password_is_accepted(password: str) -> None:
    for url in (f"postgresql://u:{quote(password, safe='')}@host:5432/db?sslmode=require", "postgresql:///db?user=a@b"):
        assert split_url(url, "it").scheme == "postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://one:5432,two:5433,[::1]:5434/db",
        "postgresql://u@/db?host=%2Ftmp%2Fsocket&port=5432",
        "postgresql://u:a:b@host",
        "file:///some dir/at@home",
        "s3://bucket/prefix",
        "https://[2001:db8::1]:8443/pub/",
    ],
)
def test_a_url_without_a_fault_is_taken_apart(url: str) -> None:
    assert split_url(url, "it").geturl() == url


@pytest.mark.parametrize("dsn", ["", "medgen", "host=h user=u"])
def test_a_dsn_without_a_scheme_is_told_where_it_is_set(dsn: str) -> None:
    with pytest.raises(
        ValueError, match=r"Unsupported database scheme: ''\. .*Check MEDGEN_DSN, or the dsn of the target"
    ):
        LoaderFactory.create_loader(dsn, {})


@pytest.mark.parametrize(
    ("dsn", "where"),
    [
        ("postgresql://u:pw@one,two:5433/db", "one:5432,two:5433/db"),
        ("postgresql://u:pw@one,two/db?port=6432", "one:6432,two:6432/db"),
        ("postgresql://u:pw@[::1]/db", "::1:5432/db"),
        ("postgresql://u@/db?host=%2Ftmp", "%2Ftmp:5432/db"),
    ],
)
def test_a_server_is_shown_as_it_was_written(dsn: str, where: str) -> None:
    loader = PostgresNativeLoader.from_dsn(dsn, {})
    assert loader._session.where == where
