"""S3 over HTTP: a mirror in a bucket as the source, and a bucket as the archive's second tier."""

import gzip
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.release import (
    Archive,
    MissingSourceFileError,
    RefusedFileError,
    ReleaseSource,
    S3Store,
    SourceError,
    SourceMemory,
    TransferOptions,
    UnavailableSourceError,
    UnusableSourceError,
)
from medgen_pipeline_tests.folders import files_under, sha256
from medgen_pipeline_tests.integration.test_fetch import NEW, OLD, SOURCES_TEXT, WEDNESDAY
from medgen_pipeline_tests.ncbi_double import ncbi_double, publish
from medgen_pipeline_tests.redgate.s3server import BUCKET, S3Fault, S3Server

NAMES, SOURCES = table_by_name("names"), table_by_name("medgen_sources")
MIRROR = f"s3://{BUCKET}/mirror/medgen/"
IMPATIENT = TransferOptions(attempts=2, connect_timeout=5, read_timeout=20)
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def put(s3: S3Server, name: str, data: bytes, prefix: str = "mirror/medgen/") -> None:
    s3.client().put_object(Bucket=BUCKET, Key=prefix + name, Body=data)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def source(s3: S3Server, archive: Archive) -> ReleaseSource:
    put(s3, NAMES.file_name, OLD)
    put(s3, SOURCES.file_name, SOURCES_TEXT)
    return ReleaseSource(MIRROR, archive, IMPATIENT)


# --- a bucket as the source ---


def test_a_file_in_a_bucket_is_fetched_once_and_a_new_one_again(
    s3: S3Server, source: ReleaseSource, archive: Archive
) -> None:
    first = source.fetch(NAMES)
    assert first.path.read_bytes() == OLD
    assert first.url == MIRROR + "NAMES.RRF.gz"
    s3.requests.clear()
    assert source.fetch(NAMES) == replace(first, downloaded_bytes=0)
    assert s3.requests == [f"HEAD /{BUCKET}/mirror/medgen/NAMES.RRF.gz"]
    put(s3, NAMES.file_name, NEW)
    assert source.fetch(NAMES).sha256 == sha256(NEW)
    assert archive.path_of(sha256(OLD)) is not None


def test_the_gzip_header_dates_the_release_and_not_the_upload(s3: S3Server, source: ReleaseSource) -> None:
    put(s3, NAMES.file_name, gzip.compress(SOURCES_TEXT, mtime=int(WEDNESDAY.timestamp())))
    assert source.fetch(NAMES).release == "2026-11-18"


@pytest.mark.parametrize(
    "written", [f"s3://{BUCKET}", f"s3://{BUCKET}/", f"s3://{BUCKET}/a%20b/", f"s3://{BUCKET}/a b"]
)
def test_a_bucket_is_a_source_however_its_url_is_written(s3: S3Server, archive: Archive, written: str) -> None:
    put(s3, SOURCES.file_name, SOURCES_TEXT, prefix="a b/" if "a" in written.removeprefix(f"s3://{BUCKET}") else "")
    assert ReleaseSource(written, archive).fetch(SOURCES).path.read_bytes() == SOURCES_TEXT


def test_a_look_at_a_bucket_costs_one_request_while_nothing_changes(s3: S3Server, source: ReleaseSource) -> None:
    memory = source.look(TABLES, SourceMemory(source.url, NOW), NOW).memory
    assert set(memory.files) == {NAMES.file_name, SOURCES.file_name}
    version = memory.files[NAMES.file_name].version
    assert version is not None
    assert version.matches(source.fetch(NAMES).version)
    memory = source.look(TABLES, memory, NOW.replace(day=22)).memory
    s3.requests.clear()
    assert source.look(TABLES, memory, NOW.replace(day=23)).memory == memory
    assert [request.partition("?")[0] for request in s3.requests] == [f"GET /{BUCKET}"]


def test_a_look_at_a_bucket_sees_what_is_behind_a_thousand_other_files(s3: S3Server, source: ReleaseSource) -> None:
    s3.fill(BUCKET, (f"mirror/medgen/Mz{number:04}" for number in range(1_000)))
    memory = source.look(TABLES, SourceMemory(source.url, NOW), NOW).memory
    assert set(memory.files) == {NAMES.file_name, SOURCES.file_name}


def test_a_body_that_breaks_off_is_read_again(s3: S3Server, source: ReleaseSource) -> None:
    s3.order(S3Fault("GET .*NAMES", cut=True, times=1))
    assert source.fetch(NAMES).path.read_bytes() == OLD


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (S3Fault("NAMES", status=503), UnavailableSourceError, "AWS answers 503.*Try again later"),
        (S3Fault("NAMES", status=403), UnusableSourceError, "AWS refuses with 403.*credentials boto3 finds"),
        (S3Fault("GET .*NAMES", cut=True), UnavailableSourceError, "AWS cannot be reached"),
    ],
    ids=["503", "403", "cut"],
)
def test_trouble_with_a_bucket_is_named_and_leaves_no_trace(
    s3: S3Server, source: ReleaseSource, archive: Archive, fault: S3Fault, error: type[SourceError], message: str
) -> None:
    s3.order(fault)
    with pytest.raises(error, match=f"s3://.*NAMES.RRF.gz: {message}"):
        source.fetch(NAMES)
    assert files_under(archive.root) == []


def test_a_missing_object_and_a_missing_bucket_are_permanent_errors(s3: S3Server, archive: Archive) -> None:
    with pytest.raises(MissingSourceFileError, match=r"NAMES.RRF.gz: AWS refuses with 404.*S3 has no such object"):
        ReleaseSource(MIRROR, archive).fetch(NAMES)
    with pytest.raises(MissingSourceFileError, match="no such object or bucket"):
        ReleaseSource("s3://nobody-s-bucket/", archive).look(TABLES, SourceMemory("s3://nobody-s-bucket/", NOW), NOW)
    assert s3.requests


def test_without_credentials_the_error_says_so(
    source: ReleaseSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UnusableSourceError, match="boto3 finds no AWS credentials"):
        source.fetch(NAMES)


def test_a_file_that_is_no_table_is_refused(s3: S3Server, source: ReleaseSource) -> None:
    put(s3, NAMES.file_name, b"<html></html>")
    with pytest.raises(RefusedFileError, match="HTML or XML page"):
        source.fetch(NAMES)


@pytest.mark.parametrize("url", ["s3:///prefix/", f"s3://user:secret@{BUCKET}/", f"s3://{BUCKET}:80/"])
def test_a_url_that_names_no_bucket_alone_is_refused(archive: Archive, url: str) -> None:
    with pytest.raises(UnusableSourceError, match="names a bucket and no user, password or port") as refusal:
        ReleaseSource(url, archive)
    assert "secret" not in str(refusal.value)


def test_s3_without_boto3_says_what_to_install(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["boto3"] = None
from pathlib import Path
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.catalog import TABLES
from medgen_pipeline.release import Archive, ReleaseSource
build_definitions(environment={{}})
ReleaseSource("s3://bucket/", Archive(Path({str(tmp_path)!r}))).fetch(TABLES[0])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "UnusableSourceError: AWS needs boto3: pip install 'medgen_pipeline[s3]'" in done.stderr


# --- a bucket as the archive's second tier ---


@pytest.fixture
def store() -> S3Store:
    return S3Store(f"s3://{BUCKET}/archive")


def fetch_from(url: str, root: Path, store: S3Store) -> Path:
    return ReleaseSource(url, Archive(root, remote=store), IMPATIENT).fetch(NAMES).path


def test_every_archived_file_and_record_has_a_copy_in_the_second_tier(
    s3: S3Server, store: S3Store, tmp_path: Path
) -> None:
    publish(tmp_path / "ncbi", NAMES.file_name, OLD, WEDNESDAY)
    root = tmp_path / "archive"
    path = fetch_from((tmp_path / "ncbi").as_uri(), root, store)
    keys = s3.keys(BUCKET, "archive/")
    assert sorted(keys) == [f"archive/{name}" for name in files_under(root) if not name.startswith("blocks/")]
    copy = s3.client().get_object(Bucket=BUCKET, Key=f"archive/{path.relative_to(root)}")["Body"].read()
    assert copy == OLD


def test_a_new_machine_takes_the_archive_from_the_second_tier_and_nothing_from_ncbi(
    s3: S3Server, store: S3Store, tmp_path: Path
) -> None:
    publish(tmp_path / "ncbi", NAMES.file_name, OLD, WEDNESDAY)
    with ncbi_double(tmp_path / "ncbi") as ncbi:
        fetch_from(ncbi.url, tmp_path / "one", store)
        ncbi.seen.clear()
        path = fetch_from(ncbi.url, tmp_path / "two", store)
        assert ncbi.methods() == ["HEAD"]
    assert path.read_bytes() == OLD
    assert not path.stat().st_mode & 0o222
    one, two = files_under(tmp_path / "one"), files_under(tmp_path / "two")
    assert two == [name for name in one if not name.startswith("blocks/")]  # those are rebuilt
    assert s3.requests


def test_an_older_version_that_was_pruned_here_comes_from_the_second_tier(
    s3: S3Server, store: S3Store, tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "archive", keep=2, remote=store)
    third = gzip.compress(SOURCES_TEXT, mtime=3)
    for number, data in enumerate((OLD, NEW, third)):
        publish(tmp_path / "ncbi", NAMES.file_name, data, WEDNESDAY.replace(hour=number))
        fetched = ReleaseSource((tmp_path / "ncbi").as_uri(), archive).fetch(NAMES)
    archive.prune(fetched.url)
    assert f"sha256/{sha256(OLD)[:2]}/{sha256(OLD)}" not in files_under(archive.root)
    path = archive.path_of(sha256(OLD))
    assert path is not None
    assert path.read_bytes() == OLD
    assert s3.keys(BUCKET, "archive/sha256/")


def test_a_damaged_copy_is_not_taken(s3: S3Server, store: S3Store, tmp_path: Path) -> None:
    publish(tmp_path / "ncbi", NAMES.file_name, OLD, WEDNESDAY)
    url = (tmp_path / "ncbi").as_uri()
    path = fetch_from(url, tmp_path / "one", store)
    name = path.relative_to(tmp_path / "one")
    s3.client().put_object(Bucket=BUCKET, Key=f"archive/{name}", Body=b"x" * len(OLD))
    assert Archive(tmp_path / "two", remote=store).path_of(path.name) is None
    assert files_under(tmp_path / "two") == []
    assert fetch_from(url, tmp_path / "two", store).read_bytes() == OLD


def test_what_nobody_has_is_not_found(s3: S3Server, store: S3Store, tmp_path: Path) -> None:
    archive = Archive(tmp_path, remote=store)
    assert archive.path_of(sha256(b"")) is None
    assert archive.recall("https://ncbi.test/NAMES.RRF.gz") is None
    assert s3.requests


def test_a_second_tier_that_is_down_fails_the_fetch_for_now(s3: S3Server, store: S3Store, tmp_path: Path) -> None:
    publish(tmp_path / "ncbi", NAMES.file_name, OLD, WEDNESDAY)
    s3.order(S3Fault("PUT", status=503))
    with pytest.raises(UnavailableSourceError, match=f"s3://{BUCKET}/archive/sha256/.*503"):
        fetch_from((tmp_path / "ncbi").as_uri(), tmp_path / "one", store)
    s3.heal()
    fetch_from((tmp_path / "ncbi").as_uri(), tmp_path / "one", store)
    assert len(s3.keys(BUCKET, "archive/")) == 2


def test_a_second_tier_that_is_not_in_s3_is_refused() -> None:
    with pytest.raises(UnusableSourceError, match=r"expected s3://BUCKET/PREFIX.*'https'.*MEDGEN_ARCHIVE_URL"):
        S3Store("https://bucket.s3.amazonaws.com/")
