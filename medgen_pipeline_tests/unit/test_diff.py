"""The difference of two files against a count of their lines."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.rows import diff
from medgen_pipeline.rows.diff import BlockList, EndlessLineError, LineChanges, diff_files

HEADER = b"#CUI|name|\n"


def changes_between(
    old: bytes, new: bytes, old_blocks: BlockList | None = None, new_blocks: BlockList | None = None
) -> LineChanges | None:
    @contextmanager
    def opened(content: bytes) -> Iterator[BinaryIO]:
        yield io.BytesIO(content)

    return diff_files(lambda: opened(old), lambda: opened(new), old_blocks, new_blocks)


def lines_of(*lines: bytes) -> bytes:
    return HEADER + b"".join(line + b"\n" for line in lines)


def test_equal_files_differ_in_nothing() -> None:
    content = lines_of(b"C1|a|", b"C3|b|")
    assert changes_between(content, content) == LineChanges(HEADER, HEADER, (), ())


def test_lines_that_only_moved_cancel_out() -> None:
    assert changes_between(lines_of(b"C1|a|", b"C2|b|"), lines_of(b"C2|b|", b"C1|a|")) == LineChanges(
        HEADER, HEADER, (), ()
    )


def test_a_duplicate_counts_as_often_as_it_stands() -> None:
    changes = changes_between(lines_of(b"C1|a|", b"C1|a|", b"C1|a|"), lines_of(b"C1|a|", b"C2|b|", b"C2|b|"))
    assert changes == LineChanges(HEADER, HEADER, (b"C1|a|", b"C1|a|"), (b"C2|b|", b"C2|b|"))


def test_a_last_line_without_line_end_is_the_same_line() -> None:
    assert changes_between(lines_of(b"C1|a|"), lines_of(b"C1|a|")[:-1]) == LineChanges(HEADER, HEADER, (), ())


def test_a_carriage_return_is_part_of_its_line() -> None:
    changes = changes_between(lines_of(b"C1|a\rb|"), lines_of(b"C1|a|", b"b|"))
    assert changes == LineChanges(HEADER, HEADER, (b"C1|a\rb|",), (b"C1|a|", b"b|"))


def test_too_much_difference_is_left_to_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff, "MAX_DIFFERING_BYTES", 100)  # the real limit would need 48 MB of difference
    assert changes_between(lines_of(*[b"C1|a|"] * 50), lines_of(*[b"C2|b|"] * 50)) is None


def test_a_change_in_a_large_file_touches_few_blocks() -> None:
    lines = [b"C%07d|name of %d|%d|" % (number // 7, number, number * 97) for number in range(60_000)]
    changed = [*lines[:20_000], b"C9|new|1|", *lines[20_000:40_000], *lines[40_003:]]
    old, new = lines_of(*lines), lines_of(*changed)
    blocks = [Counter(BlockList.of([content]).hashes) for content in (old, new)]
    assert (blocks[0] - blocks[1]).total() <= 6
    assert blocks[0].total() > 200
    changes = changes_between(old, new)
    assert changes == LineChanges(HEADER, HEADER, tuple(lines[40_000:40_003]), (b"C9|new|1|",))


LINE = st.sampled_from(
    [b"C33|a|", b"C37|a|", b"C1|b|", b"C1|b|77|", b"x\r|", b"", b"\xff|\0", b"C2|longer than the others|"]
)
LINES = st.lists(LINE, max_size=40)


@contextmanager
def cut_as(least: int, read: int) -> Iterator[None]:
    """Blocks so small that a test's few lines make several."""
    kept = diff.MIN_BLOCK_BYTES, diff.MAX_BLOCK_BYTES, diff.READ_BYTES
    diff.MIN_BLOCK_BYTES, diff.MAX_BLOCK_BYTES, diff.READ_BYTES = least, 4 * least, read
    try:
        yield
    finally:
        diff.MIN_BLOCK_BYTES, diff.MAX_BLOCK_BYTES, diff.READ_BYTES = kept


@settings(max_examples=400, deadline=None)
@given(old=LINES, new=LINES, least=st.integers(1, 40), read=st.integers(1, 60), cut_end=st.booleans())
def test_any_two_files_differ_as_the_count_of_their_lines_says(
    old: list[bytes], new: list[bytes], least: int, read: int, cut_end: bool
) -> None:
    with cut_as(least, read):
        changes = changes_between(lines_of(*old), lines_of(*new)[: -1 if cut_end and new and new[-1] else None])
    assert changes is not None
    assert Counter(changes.removed) == Counter(old) - Counter(new)
    assert Counter(changes.added) == Counter(new) - Counter(old)


@settings(max_examples=200, deadline=None)
@given(lines=LINES, least=st.integers(1, 40), size=st.integers(1, 60))
def test_blocks_cover_the_file_and_are_the_same_however_it_is_read(lines: list[bytes], least: int, size: int) -> None:
    content = lines_of(*lines)
    with cut_as(least, 1):
        blocks = BlockList.of([content])
        assert BlockList.of([content[at : at + size] for at in range(0, len(content), size)]) == blocks
    assert blocks.header == HEADER
    assert sum(blocks.lengths) == len(content) - len(HEADER)


def test_a_file_in_which_nothing_chooses_a_cut_is_cut_all_the_same() -> None:
    lines = [b"C1|a|"] * 100_000
    blocks = BlockList.of([lines_of(*lines)])
    assert max(blocks.lengths) <= diff.MAX_BLOCK_BYTES + len(b"C1|a|\n")
    assert len(blocks.hashes) == len(b"C1|a|\n") * len(lines) // diff.MAX_BLOCK_BYTES + 1


def test_a_kept_block_list_stands_in_for_reading_the_file() -> None:
    lines = [b"C%07d|%d|" % (number, number) for number in range(30_000)]
    old, new = lines_of(*lines[3:]), lines_of(*lines)
    old_blocks, new_blocks = (BlockList.from_bytes(BlockList.of([content]).to_bytes()) for content in (old, new))
    assert changes_between(old, new, old_blocks, new_blocks) == changes_between(old, new)


@pytest.mark.parametrize("place", [0, 20, 50, 60, -1])
def test_a_damaged_block_list_is_refused(place: int) -> None:
    kept = bytearray(BlockList.of([lines_of(b"C1|a|")]).to_bytes())
    kept[place] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        BlockList.from_bytes(bytes(kept))


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    endless = (bytes(1 << 20) for _ in range(diff.MAX_LINE_BYTES))
    with pytest.raises(EndlessLineError, match="67,108,864 bytes"):
        BlockList.of(endless)
    with pytest.raises(EndlessLineError):
        BlockList.of(chain([HEADER + b"C1|a|\nC2"], endless))
