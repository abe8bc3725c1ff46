"""Fetching over real HTTP from a double of NCBI's server, and from directories."""

import errno
import gzip
import io
import logging
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from medgen_pipeline import __version__
from medgen_pipeline.catalog import TABLES, table_by_name
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.errors import PermanentError, TransientError
from medgen_pipeline.release import (
    Archive,
    ConnectionsInUseError,
    MissingSourceFileError,
    RefusedFileError,
    ReleaseSource,
    SourceError,
    SourceFile,
    TransferOptions,
    UnavailableSourceError,
    UnusableSourceError,
)
from medgen_pipeline.release.probe import SourceMemory
from medgen_pipeline.release.transport.connections import counted_connection
from medgen_pipeline.release.transport.file import _read_source_file
from medgen_pipeline.release.transport.listing import listed_files
from medgen_pipeline_tests.folders import files_under, sha256
from medgen_pipeline_tests.gates.server import server_tls
from medgen_pipeline_tests.ncbi_double import (
    NcbiDouble,
    at_most,
    before,
    cut_after,
    headed,
    instead,
    ncbi_double,
    overlook_if_range,
    publish,
    raw_server,
    status,
)

NAMES = table_by_name("names")
SOURCES = table_by_name("medgen_sources")
MONDAY, WEDNESDAY, FRIDAY = (datetime(2026, 11, day, 23, 30, tzinfo=UTC) for day in (16, 18, 20))
IMPATIENT = TransferOptions(attempts=4, backoff_factor=0.001, connect_timeout=5, read_timeout=20)


def names_text(seed: int) -> bytes:
    """Half a megabyte that hardly compresses, so that a download can break in the middle."""
    noise = random.Random(seed)
    rows = (f"C{number:07}|{noise.randbytes(40).hex()}|HPO|N|\n" for number in range(5_000))
    return ("#CUI|name|source|SUPPRESS|\n" + "".join(rows)).encode()


OLD_TEXT, NEW_TEXT = names_text(1), names_text(2)
OLD, NEW = gzip.compress(OLD_TEXT, mtime=0), gzip.compress(NEW_TEXT, mtime=0)
SOURCES_TEXT = b"Source Abbreviation\tDescription\tURL\nHPO\tHuman Phenotype Ontology\thttps://hpo.test\n"


def answers_to_get(ncbi: NcbiDouble) -> list[int]:
    """The statuses, without those of the HEAD requests that ask whether a download is still the published file."""
    return [seen.status for seen in ncbi.seen if seen.method == "GET"]


def ranges(ncbi: NcbiDouble) -> list[str | None]:
    return [seen.headers.get("Range") for seen in ncbi.seen if seen.method == "GET"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "ncbi"
    publish(path, NAMES.file_name, OLD, WEDNESDAY)
    publish(path, SOURCES.file_name, SOURCES_TEXT, WEDNESDAY)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def ncbi(directory: Path) -> Iterator[NcbiDouble]:
    """As NCBI was seen: no ETag, no Range."""
    with ncbi_double(directory, etag=False, ranges=False) as double:
        yield double


@pytest.fixture
def trusted_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return server_tls("localhost", tmp_path / "ca.pem")


@pytest.fixture
def source(ncbi: NcbiDouble, archive: Archive) -> ReleaseSource:
    return ReleaseSource(ncbi.url, archive, IMPATIENT)


# --- what is fetched, and when nothing is ---


def test_a_first_fetch_archives_the_published_bytes_and_describes_them(
    source: ReleaseSource, ncbi: NcbiDouble, archive: Archive
) -> None:
    fetched = source.fetch(NAMES)
    assert fetched == SourceFile(
        table_name="names",
        path=fetched.path,
        sha256=sha256(OLD),
        content_sha256=sha256(OLD_TEXT),
        release="2026-11-18",
        url=ncbi.url + "NAMES.RRF.gz",
        byte_size=len(OLD),
        last_modified=WEDNESDAY,
        downloaded_bytes=len(OLD),
    )
    assert fetched.path.read_bytes() == OLD
    assert fetched.path == archive.path_of(fetched.sha256)
    assert ncbi.methods() == ["GET", "HEAD"]


@pytest.mark.parametrize("etag", [True, False])
def test_an_unchanged_file_costs_one_head_request(directory: Path, archive: Archive, etag: bool) -> None:
    with ncbi_double(directory, etag=etag) as ncbi:
        first = ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(NAMES)
        sent = ncbi.body_bytes
        again = ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(NAMES)
        assert again == replace(first, downloaded_bytes=0)
        assert ncbi.methods() == ["GET", "HEAD", "HEAD"]  # one to confirm the download
        assert ncbi.body_bytes == sent


def test_a_changed_file_is_fetched_and_the_old_one_stays_in_the_archive(
    source: ReleaseSource, directory: Path, archive: Archive
) -> None:
    source.fetch(NAMES)
    publish(directory, NAMES.file_name, NEW, FRIDAY)
    fetched = source.fetch(NAMES)
    assert (fetched.sha256, fetched.release, fetched.downloaded_bytes) == (sha256(NEW), "2026-11-20", len(NEW))
    assert archive.path_of(sha256(OLD)) is not None


def test_a_file_that_is_replaced_by_an_older_one_is_fetched(source: ReleaseSource, directory: Path) -> None:
    source.fetch(NAMES)
    publish(directory, NAMES.file_name, NEW, MONDAY)
    assert source.fetch(NAMES).sha256 == sha256(NEW)


def test_a_table_that_was_only_compressed_again_keeps_its_content_hash(source: ReleaseSource, directory: Path) -> None:
    first = source.fetch(NAMES)
    publish(directory, NAMES.file_name, gzip.compress(OLD_TEXT, mtime=1_700_000_000), FRIDAY)
    second = source.fetch(NAMES)
    assert first.sha256 != second.sha256
    assert first.content_sha256 == second.content_sha256


def test_a_file_replaced_between_head_and_get_is_recorded_as_what_the_get_returned(
    source: ReleaseSource, directory: Path, ncbi: NcbiDouble
) -> None:
    source.fetch(NAMES)
    third = gzip.compress(names_text(3), mtime=0)
    publish(directory, NAMES.file_name, NEW, WEDNESDAY.replace(hour=1))
    ncbi.inject(before(lambda: publish(directory, NAMES.file_name, third, FRIDAY)))
    assert source.fetch(NAMES).sha256 == sha256(third)
    again = source.fetch(NAMES)
    assert (again.sha256, again.release, again.downloaded_bytes) == (sha256(third), "2026-11-20", 0)


def test_a_text_file_arrives_as_published_although_the_server_would_compress_it(
    source: ReleaseSource, ncbi: NcbiDouble
) -> None:
    fetched = source.fetch(SOURCES)
    assert fetched.path.read_bytes() == SOURCES_TEXT
    assert fetched.sha256 == fetched.content_sha256 == sha256(SOURCES_TEXT)
    assert ncbi.seen[0].headers["Accept-Encoding"] == "identity"


def test_the_user_agent_names_the_project_and_its_version(source: ReleaseSource, ncbi: NcbiDouble) -> None:
    source.fetch(NAMES)
    assert ncbi.seen[0].headers["User-Agent"].startswith(f"medgen_pipeline/{__version__} ")


def test_a_server_that_tells_neither_time_nor_length_is_asked_for_the_file_each_time(
    source: ReleaseSource, ncbi: NcbiDouble
) -> None:
    ncbi.inject(*[headed(Last_Modified=None, Content_Length=None)] * 2)
    ncbi.inject(headed(Last_Modified=None, Content_Length=None), on="HEAD")
    assert source.fetch(NAMES).downloaded_bytes == len(OLD)
    assert source.fetch(NAMES).downloaded_bytes == len(OLD)


# --- trouble on the way ---


def test_server_errors_are_retried(source: ReleaseSource, ncbi: NcbiDouble) -> None:
    ncbi.inject(status(500), status(503))
    assert source.fetch(NAMES).sha256 == sha256(OLD)
    assert answers_to_get(ncbi) == [500, 503, 200]


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_that_stays_down_is_a_transient_error_after_a_bounded_number_of_attempts(
    source: ReleaseSource, ncbi: NcbiDouble, archive: Archive, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    ncbi.inject(*[status(code)] * 10)
    with pytest.raises(UnavailableSourceError, match=f"NAMES.RRF.gz: the server answered {code} .* 4 attempts"):
        source.fetch(NAMES)
    for number in (1, 2, 3):
        said = rf"try {number} of 4 failed \(the server answered {code}\); the next begins at \d\d:\d\d:\d\d UTC"
        assert re.search(said, caplog.text)
    assert "try 4" not in caplog.text
    assert len(ncbi.seen) == IMPATIENT.attempts
    assert files_under(archive.root) == []


def test_a_probe_that_fails_for_a_while_is_retried(source: ReleaseSource, ncbi: NcbiDouble) -> None:
    source.fetch(NAMES)
    ncbi.inject(status(502), on="HEAD")
    assert source.fetch(NAMES).downloaded_bytes == 0
    assert ncbi.methods() == ["GET", "HEAD", "HEAD", "HEAD"]


def test_retry_after_is_honoured(source: ReleaseSource, ncbi: NcbiDouble) -> None:
    ncbi.inject(status(429, Retry_After="1"))
    source.fetch(NAMES)
    refused, served, _ = ncbi.seen
    assert served.at - refused.at >= 0.99


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, MissingSourceFileError),
        (410, MissingSourceFileError),
        (403, UnusableSourceError),
        (401, UnusableSourceError),
    ],
)
def test_a_refusal_is_permanent_and_not_repeated(
    source: ReleaseSource, ncbi: NcbiDouble, code: int, error: type[SourceError]
) -> None:
    ncbi.inject(status(code))
    with pytest.raises(error, match=f"NAMES.RRF.gz: the server answered {code}.*expected 200") as failure:
        source.fetch(NAMES)
    assert isinstance(failure.value, PermanentError)
    assert len(ncbi.seen) == 1


def test_nobody_listening_is_a_transient_error(archive: Archive) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        source = ReleaseSource(f"http://127.0.0.1:{unused.getsockname()[1]}/", archive, IMPATIENT)
        with pytest.raises(UnavailableSourceError, match="cannot be reached") as failure:
            source.fetch(NAMES)
    assert isinstance(failure.value, TransientError)


@pytest.mark.parametrize("etag", [True, False])
def test_a_broken_download_is_resumed_where_it_broke(directory: Path, archive: Archive, etag: bool) -> None:
    with ncbi_double(directory, etag=etag) as ncbi:
        ncbi.inject(cut_after(100_000), cut_after(100_000))
        fetched = ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(NAMES)
        assert fetched.path.read_bytes() == OLD
        assert ranges(ncbi) == [None, "bytes=100000-", "bytes=200000-"]
        assert answers_to_get(ncbi) == [200, 206, 206]
        validator = ncbi.seen[1].headers["If-Range"]
        assert validator.startswith('"') if etag else validator == "Wed, 18 Nov 2026 23:30:00 GMT"
        assert ncbi.body_bytes == len(OLD)


def test_a_broken_download_starts_again_where_the_server_knows_no_ranges(
    source: ReleaseSource, ncbi: NcbiDouble, caplog: pytest.LogCaptureFixture
) -> None:
    ncbi.inject(cut_after(100_000))
    assert source.fetch(NAMES).path.read_bytes() == OLD
    assert answers_to_get(ncbi) == [200, 200]
    assert f"broken off after 100000 of {len(OLD)} bytes" in caplog.text


def test_a_broken_download_of_an_unknown_version_is_not_resumed(directory: Path, archive: Archive) -> None:
    with ncbi_double(directory, etag=False) as ncbi:
        ncbi.inject(headed(cut_after(100_000), Last_Modified=None))
        assert ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(NAMES).path.read_bytes() == OLD
        assert ranges(ncbi) == [None, None]


@pytest.mark.parametrize("etag", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_while_it_is_downloaded_is_taken_whole_in_its_new_version(
    directory: Path, archive: Archive, etag: bool, ranges: bool
) -> None:
    with ncbi_double(directory, etag=etag, ranges=ranges) as ncbi:
        replaced = before(lambda: publish(directory, NAMES.file_name, NEW, FRIDAY))
        ncbi.inject(cut_after(100_000), replaced)
        source = ReleaseSource(ncbi.url, archive, IMPATIENT)
        fetched = source.fetch(NAMES)
        assert (fetched.sha256, fetched.release) == (sha256(NEW), "2026-11-20")
        assert source.fetch(NAMES).downloaded_bytes == 0


@pytest.mark.parametrize("etag", [True, False])
@pytest.mark.parametrize("size", [len(NEW), 50_000], ids=["as long", "shorter"])
def test_nothing_is_appended_to_another_version_by_a_server_that_overlooks_if_range(
    directory: Path, archive: Archive, etag: bool, size: int
) -> None:
    # Plain text, where no checksum inside the file would show a mixture.
    new_text = NEW_TEXT[: size - 1] + b"\n"
    publish(directory, SOURCES.file_name, OLD_TEXT[: len(NEW)], WEDNESDAY)

    with ncbi_double(directory, etag=etag) as ncbi:
        replace_file = before(lambda: publish(directory, SOURCES.file_name, new_text, FRIDAY))
        ncbi.inject(cut_after(100_000), overlook_if_range(replace_file))
        fetched = ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(SOURCES)
        assert fetched.sha256 == sha256(new_text)
        assert fetched.release == "2026-11-20"


def test_a_range_of_another_length_is_not_appended_even_if_nothing_else_tells_the_versions_apart(
    directory: Path, archive: Archive
) -> None:
    publish(directory, SOURCES.file_name, OLD_TEXT, WEDNESDAY)
    longer = NEW_TEXT + b"C9999999|one more|HPO|N|\n"
    # The worst case: the mixture would have exactly the length announced first.
    rest = at_most(len(OLD_TEXT) - 100_000)
    replace_file = before(lambda: publish(directory, SOURCES.file_name, longer, FRIDAY), rest)
    with ncbi_double(directory, etag=False) as ncbi:
        ncbi.inject(cut_after(100_000), headed(overlook_if_range(replace_file), Last_Modified=None))
        assert ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(SOURCES).sha256 == sha256(longer)
        assert answers_to_get(ncbi) == [200, 206, 200]


def test_a_range_with_another_etag_is_not_appended_even_if_the_time_is_the_same(
    directory: Path, archive: Archive
) -> None:
    publish(directory, SOURCES.file_name, OLD_TEXT, WEDNESDAY)
    same_second = WEDNESDAY.replace(microsecond=500_000)
    replace_file = before(lambda: publish(directory, SOURCES.file_name, NEW_TEXT, same_second))
    with ncbi_double(directory) as ncbi:
        ncbi.inject(cut_after(100_000), overlook_if_range(replace_file))
        assert ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(SOURCES).sha256 == sha256(NEW_TEXT)
        assert answers_to_get(ncbi) == [200, 206, 200]


def test_a_weak_etag_is_not_used_to_resume(directory: Path, archive: Archive) -> None:
    with ncbi_double(directory) as ncbi:
        ncbi.inject(headed(cut_after(100_000), ETag='W/"1"'), headed(ETag='W/"1"'))
        ncbi.inject(headed(ETag='W/"1"'), on="HEAD")
        assert ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(NAMES).sha256 == sha256(OLD)
        assert ncbi.seen[1].headers["If-Range"] == "Wed, 18 Nov 2026 23:30:00 GMT"
        assert answers_to_get(ncbi) == [200, 206]


def test_a_server_that_sends_less_than_the_range_asked_for_is_asked_again(directory: Path, archive: Archive) -> None:
    with ncbi_double(directory) as ncbi:
        ncbi.inject(cut_after(100_000), at_most(5000))
        assert ReleaseSource(ncbi.url, archive, IMPATIENT).fetch(NAMES).sha256 == sha256(OLD)
        assert ncbi.seen[2].headers["Range"] == "bytes=105000-"


def test_a_connection_that_always_breaks_is_a_transient_error_and_leaves_no_trace(
    source: ReleaseSource, ncbi: NcbiDouble, archive: Archive
) -> None:
    ncbi.inject(*[cut_after(1000)] * 10)
    with pytest.raises(UnavailableSourceError, match=f"4 times, at last after 1000 of {len(OLD)} bytes"):
        source.fetch(NAMES)
    assert len(ncbi.seen) == IMPATIENT.attempts
    assert files_under(archive.root) == []


def test_an_untrusted_certificate_is_a_permanent_error_and_a_trusted_one_works(
    directory: Path, archive: Archive, trusted_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ncbi_double(directory, tls=trusted_tls) as ncbi:
        source = ReleaseSource(ncbi.url, archive, IMPATIENT)
        with monkeypatch.context() as untrusting:
            untrusting.delenv("REQUESTS_CA_BUNDLE")
            with pytest.raises(UnusableSourceError, match=r"certificate is not trusted.*REQUESTS_CA_BUNDLE"):
                source.fetch(NAMES)
        assert source.fetch(NAMES).sha256 == sha256(OLD)


# --- replaced while it is downloaded ---


def test_a_file_replaced_while_it_was_downloaded_is_downloaded_again(
    source: ReleaseSource, directory: Path, ncbi: NcbiDouble, caplog: pytest.LogCaptureFixture
) -> None:
    ncbi.inject(before(lambda: publish(directory, NAMES.file_name, NEW, FRIDAY)), on="HEAD")
    fetched = source.fetch(NAMES)
    assert (fetched.sha256, fetched.release, fetched.last_modified) == (sha256(NEW), "2026-11-20", FRIDAY)
    assert ncbi.methods() == ["GET", "HEAD", "GET", "HEAD"]
    assert f"downloaded {len(OLD)} bytes of Wed, 18 Nov 2026 23:30:00 GMT, and published is now" in caplog.text
    assert "downloading again" in caplog.text


def test_a_text_file_overwritten_in_place_while_it_was_downloaded_is_not_taken_for_a_table(
    source: ReleaseSource, directory: Path, ncbi: NcbiDouble
) -> None:
    # What a server sends that reads on while the file changes: a mixture that no checksum gives away.
    old, new = (names_text(seed)[:400_000] for seed in (5, 6))
    publish(directory, SOURCES.file_name, old, WEDNESDAY)
    mixture = headed(instead(old[:200_000] + new[200_000:]), Last_Modified="Wed, 18 Nov 2026 23:30:00 GMT")
    ncbi.inject(before(lambda: publish(directory, SOURCES.file_name, new, FRIDAY), mixture))
    assert source.fetch(SOURCES).sha256 == sha256(new)


def test_a_file_that_is_replaced_again_and_again_is_a_transient_error(
    source: ReleaseSource, directory: Path, ncbi: NcbiDouble, archive: Archive
) -> None:
    for hours in range(3):
        again = partial(publish, directory, NAMES.file_name, NEW, FRIDAY.replace(hour=hours))
        ncbi.inject(before(again), on="HEAD")
    with pytest.raises(UnavailableSourceError, match=r"replaced during each of 3 downloads.*is done publishing"):
        source.fetch(NAMES)
    assert files_under(archive.root) == []


@pytest.mark.parametrize("announced", ["100000", str(len(OLD) + 5)], ids=["too short", "too long"])
def test_a_wrong_length_in_one_answer_does_no_harm(
    source: ReleaseSource, ncbi: NcbiDouble, announced: str, caplog: pytest.LogCaptureFixture
) -> None:
    ncbi.inject(headed(Content_Length=announced))
    assert source.fetch(NAMES).sha256 == sha256(OLD)
    assert "downloading again" in caplog.text or "broken off after" in caplog.text


def test_a_page_in_place_of_a_file_for_a_moment_does_no_harm(
    source: ReleaseSource, ncbi: NcbiDouble, caplog: pytest.LogCaptureFixture
) -> None:
    ncbi.inject(instead(b"<html>Back in a minute</html>"))
    assert source.fetch(NAMES).sha256 == sha256(OLD)
    assert "downloading again" in caplog.text


def test_a_file_that_vanishes_while_it_was_downloaded_is_a_permanent_error(
    source: ReleaseSource, directory: Path, ncbi: NcbiDouble
) -> None:
    ncbi.inject(before((directory / NAMES.file_name).unlink), on="HEAD")
    with pytest.raises(MissingSourceFileError, match=r"NAMES.RRF.gz: the server answered 404"):
        source.fetch(NAMES)


# --- files that are not what they should be ---


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"<html><body>We are moving</body></html>", "HTML or XML page", id="html"),
        pytest.param(OLD[:100_000], "damaged gzip", id="short, and announced so"),
    ],
)
def test_a_file_that_is_no_table_is_refused_and_leaves_the_archive_as_it_was(
    source: ReleaseSource, ncbi: NcbiDouble, archive: Archive, directory: Path, data: bytes, complaint: str
) -> None:
    source.fetch(NAMES)
    kept = files_under(archive.root)
    publish(directory, NAMES.file_name, NEW, FRIDAY)
    ncbi.inject(*[instead(data, Last_Modified=format_datetime(FRIDAY, usegmt=True))] * 3)
    with pytest.raises(RefusedFileError, match=complaint):
        source.fetch(NAMES)
    assert files_under(archive.root) == kept
    assert source.fetch(NAMES).sha256 == sha256(NEW)  # and the refused version is not held for known


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_over_the_limit_is_refused_and_not_read_to_its_end(
    ncbi: NcbiDouble, archive: Archive, directory: Path, announced: bool
) -> None:
    publish(directory, NAMES.file_name, b"\x1f\x8b" + bytes(20_000_000), FRIDAY)
    if not announced:
        ncbi.inject(headed(Content_Length=None))
    small = replace(IMPATIENT, max_bytes=100_000)
    size = "20000002" if announced else r"\d+"
    with pytest.raises(UnusableSourceError, match=f"gz: {size} bytes or more, and at most 100000 are accepted"):
        ReleaseSource(ncbi.url, archive, small).fetch(NAMES)
    assert files_under(archive.root) == []
    assert len(ncbi.seen) == 1


def test_the_files_of_a_release_may_not_exceed_a_limit_together(
    ncbi: NcbiDouble, archive: Archive, directory: Path
) -> None:
    size = len(OLD) + len(SOURCES_TEXT)
    small = replace(IMPATIENT, max_release_bytes=size - 1)
    source = ReleaseSource(ncbi.url, archive, small)
    source.fetch(NAMES)
    with pytest.raises(UnusableSourceError, match=f"at most {len(SOURCES_TEXT) - 1} are accepted.*max_release_gib"):
        source.fetch(SOURCES)
    publish(directory, NAMES.file_name, NEW, FRIDAY)
    source.fetch(NAMES)  # in place of the one before, not beside it
    ReleaseSource(ncbi.url, archive, replace(small, max_release_bytes=size)).fetch(SOURCES)


# --- files of two releases ---


def test_a_file_much_older_than_the_newest_one_of_its_source_is_marked(
    source: ReleaseSource, directory: Path, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    assert source.fetch(NAMES).hours_behind == 0
    publish(directory, SOURCES.file_name, SOURCES_TEXT, FRIDAY)
    assert source.fetch(SOURCES).hours_behind == 0
    assert "two releases" not in caplog.text
    assert source.fetch(NAMES).hours_behind == 48
    assert "NAMES.RRF.gz was published 2026-11-18T23:30:00+00:00, 48 hours before" in caplog.text
    assert "these may be files of two releases" in caplog.text
    elsewhere = ReleaseSource(directory.as_uri(), archive)
    assert elsewhere.fetch(NAMES).hours_behind == 0
    publish(directory / "below", SOURCES.file_name, SOURCES_TEXT, FRIDAY)
    ReleaseSource((directory / "below").as_uri(), archive).fetch(SOURCES)
    assert elsewhere.fetch(NAMES).hours_behind == 0


# --- directories ---


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        ("plain", "plain"),
        ("with a blank", "with a blank"),
        ("with a blank", "with%20a%20blank/"),
        ("100% übung #1?", "100%25%20%C3%BCbung%20%231%3F"),
    ],
)
def test_a_directory_is_a_source_however_its_url_is_written(
    tmp_path: Path, archive: Archive, folder: str, written: str
) -> None:
    publish(tmp_path / folder, NAMES.file_name, OLD, WEDNESDAY)
    fetched = ReleaseSource(f"file://{tmp_path}/{written}", archive).fetch(NAMES)
    assert fetched.path.read_bytes() == OLD
    assert fetched.url == (tmp_path / folder / NAMES.file_name).as_uri()
    assert (fetched.last_modified, fetched.release) == (WEDNESDAY, "2026-11-18")


def test_a_file_in_a_directory_is_copied_once_and_the_copy_is_the_archives_own(
    directory: Path, archive: Archive
) -> None:
    source = ReleaseSource(directory.as_uri(), archive)
    first = source.fetch(NAMES)
    assert source.fetch(NAMES) == replace(first, downloaded_bytes=0)
    with (directory / NAMES.file_name).open("r+b") as file:  # overwritten in place: no new inode
        file.truncate()
        file.write(NEW)
    assert source.fetch(NAMES).sha256 == sha256(NEW)
    assert first.path.read_bytes() == OLD


def test_a_file_that_changes_while_it_is_copied_is_a_transient_error(
    directory: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_overwrite(url: str, source: BinaryIO) -> bytes:
        data = _read_source_file(url, source)
        with (directory / NAMES.file_name).open("r+b") as file:
            file.write(NEW[:1000])
        return data

    with monkeypatch.context() as patched:
        patched.setattr("medgen_pipeline.release.transport.file._read_source_file", read_and_overwrite)
        with pytest.raises(UnavailableSourceError, match="changed while it was copied"):
            ReleaseSource(directory.as_uri(), archive).fetch(NAMES)
    assert files_under(archive.root) == []


def test_a_missing_file_and_a_missing_directory_are_told_apart(directory: Path, archive: Archive) -> None:
    with pytest.raises(MissingSourceFileError, match=r"holds no file MGREL.RRF.gz"):
        ReleaseSource(directory.as_uri(), archive).fetch(table_by_name("mgrel"))
    with pytest.raises(MissingSourceFileError, match="there is no directory"):
        ReleaseSource((directory / "none").as_uri(), archive).fetch(NAMES)


def test_a_directory_under_a_files_name_is_no_file(directory: Path, archive: Archive) -> None:
    (directory / "MGREL.RRF.gz").mkdir()
    with pytest.raises(MissingSourceFileError, match=re.escape("MGREL.RRF.gz")):
        ReleaseSource(directory.as_uri(), archive).fetch(table_by_name("mgrel"))


# --- URLs ---


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://ftp.ncbi.nlm.nih.gov/pub/medgen/", "scheme ftp://.*known are https://, http://, file://, s3://"),
        ("localhost:8000/medgen", "scheme localhost://"),
        ("/mirror/2021-08-20", "write file:///mirror/2021-08-20"),
        ("some/where", "write file:///.*/some/where"),
        ("C:\\mirror", "no scheme"),
        ("", "no scheme"),
        ("file://mirror/2021-08-20", "three slashes; found the host 'mirror'"),
        ("https:///pub/medgen", "names no server"),
        ("https://ncbi.test:port/", "not a valid connection URI"),
        ("https://[::1/", "not a valid connection URI"),
        ("https://ncbi.test/medgen?version=1", "must name a directory"),
        ("file:///mirror/#1", "%23"),
    ],
)
def test_a_url_that_cannot_be_a_source_is_refused_at_once(archive: Archive, url: str, complaint: str) -> None:
    with pytest.raises(UnusableSourceError, match=complaint):
        ReleaseSource(url, archive)


def test_the_default_source_is_ncbi(archive: Archive) -> None:
    assert ReleaseSource(MEDGEN.url.rstrip("/"), archive).url == MEDGEN.url


def test_a_password_in_the_url_is_sent_to_the_server_and_shown_nowhere(
    ncbi: NcbiDouble, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    source = ReleaseSource(ncbi.url.replace("//", "//reader:s%40cret@"), archive, IMPATIENT)
    fetched = source.fetch(NAMES)
    assert ncbi.seen[0].headers["Authorization"] == "Basic cmVhZGVyOnNAY3JldA=="
    ncbi.inject(status(401), on="HEAD")
    with pytest.raises(UnusableSourceError) as failure:
        source.fetch(NAMES)
    refusals = []
    for malformed in ("https://{}@ncbi.test/?query", "https://{}@/", "file://{}@mirror/", "//{}@mirror/", "s3://{}@"):
        with pytest.raises(UnusableSourceError) as refusal:
            ReleaseSource(malformed.format("reader:s%40cret"), archive)
        refusals.append(refusal.value)
    records = "".join(path.read_text() for path in (archive.root / "records").iterdir())
    shown = [fetched, source.url, source._options, failure.value, refusals, caplog.text, records]
    assert not re.search("cret|cmVhZGVy", " ".join(map(repr, shown)))


# --- where a source may lead ---


def test_a_redirect_on_the_source_s_own_host_is_followed(source: ReleaseSource, ncbi: NcbiDouble) -> None:
    shutil.copy(ncbi.directory / NAMES.file_name, ncbi.directory / "today.gz")
    for on in ("GET", "HEAD"):
        ncbi.inject(status(302, Location="today.gz"), on=on)
    assert source.fetch(NAMES).content_sha256 == sha256(OLD_TEXT)


def test_a_redirect_to_another_server_is_followed_only_where_the_user_has_named_it(
    source: ReleaseSource, ncbi: NcbiDouble, archive: Archive, tmp_path: Path
) -> None:
    with ncbi_double(ncbi.directory) as other:
        elsewhere = status(302, Location=other.url + NAMES.file_name)
        ncbi.inject(elsewhere)
        with pytest.raises(UnusableSourceError, match="redirects to another one") as refusal:
            source.fetch(NAMES)
        assert other.seen == []
        assert not (archive.root / "records" / NAMES.file_name).exists()
        (name,) = re.findall(r"MEDGEN_SOURCE_HOSTS=(\S+)\.$", str(refusal.value))
        trusting = replace(IMPATIENT, hosts=(name,))
        for on in ("GET", "HEAD"):
            ncbi.inject(elsewhere, on=on)
        url = ncbi.url.replace("//localhost", "//reader:secret@127.0.0.1")
        fetched = ReleaseSource(url, Archive(tmp_path / "another"), trusting).fetch(NAMES)
        assert fetched.content_sha256 == sha256(OLD_TEXT)
        assert [seen.method for seen in other.seen] == ["GET", "HEAD"]
        assert all("Authorization" in seen.headers for seen in ncbi.seen[1:])
        assert not any("Authorization" in seen.headers for seen in other.seen)


def test_a_redirect_from_https_to_http_is_refused(
    directory: Path, archive: Archive, trusted_tls: ssl.SSLContext
) -> None:
    with ncbi_double(directory) as plain, ncbi_double(directory, tls=trusted_tls) as secure:
        secure.inject(status(302, Location=plain.url + NAMES.file_name))
        trusting = replace(IMPATIENT, hosts=tuple(re.findall(r"//(localhost:\d+)", plain.url)))
        with pytest.raises(UnusableSourceError, match="from https:// to http://"):
            ReleaseSource(secure.url, archive, trusting).fetch(NAMES)
        assert plain.seen == []


def test_a_redirect_that_never_ends_is_refused(source: ReleaseSource, ncbi: NcbiDouble) -> None:
    ncbi.inject(*[status(302, Location=NAMES.file_name)] * 9)
    with pytest.raises(UnusableSourceError, match="redirects more than 5 times"):
        source.fetch(NAMES)


SECRET = b"root:s3cret:0\n"


@pytest.mark.parametrize(
    "lead",
    [
        pytest.param(lambda file, outside: file.symlink_to(outside / "shadow"), id="a link to a file"),
        pytest.param(lambda file, _: file.symlink_to("../outside/shadow"), id="a relative link"),
        pytest.param(
            lambda file, outside: ((file.parent / "folder").symlink_to(outside), file.symlink_to("folder/shadow")),
            id="a link through a folder that is a link",
        ),
    ],
)
def test_a_link_that_leads_out_of_the_directory_is_refused_and_nothing_of_it_is_shown(
    directory: Path, archive: Archive, tmp_path: Path, lead: Callable[[Path, Path], object]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shadow").write_bytes(SECRET)
    (directory / SOURCES.file_name).unlink()
    lead(directory / SOURCES.file_name, outside)
    with pytest.raises(UnusableSourceError, match="leads out of") as refusal:
        ReleaseSource(directory.as_uri(), archive).fetch(SOURCES)
    assert "s3cret" not in str(refusal.value)
    assert files_under(archive.root) == []


def test_a_link_put_in_a_file_s_place_while_it_is_opened_is_not_followed(
    directory: Path, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shadow").write_bytes(SECRET)
    file, opened = directory / SOURCES.file_name, os.open

    def racing(path: str, flags: int, *args: int, **settings: int) -> int:
        if path == file.name:
            file.unlink()
            file.symlink_to(tmp_path / "shadow")
        return opened(path, flags, *args, **settings)

    monkeypatch.setattr(os, "open", racing)
    monkeypatch.setattr(os, "supports_dir_fd", {racing})
    with pytest.raises(UnusableSourceError, match="cannot be read"):
        ReleaseSource(directory.as_uri(), archive).fetch(SOURCES)


def test_a_source_that_cannot_be_read_is_not_taken_for_the_archive(
    directory: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnABadDisk(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            del size
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdopen", OnABadDisk)
        with pytest.raises(UnusableSourceError, match=r"NAMES.RRF.gz: the file cannot be read: .*Input/output error"):
            ReleaseSource(directory.as_uri(), archive).fetch(NAMES)


def test_links_within_the_directory_and_a_link_to_the_directory_are_followed(
    directory: Path, archive: Archive, tmp_path: Path
) -> None:
    (directory / "store").mkdir()
    (directory / SOURCES.file_name).rename(directory / "store" / "1")
    (directory / SOURCES.file_name).symlink_to("store/1")
    (tmp_path / "current").symlink_to(directory)
    fetched = ReleaseSource((tmp_path / "current").as_uri(), archive).fetch(SOURCES)
    assert fetched.path.read_bytes() == SOURCES_TEXT


def test_a_pipe_under_a_files_name_is_not_waited_for(directory: Path, archive: Archive) -> None:
    os.mkfifo(directory / "MGREL.RRF.gz")
    with pytest.raises(MissingSourceFileError, match=re.escape("MGREL.RRF.gz")):
        ReleaseSource(directory.as_uri(), archive).fetch(table_by_name("mgrel"))


@pytest.mark.parametrize("secret", [SECRET, b"<Error>s3cret</Error>", b"#s3cret\n"])
def test_what_is_refused_is_not_shown(source: ReleaseSource, directory: Path, secret: bytes) -> None:
    publish(directory, NAMES.file_name, secret, FRIDAY)
    with pytest.raises(RefusedFileError) as refusal:
        source.fetch(NAMES)
    assert "s3cret" not in str(refusal.value)


def test_what_another_service_says_is_not_shown(archive: Archive) -> None:
    with raw_server(lambda _: [SECRET]) as url, pytest.raises(UnavailableSourceError) as failure:
        ReleaseSource(url, archive, IMPATIENT).fetch(NAMES)
    assert "no answer of a web server" in str(failure.value)
    assert "s3cret" not in str(failure.value)


# --- answers that no web server gives ---

NINES = b"9" * 5_000


@pytest.mark.parametrize(
    ("answer", "kind", "complaint"),
    [
        (b"200 OK\r\nContent-Length: " + NINES, UnusableSourceError, "the server announces a size of 5000 digits"),
        (b"302 Found\r\nLocation: http://[::1/", UnusableSourceError, "no URL of a web server"),
        (b"302 Found\r\nLocation: http://127.0.0.1:99999/", UnusableSourceError, "no URL of a web server"),
        (b"302 Found\r\nLocation: http://u:p@127.0.0.1/", UnusableSourceError, "no URL of a web server"),
        (b"302 Found\r\nLocation: file:///etc/passwd", UnusableSourceError, "no URL of a web server"),
        (b"302 Found\r\nLocation: http://169.254.169.254/", UnusableSourceError, "another one, 169.254.169.254:80"),
        (b"302 Found", UnusableSourceError, "the server answered 302"),
        (b"503 Busy\r\nRetry-After: " + NINES, UnavailableSourceError, "answered 503 .* Try again later"),
        (b"503 Busy\r\nRetry-After: Fri, 31 Dec 99999 23:59:59 GMT", UnavailableSourceError, "answered 503"),
        (b"503 Busy\r\nRetry-After: soon", UnavailableSourceError, "answered 503"),
        (b"599 " + b"x" * 9_000, UnavailableSourceError, "answered 599 .unknown to HTTP., at the last"),
        (b"102 Processing", UnusableSourceError, "answered 102"),
        (b"500 Error\r\n\r\n" + bytes(3 << 20), UnavailableSourceError, "answered 500|cannot be reached"),
    ],
    ids=lambda value: value[:50].decode() if isinstance(value, bytes) else "",
)
def test_a_header_that_cannot_be_meant_is_a_clear_error(
    archive: Archive, answer: bytes, kind: type[SourceError], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen_pipeline.release.transport.retries._MAX_RETRY_AFTER_SECONDS", 0.01)
    with raw_server(lambda _: [b"HTTP/1.1 " + answer + b"\r\n\r\n"]) as url:
        with pytest.raises(kind, match=complaint) as failure:
            ReleaseSource(url, archive, IMPATIENT).fetch(NAMES)
        assert len(str(failure.value)) < 1_000


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 9999 23:59:59 -0800", "Fri, 31 Dec 99999999999 23:59:59 GMT", "x" * 9_000]
)
def test_a_time_that_cannot_be_meant_counts_as_none(
    source: ReleaseSource, ncbi: NcbiDouble, directory: Path, date: str
) -> None:
    publish(directory, NAMES.file_name, gzip.compress(NEW_TEXT, mtime=WEDNESDAY.timestamp()), FRIDAY)
    for on in ("GET", "HEAD"):
        ncbi.inject(headed(Last_Modified=date, Date=date), on=on)
    assert source.fetch(NAMES).release == "2026-11-18"
    ncbi.inject(headed(Last_Modified=date), on="HEAD", of=NAMES.file_name)
    with pytest.raises(UnusableSourceError, match="does not say when the file changed"):
        source.look([NAMES], SourceMemory(source.url, FRIDAY), FRIDAY)


def test_a_file_s_time_that_cannot_be_meant_counts_as_none(directory: Path, archive: Archive) -> None:
    os.utime(directory / SOURCES.file_name, (0, 20_000_000_000))
    fetched = ReleaseSource(directory.as_uri(), archive).fetch(SOURCES)
    assert fetched.release == datetime.now(UTC).date().isoformat()


def dripping(*pieces: bytes) -> Iterator[bytes]:
    """The pieces, and then the last of them again and again."""
    yield from pieces
    while True:
        time.sleep(0.02)
        yield pieces[-1]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nX: ", b"x"], id="a header"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], id="1xx answers"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"], id="a body"),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"], id="chunks"),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"], id="a chunk's extension"),
        pytest.param([b"HTTP/1.1 503 Busy\r\n\r\n", b"x"], id="an error's page"),
    ],
)
def test_an_answer_that_comes_drop_by_drop_is_given_up(
    archive: Archive, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen_pipeline.release.fetch._LOOK_READ_TIMEOUT", 0.2)
    hasty = replace(IMPATIENT, attempts=2, answer_timeout=0.2, min_bytes_per_second=(256 << 10) / 0.2)
    started = time.monotonic()
    with raw_server(lambda _: dripping(*pieces)) as url:
        source = ReleaseSource(url, archive, hasty)
        with pytest.raises(UnavailableSourceError, match=r"cannot be reached|broken off 2 times|answered 503"):
            source.fetch(NAMES)
        with pytest.raises(UnavailableSourceError):
            source.look([NAMES], SourceMemory(url, FRIDAY), FRIDAY)
    assert time.monotonic() - started < 15  # it would be for ever


def test_a_download_may_take_longer_than_any_other_answer_as_long_as_it_goes_on(archive: Archive) -> None:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(OLD)}\r\n\r\n".encode()

    def slowly(request: bytes) -> Iterator[bytes]:
        yield head
        for position in range(0, len(OLD) if request.startswith(b"GET") else 0, 4 << 10):
            time.sleep(0.07)
            yield OLD[position : position + (4 << 10)]

    steady = replace(IMPATIENT, attempts=1, answer_timeout=2.5, min_bytes_per_second=(256 << 10) / 60)
    assert len(OLD) > 48 * (4 << 10)  # three seconds and more
    with raw_server(slowly) as url:
        assert ReleaseSource(url, archive, steady).fetch(NAMES).content_sha256 == sha256(OLD_TEXT)


@pytest.mark.parametrize(
    "repeated",
    [
        "<a href='",
        "<a x>",
        "<",
        "<a href='b'>",
        "<a href='b'></a><",
        "<a href='b'>c</a>\n",
        "href='",
        "\u00a0 12:",
        "</a>",
    ],
)
def test_a_listing_is_read_in_time_that_grows_with_its_size(repeated: str) -> None:
    def seconds(size: int) -> float:
        page = "<a href='x'>" + repeated * (size // len(repeated))
        times = []
        for _ in range(3):
            started = time.process_time()
            list(listed_files(page))
            times.append(time.process_time() - started)
        return min(times)

    small, large = seconds(16 << 10), seconds(256 << 10)
    assert large < 80 * (small + 1e-3)  # 16 times the size; in quadratic time it would be 256 times as much


# --- the release label ---


@pytest.mark.parametrize(
    ("folder", "gzip_time", "by_http", "label"),
    [
        pytest.param("2021-08-20", FRIDAY, True, "2021-08-20", id="a date ends the URL"),
        pytest.param("2021-08-20", FRIDAY, False, "2021-08-20", id="a date ends the directory"),
        pytest.param("2021-13-20", FRIDAY, False, "2026-11-20", id="no date: month 13"),
        pytest.param("20210820", FRIDAY, False, "2026-11-20", id="no date: only digits"),
        pytest.param("medgen", FRIDAY, True, "2026-11-18", id="HTTP's Last-Modified before the gzip header"),
        pytest.param("medgen", FRIDAY, False, "2026-11-20", id="the gzip header before a file's time"),
        pytest.param("medgen", None, False, "2026-11-18", id="a file's time"),
    ],
)
def test_the_release_is_named_by_the_best_date_there_is(
    tmp_path: Path,
    archive: Archive,
    folder: str,
    gzip_time: datetime | None,
    by_http: bool,
    label: str,
) -> None:
    seconds = int(gzip_time.timestamp()) if gzip_time else 0
    publish(tmp_path / folder, NAMES.file_name, gzip.compress(OLD_TEXT, mtime=seconds), WEDNESDAY)
    with ncbi_double(tmp_path / folder) as ncbi:
        base = f"{ncbi.url}{folder}/" if by_http else (tmp_path / folder).as_uri()
        fetched = ReleaseSource(base, archive).fetch(NAMES)
        assert (fetched.release, fetched.last_modified) == (label, WEDNESDAY)


def test_the_gzip_header_names_the_release_where_the_server_does_not(
    source: ReleaseSource, directory: Path, ncbi: NcbiDouble
) -> None:
    stamped = gzip.compress(OLD_TEXT, mtime=int(FRIDAY.timestamp()))
    publish(directory, NAMES.file_name, stamped, WEDNESDAY)
    ncbi.inject(headed(Last_Modified=None))
    fetched = source.fetch(NAMES)
    assert (fetched.release, fetched.last_modified) == ("2026-11-20", FRIDAY)


@pytest.fixture
def in_auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "NZST-12")  # there, 23:30 UTC is on the next day
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_auckland")
def test_the_release_date_is_that_of_utc(source: ReleaseSource, directory: Path, archive: Archive) -> None:
    for fetched in (source.fetch(NAMES), ReleaseSource(directory.as_uri(), archive).fetch(NAMES)):
        assert (fetched.release, fetched.last_modified) == ("2026-11-18", WEDNESDAY)
        assert fetched.last_modified.tzinfo == UTC


# --- several processes, and what they say ---


def test_fetches_of_one_file_at_once_download_it_once(ncbi: NcbiDouble, archive: Archive) -> None:
    release = threading.Event()
    ncbi.inject(before(lambda: release.wait(60)))
    with ThreadPoolExecutor(3) as pool:
        fetches = [pool.submit(ReleaseSource(ncbi.url, archive, IMPATIENT).fetch, NAMES) for _ in range(3)]
        threading.Timer(0.3, release.set).start()
        fetched = [fetch.result() for fetch in fetches]
    assert sorted(file.downloaded_bytes for file in fetched) == [0, 0, len(OLD)]
    assert {file.sha256 for file in fetched} == {sha256(OLD)}
    assert sorted(ncbi.methods()) == ["GET", "HEAD", "HEAD", "HEAD"]


def test_different_files_are_fetched_side_by_side(source: ReleaseSource, ncbi: NcbiDouble, archive: Archive) -> None:
    release = threading.Event()
    ncbi.inject(cut_after(1000, wait_for=release), of=NAMES.file_name)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(source.fetch, NAMES)
        while not list((archive.root / "incoming").glob("NAMES*")):
            assert not slow.done()
            time.sleep(0.01)
        assert source.fetch(SOURCES).sha256 == sha256(SOURCES_TEXT)
        assert not slow.done()
        assert any(path.startswith("incoming/NAMES") for path in files_under(archive.root))
        release.set()
        assert slow.result().sha256 == sha256(OLD)


_FETCH = """
import logging, sys
from pathlib import Path
from medgen_pipeline.catalog import TABLES
from medgen_pipeline.release import Archive, ReleaseSource
logging.basicConfig(level=logging.INFO)
url, home, number = sys.argv[1:]
ReleaseSource(url, Archive(Path(home))).fetch(TABLES[int(number)])
"""


def test_two_connections_are_open_at_most_however_many_processes_fetch(directory: Path, archive: Archive) -> None:
    gate, lock, inside = threading.Event(), threading.Lock(), [0, 0]  # now, at most

    def hold() -> None:
        with lock:
            inside[0] += 1
            inside[1] = max(inside)
        gate.wait(60)
        with lock:
            inside[0] -= 1

    tables = [table for table in TABLES if table.is_gzip][:5]
    for table in tables:
        publish(directory, table.file_name, OLD, WEDNESDAY)
    with ncbi_double(directory) as ncbi, ExitStack() as stack:
        ncbi.inject(*[before(hold)] * len(tables))
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _FETCH, ncbi.url, str(archive.root), str(TABLES.index(table))],
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for table in tables
        ]
        waiting: list[str] = []
        readers = [threading.Thread(target=lambda p=p: waiting.extend(line for line in p.stderr)) for p in started]
        for reader in readers:
            reader.start()
        told = "2 connections are open; waiting"
        while inside[1] < 2 or (inside[1] == 2 and sum(told in line for line in waiting) < 3):
            time.sleep(0.02)
        gate.set()
        assert [process.wait(60) for process in started] == [0] * len(tables)
        for reader in readers:
            reader.join()
    assert inside[1] == 2


def test_a_process_that_is_killed_gives_its_connection_back(archive: Archive) -> None:
    program = f"""
import sys
from pathlib import Path
from medgen_pipeline.release import Archive
from medgen_pipeline.release.transport.connections import counted_connection
with counted_connection(Archive(Path({str(archive.root)!r})).folder, "ncbi.test", 1):
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"ready\n"
        with (
            pytest.raises(ConnectionsInUseError, match=r"ncbi.test: 1 connections are open"),
            counted_connection(archive.folder, "ncbi.test", 1, patience=0),
        ):
            pass
        with counted_connection(archive.folder, "elsewhere.test", 1, patience=0):
            other.kill()
        with counted_connection(archive.folder, "ncbi.test", 1, patience=60):
            pass


def test_a_directory_is_no_host(directory: Path, archive: Archive) -> None:
    ReleaseSource(directory.as_uri(), archive).fetch(NAMES)
    assert [path.name for path in (archive.root / "locks").iterdir() if not path.name.startswith("NAMES")] == []


def test_a_download_logs_its_start_each_tenth_and_its_end(
    source: ReleaseSource, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "medgen_pipeline")
    big = gzip.compress(random.Random(4).randbytes(4_000_000), 0, mtime=0)
    publish(directory, NAMES.file_name, big, WEDNESDAY)
    source.fetch(NAMES)
    assert "NAMES.RRF.gz: download starts" in caplog.text
    assert f"NAMES.RRF.gz: {len(big)} bytes in " in caplog.text
    assert "MB/s" in caplog.text
    assert re.findall(r"gz: (\d+) %", caplog.text) == [str(percent) for percent in range(10, 100, 10)]
