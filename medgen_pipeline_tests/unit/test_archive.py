"""The archive on a real disk: what it takes in, what it refuses, and what it does after a crash."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medgen_pipeline.release import Archive, ArchiveError, RefusedFileError
from medgen_pipeline.release.records import Fingerprint, Record
from medgen_pipeline.release.transport.connections import counted_connection
from medgen_pipeline.release.verify import examine
from medgen_pipeline.rows.diff import BlockList
from medgen_pipeline_tests.folders import files_under, sha256

URL = "https://ncbi.test/pub/medgen/NAMES.RRF.gz"
TEXT = b"#CUI|name|source|SUPPRESS|\n" + b"C0000001|a name|HPO|N|\n" * 20_000
GZIP = gzip.compress(TEXT, mtime=1_600_000_000)


def put(archive: Archive, data: bytes, *, url: str = URL, is_gzip: bool = True) -> Record:
    with archive.reserve(url) as part:
        part.write_bytes(data)
        examined = archive.admit(part, url=url, is_gzip=is_gzip)
        record = Record(
            fingerprint=Fingerprint(url, "Wed, 18 Nov 2026 10:00:00 GMT", len(data)),
            sha256=examined.sha256,
            content_sha256=examined.content_sha256,
            byte_size=examined.byte_size,
            release="2026-11-18",
            last_modified=datetime(2026, 11, 18, 10, tzinfo=UTC),
        )
        archive.remember(record)
    return record


def test_an_admitted_file_is_found_by_its_hash_and_recalled_by_its_url(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    record = put(archive, GZIP)
    assert (record.sha256, record.content_sha256) == (sha256(GZIP), sha256(TEXT))
    path = archive.path_of(record.sha256)
    assert path is not None
    assert path == archive.address_of(record)
    assert path.read_bytes() == GZIP
    assert not path.stat().st_mode & 0o222
    assert archive.recall(URL) == record
    assert Archive(tmp_path / "archive").recall(URL) == record


def test_an_admitted_file_has_a_block_list_and_a_damaged_one_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = Archive(tmp_path / "archive")
    record = put(archive, GZIP)
    assert archive.blocks_of(record.sha256) == BlockList.of([TEXT])
    (path,) = (archive.root / "blocks").rglob(record.sha256)
    path.write_bytes(path.read_bytes()[:-1])
    assert archive.blocks_of(record.sha256) is None
    assert "damaged; it is not used" in caplog.text
    path.unlink()
    assert archive.blocks_of(record.sha256) is None


def test_an_unknown_hash_and_an_unknown_url_are_not_found(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "never made")
    assert archive.path_of(sha256(b"")) is None
    assert archive.recall(URL) is None
    with pytest.raises(ValueError, match="not a SHA-256"):
        archive.path_of("../../etc/passwd")


def test_the_examination_tells_the_hashes_and_the_time_in_the_gzip_header(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(GZIP)
    examined = examine(path, url=URL, is_gzip=True)
    assert (examined.sha256, examined.content_sha256) == (sha256(GZIP), sha256(TEXT))
    assert examined.byte_size == len(GZIP)
    assert examined.gzip_time == datetime.fromtimestamp(1_600_000_000, UTC)
    path.write_bytes(gzip.compress(TEXT, mtime=0))
    assert examine(path, url=URL, is_gzip=True).gzip_time is None
    path.write_bytes(TEXT)
    examined = examine(path, url=URL, is_gzip=False)
    assert examined.sha256 == examined.content_sha256 == sha256(TEXT)
    assert examined.gzip_time is None


def test_a_gzip_file_of_several_members_is_one_table(tmp_path: Path) -> None:
    path = tmp_path / "file"
    # Members end at every possible place of a read block: 64 KiB plus or minus a trailer.
    for padding in range(65_536 - 60, 65_536 - 30):
        first = gzip.compress(bytes(hashlib.shake_128(b"noise").digest(padding)), 0)
        path.write_bytes(first + gzip.compress(b"") + gzip.compress(TEXT))
        expected = sha256(gzip.decompress(path.read_bytes()))
        assert examine(path, url=URL, is_gzip=True).content_sha256 == expected


@pytest.mark.parametrize("padding", [1, 7, 512, 65_536, 200_000])
def test_a_gzip_file_may_be_padded_with_zeros(tmp_path: Path, padding: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(GZIP + GZIP + bytes(padding))
    assert examine(path, url=URL, is_gzip=True).content_sha256 == sha256(TEXT + TEXT)


def test_a_file_that_decompresses_to_too_much_is_refused_before_all_of_it_was(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(TEXT + b"C1|x|\n" * 1_000_000))
    with pytest.raises(RefusedFileError, match=r"more than 100,000 bytes.*raise max_decompressed_gib") as error:
        Archive(tmp_path, max_content_bytes=100_000).admit(path, url=URL, is_gzip=True)
    assert "Not archived" in str(error.value)
    assert not (tmp_path / "sha256").exists()
    path.write_bytes(GZIP)
    assert examine(path, url=URL, is_gzip=True, max_content_bytes=len(TEXT))
    with pytest.raises(RefusedFileError, match="decompresses to more than"):
        examine(path, url=URL, is_gzip=True, max_content_bytes=len(TEXT) - 1)


def test_a_file_that_inflates_a_thousandfold_is_examined_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    text = b"C0000001|\n" * 6_000_000
    path.write_bytes(gzip.compress(text))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        examined = examine(path, url=URL, is_gzip=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert examined.content_sha256 == sha256(text)
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"<!DOCTYPE html><html>Down", "HTML or XML page", id="html"),
        pytest.param(b"\xef\xbb\xbf\n <html>", "HTML or XML page", id="html after BOM and blanks"),
        pytest.param(TEXT, r"expected a gzip file \(1f 8b\), got something else", id="plain text"),
        pytest.param(gzip.compress(b""), "holds no data", id="gzip of nothing"),
        pytest.param(gzip.compress(b"#CUI|\n" + bytes(65 << 20), 1), "longer than 67,108,864 bytes", id="endless line"),
        pytest.param(GZIP[:5], "ends too early", id="cut in the header"),
        pytest.param(GZIP[: len(GZIP) // 2], "ends too early", id="cut in the body"),
        pytest.param(GZIP[:-3], "ends too early", id="cut in the trailer"),
        pytest.param(GZIP + GZIP[:100], "ends too early", id="cut in the second member"),
        pytest.param(GZIP[:-8] + b"\0\0\0\0" + GZIP[-4:], "checksum", id="wrong CRC"),
        pytest.param(GZIP[:-4] + b"\0\0\0\0", "checksum", id="wrong length"),
        pytest.param(GZIP[:50] + b"\xff" * 40 + GZIP[90:], "damaged gzip", id="damaged block"),
        pytest.param(GZIP + b"garbage after", "damaged gzip", id="garbage"),
        pytest.param(GZIP + b"x", "stray bytes", id="one stray byte"),
        pytest.param(GZIP + bytes(512) + GZIP, "damaged gzip.*NUL", id="zeros between members"),
        pytest.param(GZIP + bytes(70_000) + b"x", "damaged gzip.*NUL", id="a byte after zeros"),
        pytest.param(bytes(512), "something else", id="nothing but zeros"),
    ],
)
def test_a_file_that_is_no_whole_gzip_table_is_refused_and_leaves_no_trace(
    tmp_path: Path, data: bytes, complaint: str
) -> None:
    archive = Archive(tmp_path)
    with pytest.raises(RefusedFileError, match=complaint) as refusal:
        put(archive, data)
    assert URL in str(refusal.value)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"\n<html>", "HTML or XML page", id="html"),
        pytest.param(GZIP, "expected a plain text table, got a gzip file", id="gzip"),
    ],
)
def test_a_file_that_is_no_plain_table_is_refused_and_leaves_no_trace(
    tmp_path: Path, data: bytes, complaint: str
) -> None:
    with pytest.raises(RefusedFileError, match=complaint):
        put(Archive(tmp_path), data, is_gzip=False)
    assert files_under(tmp_path) == []


def test_two_urls_with_the_same_bytes_share_one_archived_file(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    mirror = "https://mirror.test/medgen/NAMES.RRF.gz"
    assert put(archive, GZIP).sha256 == put(archive, GZIP, url=mirror).sha256
    assert len([path for path in files_under(tmp_path) if path.startswith("sha256")]) == 1
    recalled = archive.recall(mirror)
    assert recalled is not None
    assert recalled.fingerprint.url == mirror


def damage_record(text: str) -> Callable[[Path, Record], None]:
    def damage(root: Path, _: Record) -> None:
        (record,) = (root / "records").iterdir()
        record.write_text(text)

    return damage


def edit_record(old: str, new: str) -> Callable[[Path, Record], None]:
    def damage(root: Path, _: Record) -> None:
        (record,) = (root / "records").iterdir()
        text = record.read_text()
        assert old in text
        record.write_text(text.replace(old, new))

    return damage


def cut_archived_file(root: Path, record: Record) -> None:
    path = Archive(root).address_of(record)
    path.unlink()
    path.write_bytes(GZIP[:-1])


def delete_archived_file(root: Path, record: Record) -> None:
    Archive(root).address_of(record).unlink()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage_record(""), id="empty record"),
        pytest.param(damage_record("\0" * 300), id="record of zeros"),
        pytest.param(damage_record('{"sha256": "ab'), id="cut record"),
        pytest.param(damage_record("[]"), id="record that is a list"),
        pytest.param(damage_record("{}"), id="record without fields"),
        pytest.param(edit_record('"sha256": "', '"sha256": "../'), id="malformed hash"),
        pytest.param(edit_record('"content_sha256": "', '"content_sha256": "g'), id="malformed content hash"),
        pytest.param(edit_record('"2026-11-18"', "null"), id="no release"),
        pytest.param(edit_record("2026-11-18T10", "2026-11-18T99"), id="impossible time"),
        pytest.param(edit_record('"etag"', '"colour"'), id="foreign field"),
        pytest.param(damage_record('{"versions": []}'), id="no version"),
        pytest.param(delete_archived_file, id="file gone"),
        pytest.param(cut_archived_file, id="file cut"),
    ],
)
def test_a_damaged_record_or_archived_file_counts_as_unknown_and_is_healed(
    tmp_path: Path, damage: Callable[[Path, Record], None]
) -> None:
    archive = Archive(tmp_path)
    record = put(archive, GZIP)
    damage(tmp_path, record)
    assert archive.recall(URL) is None
    record = put(archive, GZIP)
    assert archive.recall(URL) == record
    assert archive.path_of(record.sha256) is not None


def test_an_archived_file_whose_bytes_changed_is_not_handed_out(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    record = put(archive, GZIP)
    path = archive.address_of(record)
    path.chmod(0o644)
    path.write_bytes(GZIP[:-1] + b"\xff")
    assert archive.path_of(record.sha256) is None


def test_a_source_without_time_and_etag_proves_nothing() -> None:
    bare = Fingerprint(URL, modified="", size=100)
    assert not bare.proves_unchanged(bare)
    dated = replace(bare, modified="Wed, 18 Nov 2026 10:00:00 GMT")
    assert dated.proves_unchanged(dated)
    assert not dated.proves_unchanged(replace(dated, size=101))
    assert not dated.proves_unchanged(replace(dated, modified="Wed, 18 Nov 2026 10:00:01 GMT"))
    assert not dated.proves_unchanged(replace(dated, etag='"a"'))


def test_leftovers_of_a_killed_process_are_swept_and_those_of_a_live_one_are_not(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from medgen_pipeline.release.archive import Archive
with Archive(Path({str(tmp_path)!r})).reserve("https://ncbi.test/pub/medgen/MGREL.RRF.gz") as part:
    part.write_bytes(b"half a file")
    part.with_suffix(".json").write_text("half a record")
    print("ready", flush=True)
    sys.stdin.read()
"""
    archive = Archive(tmp_path)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"ready\n"
        with archive.reserve(URL):
            assert len(files_under(tmp_path)) == 3  # with our own
        other.kill()
    assert len(files_under(tmp_path)) == 2
    with archive.reserve(URL):
        assert len(files_under(tmp_path)) == 1
    assert files_under(tmp_path) == []


def test_an_archive_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(ArchiveError, match="MEDGEN_HOME"):
        put(Archive(tmp_path / "file"), GZIP)


def open_to_others(root: Path) -> list[Path]:
    return [path for path in (root, *root.rglob("*")) if path.lstat().st_mode & 0o077]


def test_only_the_owner_can_read_an_archive_also_one_that_an_earlier_version_left_open(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    umask = os.umask(0)  # so that nothing is private by chance
    try:
        archive = Archive(root)
        put(archive, GZIP)
        with archive.reserve(URL) as part:
            assert part.stat().st_mode & 0o777 == 0o600
        with counted_connection(archive.folder, "host", 1):
            assert files_under(root)
        assert open_to_others(root) == []
        for path in (root, *root.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o644)
        put(archive, GZIP)
    finally:
        os.umask(umask)
    assert open_to_others(root) == []


def version(number: int) -> bytes:
    return gzip.compress(TEXT + b"%d|x|HPO|N|\n" % number, mtime=number + 1)


def archived(archive: Archive, *numbers: int) -> list[bool]:
    return [archive.path_of(sha256(version(number))) is not None for number in numbers]


def test_everything_is_kept_where_nothing_else_is_asked_for(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    for number in range(5):
        put(archive, version(number))
        archive.prune(URL)
    assert archived(archive, *range(5)) == [True] * 5


def test_as_many_versions_are_kept_as_were_asked_for_and_the_newest_ones(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keep=2)
    for number in range(4):
        put(archive, version(number))
    assert archived(archive, *range(4)) == [True] * 4  # until a load has succeeded
    archive.prune(URL)
    assert archived(archive, *range(4)) == [False, False, True, True]
    assert len(files_under(tmp_path)) == 2 * 2 + 1  # files and block lists of two versions, and the record
    assert kept_versions(archive) == [3, 2]
    archive.prune(URL)
    assert archived(archive, 2, 3) == [True, True]


def test_the_version_that_production_was_made_from_is_kept_however_old(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keep=2)
    for number in range(5):
        put(archive, version(number))
    archive.prune(URL, {sha256(version(1))})
    assert archived(archive, *range(5)) == [False, True, False, True, True]
    assert kept_versions(archive) == [4, 3, 1]


def test_a_version_that_came_back_counts_as_new(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keep=2)
    for number in (0, 1, 0, 2):
        put(archive, version(number))
    assert kept_versions(archive, 3) == [2, 0, 1]
    archive.prune(URL)
    assert archived(archive, 0, 1, 2) == [True, False, True]


def test_a_file_that_another_url_gave_too_is_not_deleted(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keep=2)
    put(archive, version(0), url="https://mirror.test/NAMES.RRF.gz")
    for number in range(3):
        put(archive, version(number))
    archive.prune(URL)
    assert archived(archive, 0, 1, 2) == [True, True, True]


def kept_versions(archive: Archive, number: int = 5) -> list[int]:
    """Which of ``number`` versions the archive lists, in its order."""
    known = {sha256(version(one)): one for one in range(number)}
    return [known[record.sha256] for record in archive.versions_of("NAMES.RRF.gz")]


def test_every_version_of_a_file_is_listed_with_release_hashes_size_and_times(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    older = put(archive, version(1))
    newer = put(archive, version(2), url="file:///releases/2026-11-18/NAMES.RRF.gz")
    put(archive, version(3), url="https://ncbi.test/pub/medgen/MGREL.RRF.gz")
    assert Archive(tmp_path).versions_of("NAMES.RRF.gz") == [newer, older]
    assert (older.sha256, older.content_sha256) == (sha256(version(1)), sha256(gzip.decompress(version(1))))
    assert (older.byte_size, older.release) == (len(version(1)), "2026-11-18")
    assert older.last_modified < older.fetched <= datetime.now(UTC)


def test_a_version_whose_file_is_gone_is_not_listed(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    put(archive, version(1))
    archive.address_of(put(archive, version(2))).unlink()
    assert kept_versions(archive) == [1]


class FolderStore:
    """A second tier in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = root.as_uri()

    def upload(self, path: Path, name: str, *, replace: bool = False) -> None:
        target = self.root / name
        if replace or not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())

    def download(self, name: str, path: Path) -> bool:
        if not (self.root / name).exists():
            return False
        path.write_bytes((self.root / name).read_bytes())
        return True


def test_what_was_deleted_here_is_still_listed_and_had_from_the_second_tier(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive", keep=2, remote=FolderStore(tmp_path / "second"))
    for number in range(4):
        put(archive, version(number))
        archive.prune(URL)
    assert not archive.address_of(archive.versions_of("NAMES.RRF.gz")[3]).exists()
    assert kept_versions(archive) == [3, 2, 1, 0]
    assert archived(archive, 0) == [True]


# Records of an earlier version: what the URL last gave, and the hashes of what it gave before.


def make_old_record(root: Path, *numbers: int, url: str = URL) -> None:
    """Put versions into the archive, and a record as an earlier version of the package has written it."""
    archive = Archive(root)
    for number in numbers:
        newest = put(archive, version(number), url=url)
    (path,) = (root / "records").iterdir()
    old = {
        "fingerprint": asdict(newest.fingerprint),
        "sha256": newest.sha256,
        "content_sha256": newest.content_sha256,
        "byte_size": newest.byte_size,
        "release": newest.release,
        "last_modified": newest.last_modified.isoformat(),
        "earlier": [sha256(version(number)) for number in reversed(numbers[:-1])],
    }
    path.write_text(json.dumps(old))


def test_an_old_record_is_completed_from_the_files_when_it_is_first_used(tmp_path: Path) -> None:
    make_old_record(tmp_path, 1, 2, 3)
    archive = Archive(tmp_path)
    newest = archive.recall(URL)
    assert newest is not None
    assert newest.sha256 == sha256(version(3))
    assert kept_versions(archive) == [3, 2, 1]
    found = archive.versions_of("NAMES.RRF.gz")[1]
    assert (found.content_sha256, found.byte_size) == (sha256(gzip.decompress(version(2))), len(version(2)))
    assert (found.release, found.last_modified) == ("1970-01-01", datetime.fromtimestamp(3, UTC))  # of its gzip header
    assert found.fetched > datetime(2020, 1, 1, tzinfo=UTC)
    (path,) = (tmp_path / "records").iterdir()
    assert "earlier" not in path.read_text()


def test_the_release_of_an_old_version_is_the_date_that_names_its_folder(tmp_path: Path) -> None:
    make_old_record(tmp_path, 1, 2, url="https://mirror.test/2025-12-31/NAMES.RRF.gz")
    assert Archive(tmp_path).versions_of("NAMES.RRF.gz")[1].release == "2025-12-31"


def test_a_new_version_and_a_clean_up_keep_what_an_old_record_knows(tmp_path: Path) -> None:
    make_old_record(tmp_path, 1, 2, 3)
    archive = Archive(tmp_path, keep=3)
    put(archive, version(4))
    assert kept_versions(archive) == [4, 3, 2, 1]
    make_old_record(tmp_path, 1, 2, 3, 4)
    archive.prune(URL)
    assert kept_versions(archive) == [4, 3, 2]
    assert archived(archive, 1, 2) == [False, True]


KILLED_AT_EACH_STEP = """
import os, shutil, sys
from pathlib import Path
from medgen_pipeline.release.archive import Archive

old = Path(sys.argv[1])
for point in range(1000):
    root = old.parent / f"copy-{point}"
    shutil.copytree(old, root)
    if (child := os.fork()) == 0:
        passed = iter(range(point))

        def strike(event, arguments):
            if event in {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod"} and next(passed, None) is None:
                os.kill(os.getpid(), 9)

        sys.addaudithook(strike)
        Archive(root).versions_of("NAMES.RRF.gz")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(point)
"""


def test_a_process_killed_while_it_completes_an_old_record_loses_nothing(tmp_path: Path) -> None:
    make_old_record(tmp_path / "old", 1, 2, 3)
    program = [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path / "old")]
    points = int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    assert points > 10
    for point in range(points):
        archive = Archive(tmp_path / f"copy-{point}")
        assert kept_versions(archive) == [3, 2, 1], point
        assert archived(archive, 1, 2, 3) == [True] * 3, point


@pytest.mark.parametrize("keep", [1, 0, -3])
def test_fewer_than_two_versions_cannot_be_kept(tmp_path: Path, keep: int) -> None:
    with pytest.raises(ArchiveError, match=f"at least 2 versions of a file are kept, found {keep}"):
        Archive(tmp_path, keep=keep)
