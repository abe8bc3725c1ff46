"""The verification that a downloaded file passes before it is archived: read once, hashed, cut, refused if unusable."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from isal import igzip_lib

from medgen_pipeline.release.errors import RefusedFileError
from medgen_pipeline.rows.diff import BlockList, EndlessLineError

# Small, because one block of a hostile gzip file inflates a thousandfold; larger blocks were not faster.
_BLOCK_BYTES = 64 << 10
_GZIP_MAGIC = b"\x1f\x8b"
_INFLATED_BYTES = 1 << 20
# The largest file of a release, medgen_pubmed_lnk, has 2 GB.
MAX_CONTENT_BYTES = 32 << 30
# isal 1.9.1 declares the class as if it were an instance.
_GzipError: type[Exception] = igzip_lib.error  # type: ignore[assignment]
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Examined:
    """A file that passed the examination: its hashes, the time in its gzip header, if there is one, and its blocks."""

    sha256: str
    content_sha256: str
    byte_size: int
    gzip_time: datetime | None
    blocks: BlockList


def examine(path: Path, *, url: str, is_gzip: bool, max_content_bytes: int = MAX_CONTENT_BYTES) -> Examined:
    """Read a file once: hash its published and its decompressed bytes, cut it, refuse what is not a whole table."""
    published = hashlib.sha256()
    content = hashlib.sha256() if is_gzip else published
    with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
        head = file.read(512)
        _refuse_wrong_kind(head, url, is_gzip=is_gzip)
        file.seek(0)
        chunks = _hashed(iter(lambda: file.read(_BLOCK_BYTES), b""), published)
        if is_gzip:
            chunks = _hashed(_limited(_inflate(chunks), max_content_bytes, url), content)
        try:
            blocks = BlockList.of(_one_ahead(chunks, beside))
        except (_GzipError, EOFError) as error:
            raise RefusedFileError(
                f"{url}: damaged gzip file ({error}) near byte {file.tell()} of {path.stat().st_size}. "
                "Not archived. Fetch it again; if that does not help, the published file itself is damaged."
            ) from error
        except EndlessLineError as error:
            raise RefusedFileError(f"{url}: {error} Not archived. Open the URL by hand.") from error
    if not blocks.header:
        raise RefusedFileError(f"{url}: the gzip file holds no data; expected a table. Not archived.")
    seconds = int.from_bytes(head[4:8], "little") if is_gzip else 0
    return Examined(
        sha256=published.hexdigest(),
        content_sha256=content.hexdigest(),
        byte_size=path.stat().st_size,
        gzip_time=datetime.fromtimestamp(seconds, UTC) if seconds else None,
        blocks=blocks,
    )


def _refuse_wrong_kind(head: bytes, url: str, *, is_gzip: bool) -> None:
    expected = "a gzip file (1f 8b)" if is_gzip else "a plain text table"
    if not head:
        found = "an empty file"
    elif head.removeprefix(_UTF8_BOM).lstrip().startswith(b"<"):  # no MedGen header begins so
        found = "an HTML or XML page (of a proxy, a login or an outage?)"
    elif head.startswith(_GZIP_MAGIC) != is_gzip:
        found = "something else" if is_gzip else "a gzip file"
    else:
        return
    raise RefusedFileError(
        f"{url}: expected {expected}, got {found}. Not archived. Open the URL by hand and check it and the proxy."
    )


def _limited(chunks: Iterable[bytes], most: int, url: str) -> Iterator[bytes]:
    """Refuse a file that decompresses to too much, before all of it has been decompressed."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise RefusedFileError(
                f"{url}: decompresses to more than {most:,} bytes, the most that is accepted. Not archived. "
                "If the file is right, raise max_decompressed_gib of the resource medgen_source."
            )
        yield chunk


def _hashed(blocks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def _one_ahead(chunks: Iterator[bytes], beside: ThreadPoolExecutor) -> Iterator[bytes]:
    """Make the next chunk in another thread; decompression and hashing need no interpreter."""
    made = beside.submit(next, chunks, None)
    while (chunk := made.result()) is not None:
        made = beside.submit(next, chunks, None)
        yield chunk


def _inflate(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress member after member; CRC and length of each are checked.

    After the last one, as for ``gzip -t``, there may be NUL bytes up to the end, which tapes and some copies leave, and
    nothing else. ``isal.igzip.open`` would take a member after them, too (isal 1.9.1), and so hide a hole in a file.
    What is yielded has a limit: a file of one letter is a thousandth of itself compressed.
    """
    member, padded = _new_member(), False
    for block in blocks:
        rest = block
        while rest or not (member.needs_input or member.eof):
            if member.eof:
                padded = padded or rest.startswith(b"\0")
                if padded:
                    rest = rest.lstrip(b"\0")
                    if rest:
                        raise EOFError("bytes follow the NUL bytes after its end")
                    continue
                member = _new_member()
            yield member.decompress(rest, _INFLATED_BYTES)
            rest = member.unused_data if member.eof else b""
    if not member.eof:
        raise EOFError("it ends too early, or stray bytes follow its end")


def _new_member() -> igzip_lib.IgzipDecompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
