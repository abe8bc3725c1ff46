r"""Framing against a reading of the same bytes, line by line, that is too simple to be wrong."""

import io
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.catalog import CURATED_TABLES, TABLES, ColumnType, Framing, SourceTable, table_by_name
from medgen_pipeline.rows import fields, framing
from medgen_pipeline.rows.framing import FramedFile, frame_lines
from medgen_pipeline.rows.header import FramingError, MissingColumnError
from medgen_pipeline.rows.records import FramingReport, RejectedRow, count_rows

NAMES = table_by_name("names")
PUBMED = table_by_name("medgen_pubmed_lnk")
HISTORY = table_by_name("medgen_cui_history")


@dataclass
class Framed:
    rows: list[list[str | None]]
    rejected: list[RejectedRow]
    report: FramingReport
    chunks: list[bytes]


def frame(table: SourceTable, content: bytes, accept_missing: frozenset[str] = frozenset()) -> Framed:
    rejected: list[RejectedRow] = []
    file = FramedFile(table, io.BytesIO(content), rejected.append, accept_missing)
    chunks = list(file)
    return Framed(decode(b"".join(chunks)), rejected, file.report, chunks)


def decode(canonical: bytes) -> list[list[str | None]]:
    """Read canonical bytes as the format is specified: backslash makes the next byte literal, empty is NULL."""
    rows = []
    for line in re.findall(rb"((?:[^\n\\]|\\.)*)\n", canonical, re.DOTALL):
        fields = re.findall(rb"((?:[^\t\\]|\\.)*)(?:\t|$)", line, re.DOTALL)[: line_fields(line)]
        rows.append([re.sub(rb"\\(.)", rb"\1", value, flags=re.DOTALL).decode() or None for value in fields])
    return rows


def line_fields(line: bytes) -> int:
    return re.sub(rb"\\.", b"", line, flags=re.DOTALL).count(b"\t") + 1


def file_of(table: SourceTable, *rows: bytes, header: bytes | None = None) -> bytes:
    delimiter = {Framing.PIPE: b"|", Framing.TAB: b"\t"}[table.framing]
    names = delimiter.join(column.header.encode() for column in table.columns)
    trailing = b"|" if table.framing is Framing.PIPE else b""
    return (header or b"#" + names + trailing) + b"\n" + b"".join(row + b"\n" for row in rows)


@pytest.mark.parametrize("table", [NAMES, HISTORY], ids=lambda table: table.name)
@pytest.mark.parametrize("mark", ["\ufeff", ""], ids=["marked", "not marked"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16-le", "UTF-16 (little-endian)"),
        ("utf-16-be", "UTF-16 (big-endian)"),
        ("utf-32-le", "UTF-32 (little-endian)"),
        ("utf-32-be", "UTF-32 (big-endian)"),
    ],
)
def test_a_file_with_more_bytes_a_character_is_refused_by_the_name_of_its_encoding(
    table: SourceTable, mark: str, encoding: str, name: str
) -> None:
    content = (mark + file_of(table, b"a|b|c|d|").decode()).encode(encoding)
    with pytest.raises(FramingError, match=re.escape(f"{table.file_name}: the file is in {name}, expected UTF-8.")):
        frame(table, content)


def test_plain_rows_become_tab_separated_lines() -> None:
    framed = frame(NAMES, file_of(NAMES, b"C0000727|Acute abdomen|GTR|N|", b"C0000729|Abdominal cramps||N|"))
    assert b"".join(framed.chunks) == b"C0000727\tAcute abdomen\tGTR\tN\nC0000729\tAbdominal cramps\t\tN\n"
    assert (framed.report.rows, framed.report.rejected, framed.report.repaired) == (2, 0, 0)


@pytest.mark.parametrize(
    "value",
    [
        "\\N",
        "\\.",
        "\\",
        "\\\\N",
        'a "quoted" name',
        "tab\there",
        "cr\rhere",
        "trailing blanks  ",
        " ",
        "Sjögren 綜合症",
        "\\\t\\N",
    ],
)
def test_awkward_values_survive_unchanged(value: str) -> None:
    framed = frame(NAMES, file_of(NAMES, b"C1|" + value.encode() + b"|GTR|N|", b"C2|" + value.encode() + b"|||"))
    assert framed.rows == [["C1", value, "GTR", "N"], ["C2", value, None, None]]


def test_the_value_backslash_n_is_never_written_as_a_backend_reads_null() -> None:
    framed = frame(NAMES, file_of(NAMES, b"\\N|\\N|\\N|\\N|"))
    assert b"".join(framed.chunks) == b"\t".join([rb"\\\N"] * 4) + b"\n"


def test_a_field_of_five_megabytes_is_one_value() -> None:
    long = b"x" * 5_000_000
    framed = frame(NAMES, file_of(NAMES, b"C1|" + long + b"|GTR|N|", b"C2|short|GTR|N|"))
    assert [len(row[1] or "") for row in framed.rows] == [5_000_000, 5]


def test_a_line_without_end_over_the_limit_is_an_error_and_not_a_memory_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_LINE_BYTES", 3_000_000)  # the real limit would need 64 MB of input
    with pytest.raises(FramingError, match="longer than 3,000,000 bytes"):
        frame(NAMES, file_of(NAMES) + b"x" * 5_000_000)


def test_a_file_that_decompresses_to_too_much_is_an_error() -> None:
    content = file_of(NAMES, *[b"C1|x|GTR|N|"] * 20_000)
    for limit in (len(content), None):
        assert sum(map(count_rows, FramedFile(NAMES, io.BytesIO(content), print, max_file_bytes=limit))) == 20_000
    read: list[bytes] = []
    with pytest.raises(FramingError, match=r"more than 100,000 bytes.*raise max_decompressed_gib"):
        read.extend(FramedFile(NAMES, io.BytesIO(content), print, max_file_bytes=100_000))
    assert sum(map(len, read)) <= 100_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the most memory a process had")
def test_bad_lines_of_50_mb_take_no_more_memory_than_one_of_them() -> None:
    program = """
import io, re
from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.rows.framing import FramedFile

class Lines(io.RawIOBase):
    left = 10 * 50
    def readline(self, size=-1):
        return b"#CUI|name|source|SUPPRESS|\\n"
    def read(self, size=-1):
        self.left -= 1
        end = b"\\n" if self.left % 50 == 0 else b"x"
        return b"" if self.left < 0 else b"x" * ((1 << 20) - 1) + end

rejected = []
assert list(FramedFile(table_by_name("names"), Lines(), rejected.append)) == []
assert len(rejected) == 10 and all(len(row.raw) == 8192 for row in rejected)
print(int(re.search("VmHWM:[^0-9]*([0-9]+) kB", open("/proc/self/status").read())[1]) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400, "MB"  # the line, and the buffer that it is cut from


def test_a_last_line_without_line_end_is_a_row() -> None:
    assert frame(NAMES, file_of(NAMES) + b"C1|a|b|N|").rows == [["C1", "a", "b", "N"]]


def test_a_crlf_file_reads_as_its_lf_twin() -> None:
    lf = file_of(NAMES, b"C1|a|b|N|", b"C2|with\rcr|b|N|", b"bad row")
    crlf, plain = frame(NAMES, lf.replace(b"\n", b"\r\n")), frame(NAMES, lf)
    assert crlf.rows == plain.rows
    assert crlf.rejected == plain.rejected


def test_a_cr_at_a_line_s_end_is_no_value_s_where_nothing_else_ends_it() -> None:
    framed = frame(HISTORY, file_of(HISTORY, b"C1\tC2\tJan\r", b"C3\tC4\t\r", b"C5\tC\r6\tFeb"))
    assert framed.rows == [["C5", "C\r6", "Feb"]]
    assert [(row.line_number, row.reason) for row in framed.rejected] == [(2, "CR at its end"), (3, "CR at its end")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"C1|too short|N|", "3 fields, expected 4"),
        (b"C1|one|two|many|N|", "5 fields, expected 4"),
        (b"C1|no trailing|GTR|N", "no trailing '|'"),
        (b"C1|nul \0 byte|GTR|N|", "NUL byte"),
        (b"|no key|GTR|N|", "cui: empty, and it is the key"),
        (b"", "0 fields, expected 4"),
        (b"C" * 401 + b"|key too long|GTR|N|", "cui: 401 bytes, an identifier has at most 400"),
        (b"C1|no key, too long|" + b"C" * 401 + b"|N|", "source: 401 bytes, an identifier has at most 400"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_number_reason_and_bytes(row: bytes, reason: str) -> None:
    framed = frame(NAMES, file_of(NAMES, b"C0|good|GTR|N|", row, b"C9|good|GTR|N|", row))
    assert [fields[0] for fields in framed.rows] == ["C0", "C9"]
    assert framed.rejected == [RejectedRow(3, reason, row), RejectedRow(5, reason, row)]
    assert (framed.report.rows, framed.report.rejected) == (2, 2)


def test_a_row_with_one_field_too_many_does_not_hide_behind_one_with_one_too_few() -> None:
    framed = frame(NAMES, file_of(NAMES, b"C1|a|b|c|N|", b"C2|a|N|"))
    assert framed.rows == []
    assert [row.line_number for row in framed.rejected] == [2, 3]


@pytest.mark.parametrize("value", [b"12x", b"-1", b"1.5", b"1" * 19, b"0x1F", b"1_000", b" 1", "\u0661".encode()])
def test_a_pmid_that_is_no_integer_is_a_rejected_row(value: bytes) -> None:
    framed = frame(PUBMED, file_of(PUBMED, b"1|C1|a|" + value + b"|", b"1|C1|a|2|"))
    assert framed.rows == [["1", "C1", "a", "2"]]
    assert framed.rejected[0].reason.startswith("pmid: ")


def test_invalid_utf8_becomes_the_replacement_character_and_is_counted_per_row() -> None:
    framed = frame(NAMES, file_of(NAMES, b"C1|caf\xe9 \xff|GTR|N|", "C2|café|GTR|N|".encode()))
    assert framed.rows == [["C1", "caf� �", "GTR", "N"], ["C2", "café", "GTR", "N"]]
    assert framed.report.repaired == 1


def test_columns_are_found_by_name_in_any_order_and_unknown_ones_are_left_out() -> None:
    content = file_of(NAMES, b"N|x|C1|GTR|a\tname|", b"N||C2||b|", b"short|", header=b"#SUPPRESS|NEW|CUI|source|name|")
    framed = frame(NAMES, content)
    assert framed.rows == [["C1", "a\tname", "GTR", "N"], ["C2", "b", None, "N"]]
    assert framed.report.extra_columns == ("NEW",)
    assert framed.rejected[0].reason == "1 fields, expected 5"


def test_the_old_and_the_new_name_of_a_column_are_the_same_column() -> None:
    table = table_by_name("medgen_id_mappings")
    old = frame(table, file_of(table, b"C1|a|1|MONDO|", header=b"#CUI|pref_name|source_id|source|"))
    new = frame(table, file_of(table, b"C1|a|1|MONDO|", header=b"#CUI_or_CN_id|pref_name|source_id|source|"))
    assert old.rows == new.rows == [["C1", "a", "1", "MONDO"]]


def test_a_missing_column_is_an_error_that_names_it() -> None:
    with pytest.raises(MissingColumnError, match="lacks source") as error:
        frame(NAMES, file_of(NAMES, b"C1|a|N|", header=b"#CUI|name|SUPPRESS|"))
    assert error.value.columns == ("source",)


def test_a_missing_column_that_is_accepted_becomes_null() -> None:
    content = file_of(NAMES, b"C1|a|N|", header=b"#CUI|name|SUPPRESS|")
    framed = frame(NAMES, content, accept_missing=frozenset({"source"}))
    assert framed.rows == [["C1", "a", None, "N"]]
    assert framed.report.missing_columns == ("source",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"C0000727|Acute abdomen|GTR|N|\n", "no header line"),
        (b"<!DOCTYPE html>\n<html>\n", "no header line"),
        (b"#CUI|name|name|source|SUPPRESS|\n", "names a column twice"),
        (b"#CUI\tname\tsource\tSUPPRESS\n", "no header line"),
    ],
)
def test_a_file_that_is_not_the_table_is_an_error(content: bytes, message: str) -> None:
    with pytest.raises(FramingError, match=message):
        frame(NAMES, content)


def test_a_tab_file_keeps_pipes_and_reads_with_or_without_a_hash() -> None:
    row = b"CN1|x\tNo longer reported\t12 Jun 2019"
    with_hash = frame(HISTORY, file_of(HISTORY, row))
    without = frame(HISTORY, file_of(HISTORY, row, header=b"Previous_CUI\tCurrent_CUI\tDate_Of_Action"))
    assert with_hash.rows == without.rows == [["CN1|x", "No longer reported", "12 Jun 2019"]]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_of_the_catalog_frames_a_row_of_its_own(table: SourceTable) -> None:
    values = ["7" if column.type is ColumnType.INTEGER else f"v{place}" for place, column in enumerate(table.columns)]
    delimiter, trailing = {Framing.PIPE: ("|", "|"), Framing.TAB: ("\t", "")}[table.framing]
    assert frame(table, file_of(table, (delimiter.join(values) + trailing).encode())).rows == [values]


MARKED = table_by_name("mim2gene_medgen")


def test_a_field_that_is_exactly_a_source_s_marker_of_a_missing_value_is_empty_and_any_other_is_as_published() -> None:
    lines = [
        b"100050\t-\tphenotype\t-\tC3149220\t-",
        b"-\t7\t--\t - \t-C1\tC-1",
        b"-\t-\t-\t-\t-\t-",
        b"1\t\t\t\t\t",
    ]
    assert frame(MARKED, file_of(MARKED, *lines)).rows == [
        ["100050", None, "phenotype", None, "C3149220", None],
        [None, "7", "--", " - ", "-C1", "C-1"],
        [None] * 6,
        ["1", *[None] * 5],
    ]
    assert frame(HISTORY, file_of(HISTORY, b"-\t-\t-")).rows == [["-", "-", "-"]]


def test_a_marker_is_no_integer_where_it_is_not_alone() -> None:
    framed = frame(MARKED, file_of(MARKED, b"1\t-7\tgene\t-\t-\t-", b"1\t--\tgene\t-\t-\t-"))
    assert [row.reason for row in framed.rejected] == [
        "gene_id: '-7' is not an integer of at most 18 digits",
        "gene_id: '--' is not an integer of at most 18 digits",
    ]


def test_markers_are_found_in_columns_that_a_file_has_in_another_order_or_does_not_have() -> None:
    header = b"#Comment\tMedGenCUI\tSource\ttype\tnew\tGeneID"
    content = file_of(MARKED, b"-\tC1\t-\tgene\t-\t-", header=header)
    assert frame(MARKED, content, frozenset({"mim_number"})).rows == [[None, None, "gene", None, "C1", None]]


A1BG = (
    b"9606\t1\tA1BG\t-\tA1B|ABG\tMIM:138670|HGNC:HGNC:5\t19\t19q13.43\talpha-1-B glycoprotein\tprotein-coding\tA1BG"
    b"\talpha-1-B glycoprotein\tO\talpha-1B-glycoprotein\t20251125\t-"
)
# Lines of NCBI's files, of which no whole one was at hand.
PUBLISHED = [
    ("genereviews_omim", b"NBK1103\ttrimethylaminuria\t136132", ["NBK1103", "trimethylaminuria", "136132"]),
    ("genereviews_gene", b"NBK1311\tli-fraumeni\tTP53", ["NBK1311", "li-fraumeni", "TP53"]),
    ("genereviews_gene", b"NBK1311\tli-fraumeni\tNot applicable", ["NBK1311", "li-fraumeni", None]),
    (
        "genereviews_title",
        b"cantu\tCant\xfa syndrome\tNBK246980\t25275207",
        ["cantu", "Cant\ufffd syndrome", "NBK246980", "25275207"],
    ),
    (
        "gtr_test_condition_gene",
        b"GTR000004006.1\tClinical\tcondition\tC0016667\t300624\tFragile X syndrome\t613003\tN/A",
        ["GTR000004006.1", "Clinical", "condition", "C0016667", "300624", "Fragile X syndrome", "613003", None],
    ),
    (
        "gtr_test_condition_gene",
        b"GTR000004006.1\tClinical\tgene\tC1414649\t309550\tFMR1:fragile X messenger ribonucleoprotein 1\t2332\tFMR1",
        [
            *("GTR000004006.1", "Clinical", "gene", "C1414649", "309550"),
            *("FMR1:fragile X messenger ribonucleoprotein 1", "2332", "FMR1"),
        ],
    ),
    (
        "gene_info",
        A1BG,
        [
            *("9606", "1", "A1BG", None, "A1B|ABG", "MIM:138670|HGNC:HGNC:5", "19", "19q13.43"),
            *("alpha-1-B glycoprotein", "protein-coding", "A1BG", "alpha-1-B glycoprotein", "O"),
            *("alpha-1B-glycoprotein", "20251125", None),
        ],
    ),
]


@pytest.mark.parametrize(
    ("name", "line", "row"), PUBLISHED, ids=[f"{one[0]}-{place}" for place, one in enumerate(PUBLISHED)]
)
def test_a_line_as_ncbi_publishes_it_is_read_with_its_traps(name: str, line: bytes, row: list[str | None]) -> None:
    table = table_by_name(name)
    assert frame(table, file_of(table, line)).rows == [row]


BROKEN = [
    pytest.param(NAMES, [b"C1|Name|", b"GTR|N|"], [["C1", "Name", "\nGTR", "N"]], id="after a delimiter"),
    pytest.param(NAMES, [b"C1|One", b"two|GTR|N|"], [["C1", "One\ntwo", "GTR", "N"]], id="in a value"),
    pytest.param(NAMES, [b"C1|One", b"|GTR|N|"], [["C1", "One\n", "GTR", "N"]], id="before a delimiter"),
    pytest.param(NAMES, [b"C1|a", b"", b"b", b"c|GTR|N|"], [["C1", "a\n\nb\nc", "GTR", "N"]], id="four lines"),
    pytest.param(
        NAMES,
        [b"C1|a|", b"GTR|N|", b"C2|b|GTR|", b"N|"],
        [["C1", "a", "\nGTR", "N"], ["C2", "b", "GTR", "\nN"]],
        id="two records",
    ),
    pytest.param(NAMES, [b"C1|\\|", b"\\N|\t|"], [["C1", "\\", "\n\\N", "\t"]], id="what is escaped"),
    pytest.param(NAMES, [b"C1|caf\xe9", b"\xff|GTR|N|"], [["C1", "caf\ufffd\n\ufffd", "GTR", "N"]], id="not UTF-8"),
    pytest.param(PUBMED, [b"1|C1|a", b"b|7|"], [["1", "C1", "a\nb", "7"]], id="integers"),
    pytest.param(HISTORY, [b"C1\tNo longer", b"reported\tMay"], [["C1", "No longer\nreported", "May"]], id="TAB"),
]


@pytest.mark.parametrize(("table", "lines", "rows"), BROKEN)
def test_a_record_that_holds_a_line_break_is_one_row_and_counts_as_repaired(
    table: SourceTable, lines: list[bytes], rows: list[list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {NAMES: b"C0|x|GTR|N|", PUBMED: b"0|C0|x|1|", HISTORY: b"C0\tC9\tMay"}[table]
    content = file_of(table, b"bad\0", *lines, good, b"bad\0", *lines)
    for chunk_bytes in (framing.CHUNK_BYTES, 64):  # a chunk may end within a record
        monkeypatch.setattr(framing, "CHUNK_BYTES", chunk_bytes)
        framed = frame(table, content)
        assert sorted(framed.rows, key=repr) == sorted([*rows, *decode_good(table, good), *rows], key=repr)
        assert [row.line_number for row in framed.rejected] == [2, 4 + len(lines)]
        assert (framed.report.rows, framed.report.repaired) == (2 * len(rows) + 1, 2 * len(rows))
        assert framed.report.pieces == 2 * len(lines)


def decode_good(table: SourceTable, line: bytes) -> list[list[str | None]]:
    return frame(table, file_of(table, line)).rows


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        pytest.param(NAMES, [b"C1|cut|", b"C2|cut|"], id="each begins like a record"),
        pytest.param(NAMES, [b"C1|cut|", b"C2|cut", b"x|GTR|N|"], id="the second may be whole"),
        pytest.param(NAMES, [b"junk", b"C1|a|", b"GTR|N|"], id="it begins without a delimiter"),
        pytest.param(NAMES, [b"C1|a|", b"GTR|N|", b"junk"], id="one is left over"),
        pytest.param(NAMES, [b"C1|a|b|", b"GTR|N|"], id="too many fields together"),
        pytest.param(NAMES, [b"C1|a|", b"GTR"], id="too few fields together"),
        pytest.param(NAMES, [b"|a|", b"GTR|N|"], id="no key"),
        pytest.param(NAMES, [b"C1|a|GTR|", b"N", b"|more"], id="no trailing delimiter"),
        pytest.param(NAMES, [b"C1|a|", b"nul\0|", b"GTR|N|"], id="NUL"),
        pytest.param(NAMES, [b"C1|a|", b"x|x|x|x|x|", b"GTR|N|"], id="too many fields between"),
        pytest.param(PUBMED, [b"1|C1|a|", b"7|"], id="a number that would not be one"),
        pytest.param(HISTORY, [b"C1\tNo longer", b"reported\tMay", b"2019"], id="TAB, and the end is not certain"),
        pytest.param(NAMES, [b"C1|" + b"x" * 600_000, b"x" * 600_000 + b"|GTR|N|"], id="over 1 MiB"),
    ],
)
def test_lines_are_not_joined_where_they_may_be_bad_lines(table: SourceTable, lines: list[bytes]) -> None:
    framed = frame(table, file_of(table, *lines))
    assert framed.rows == []
    assert [row.line_number for row in framed.rejected] == list(range(2, 2 + len(lines)))
    assert framed.report.repaired == 0


def test_lines_taken_out_of_their_file_are_never_joined() -> None:
    canonical, report = frame_lines(NAMES, file_of(NAMES), [b"C1|Name|", b"GTR|N|"], list[RejectedRow]().append)
    assert (canonical, report.rows, report.rejected, report.pieces) == (b"", 0, 2, 2)


@pytest.mark.parametrize("chunk", [b"", b"C1\ta\n", b"a\\\nb\n", b"a\\\\\n\\\n\n", b"\\\\\\\n\\\\\n"])
def test_records_are_counted_and_not_line_breaks(chunk: bytes) -> None:
    assert count_rows(chunk) == len(decode(chunk))


def test_a_rejected_line_is_kept_up_to_a_limit() -> None:
    line = b"C1|" + b"x" * 20_000
    (rejected,) = frame(NAMES, file_of(NAMES, line)).rejected
    assert rejected.raw == line[:8192]
    assert rejected.reason == "no trailing '|' (kept are the first 8,192 of 20,003 bytes)"


def test_the_index_of_every_table_takes_the_widest_values_that_are_let_through() -> None:
    for table in (*TABLES, *CURATED_TABLES):
        widths = [column.max_bytes for column in table.columns if column.name in table.index_columns]
        assert max(widths) <= fields.NARROW_BYTES, table.name
        # Each value has a header of 4 bytes, and curated tables may put a word before it; the row has a header of 16.
        assert len(widths) * (fields.MAX_IDENTIFIER_BYTES + 4 + 16) + 16 <= 2704, table.name


def test_a_key_value_that_repairing_makes_too_wide_is_rejected() -> None:
    framed = frame(NAMES, file_of(NAMES, b"C" + b"\xff" * 300 + b"|x|GTR|N|", b"C\xff|x|GTR|N|"))
    assert [(row.line_number, row.reason) for row in framed.rejected] == [
        (2, "cui: 901 bytes, an identifier has at most 400")
    ]
    assert framed.rows == [["C\ufffd", "x", "GTR", "N"]]


def read_slowly(table: SourceTable, lines: list[bytes]) -> tuple[list[list[str | None]], list[int]]:
    """What framing must do: one line at a time, then neighbours with too few fields together."""
    rows: list[list[str | None]] = []
    rejected: list[int] = []
    numbered = list(enumerate(lines, start=2))
    for is_piece, group in itertools.groupby(numbered, lambda one: is_piece_of_a_record(table, one[1])):
        neighbours = list(group)
        found = joined(table, [line for _, line in neighbours]) if is_piece else None
        if found is not None:
            rows += found
            continue
        for number, line in neighbours:
            row = row_of(table, line)
            if row is None:
                rejected.append(number)
            else:
                rows.append(row)
    return rows, rejected


def cells(table: SourceTable, line: bytes) -> list[bytes] | None:
    if table.framing is Framing.TAB:
        return line.split(b"\t")
    return line[:-1].split(b"|") if line.endswith(b"|") else None


def row_of(table: SourceTable, record: bytes) -> list[str | None] | None:
    fields = cells(table, record)
    if table.framing is Framing.TAB and record.endswith(b"\r"):
        return None
    if b"\0" in record or fields is None or len(fields) != len(table.columns):
        return None
    for column, value in zip(table.columns, fields, strict=True):
        if column.type is ColumnType.INTEGER and not (all(48 <= byte <= 57 for byte in value) and len(value) <= 18):
            return None
        if table.key_proven and column.name in table.key and not value:
            return None
    return [field.decode("utf-8", "replace") or None for field in fields]


def is_piece_of_a_record(table: SourceTable, line: bytes) -> bool:
    delimiter, full = (b"\t", len(table.columns) - 1) if table.framing is Framing.TAB else (b"|", len(table.columns))
    return b"\0" not in line and line.count(delimiter) < full


def joined(table: SourceTable, lines: list[bytes]) -> list[list[str | None]] | None:
    """The records that these lines add up to, shortest first; None where they do not."""
    if not lines:
        return []
    delimiter = b"\t" if table.framing is Framing.TAB else b"|"
    for size in range(2, len(lines) + 1):
        first, *further = lines[:size]
        row = row_of(table, b"\n".join(lines[:size]))
        if row is not None and delimiter in first and all(kind(first) != kind(line) for line in further):
            rest = joined(table, lines[size:])
            return None if rest is None else [row, *rest]
    return None


def kind(line: bytes) -> str:
    first = re.split(rb"[|\t]", line)[0].decode("latin-1")
    return re.sub("[0-9]+", "9", re.sub("[A-Za-z\x80-\xff]+", "A", first))


FIELD = st.lists(
    st.sampled_from(
        [b"7", b"C1", b"\\", b"N", b"\\N", b"\\.", b"\t", b"\r", b'"', b" ", b"\0", b"\xff", "é".encode(), b"|"]
    ),
    max_size=4,
).map(b"".join)
LINE = st.one_of(
    st.lists(FIELD, min_size=4, max_size=4).map(lambda fields: b"|".join(fields) + b"|"),
    st.tuples(st.just(b"7"), FIELD, FIELD, st.just(b"8")).map(lambda fields: b"|".join(fields) + b"|"),
    st.lists(FIELD, max_size=6).map(b"|".join),
)


@contextmanager
def chunks_of(chunk_bytes: int) -> Iterator[None]:
    original = framing.CHUNK_BYTES
    framing.CHUNK_BYTES = max(chunk_bytes, 64)  # the header line is read whole
    try:
        yield
    finally:
        framing.CHUNK_BYTES = original


@settings(max_examples=300, deadline=None)
@given(st.lists(LINE, max_size=12), st.integers(min_value=1, max_value=128))
def test_any_bytes_frame_as_the_slow_reading_says(lines: list[bytes], chunk_bytes: int) -> None:
    with chunks_of(chunk_bytes):
        framed = frame(PUBMED, file_of(PUBMED, *lines))
    rows, rejected = read_slowly(PUBMED, lines)
    assert sorted(framed.rows, key=repr) == sorted(rows, key=repr)
    assert [row.line_number for row in framed.rejected] == rejected
    assert all(chunk.endswith(b"\n") for chunk in framed.chunks)


# Each value tells which record it is of, so that a row made of two of them shows.
VALUE = st.sampled_from(["name", "a b", "", "x\n", "\n", "\ny", "1\n2\n", "\\\n", "\n\\N"])
RECORD = st.tuples(st.just("record"), VALUE, VALUE, VALUE)
BAD = st.tuples(
    st.just("bad"), st.sampled_from(["no delimiter", "{0}|cut|", "{0}|", "{0}|cut", "{0}|a|b|c|d|", "{0}\0|"])
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(RECORD, BAD), max_size=10), st.integers(min_value=1, max_value=128), st.booleans())
def test_a_row_is_never_made_of_two_lines_that_do_not_belong_together(
    records: list[tuple[str, ...]], chunk_bytes: int, in_tabs: bool
) -> None:
    table, end = (HISTORY, "") if in_tabs else (NAMES, "|")
    wanted: list[list[str | None]] = []
    lines: list[bytes] = []
    for number, (kind_of, *values) in enumerate(records):
        key = f"C{number}"
        if kind_of == "bad":
            text = values[0].format(key)
        else:
            wanted.append([key, *(value and f"{value}{key}" for value in values[: len(table.columns) - 1])])
            text = "|".join(field or "" for field in wanted[-1]) + end
            wanted[-1] = [value or None for value in wanted[-1]]
        lines += (text.replace("|", "\t") if in_tabs else text).encode().split(b"\n")
    with chunks_of(chunk_bytes):
        framed = frame(table, file_of(table, *lines))
    rows, rejected = read_slowly(table, lines)
    assert sorted(framed.rows, key=repr) == sorted(rows, key=repr)
    assert [row.line_number for row in framed.rejected] == rejected
    for row in framed.rows:
        tails = {tail for value in row[1:] if value for tail in re.findall(r"C\d+", value)}
        assert tails <= {row[0]}, row
        if not in_tabs:  # there a break in the last field ends the record too early
            assert row in wanted
