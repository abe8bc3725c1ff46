r"""Framing against a reading of the same bytes, line by line, that is too simple to be wrong."""

import io
import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline import framing
from medgen_pipeline.catalog import TABLES, ColumnType, Framing, SourceTable, table_by_name
from medgen_pipeline.framing import FramedFile, FramingError, FramingReport, MissingColumnError, RejectedRow

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
    for line in canonical.split(b"\n")[:-1]:
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


def test_a_last_line_without_line_end_is_a_row() -> None:
    assert frame(NAMES, file_of(NAMES) + b"C1|a|b|N|").rows == [["C1", "a", "b", "N"]]


def test_a_crlf_file_reads_as_its_lf_twin() -> None:
    lf = file_of(NAMES, b"C1|a|b|N|", b"C2|with\rcr|b|N|", b"bad row")
    crlf, plain = frame(NAMES, lf.replace(b"\n", b"\r\n")), frame(NAMES, lf)
    assert crlf.rows == plain.rows
    assert crlf.rejected == plain.rejected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"C1|too short|N|", "3 fields, expected 4"),
        (b"C1|one|two|many|N|", "5 fields, expected 4"),
        (b"C1|no trailing|GTR|N", "no trailing '|'"),
        (b"C1|nul \0 byte|GTR|N|", "NUL byte"),
        (b"|no key|GTR|N|", "cui: empty, and it is the key"),
        (b"", "0 fields, expected 4"),
        (b"C" * 801 + b"|key too long|GTR|N|", "cui: 801 bytes, a key value has at most 800"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_number_reason_and_bytes(row: bytes, reason: str) -> None:
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


def read_slowly(table: SourceTable, lines: list[bytes]) -> tuple[list[list[str | None]], list[int]]:
    """What framing must do, one line at a time."""
    rows, rejected = [], []
    for number, line in enumerate(lines, start=2):
        fields = line.split(b"|")
        good = fields.pop() == b"" and len(fields) == len(table.columns) and b"\0" not in line
        for column, value in zip(table.columns, fields, strict=False) if good else ():
            digits = all(48 <= byte <= 57 for byte in value) and len(value) <= 18
            good = good and (column.type is ColumnType.TEXT or digits)
        if good:
            rows.append([field.decode("utf-8", "replace") or None for field in fields])
        else:
            rejected.append(number)
    return rows, rejected


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


@settings(max_examples=300, deadline=None)
@given(st.lists(LINE, max_size=12), st.integers(min_value=1, max_value=40))
def test_any_bytes_frame_as_the_slow_reading_says(lines: list[bytes], chunk_bytes: int) -> None:
    original = framing.CHUNK_BYTES
    framing.CHUNK_BYTES = max(chunk_bytes, 24)  # the header line is read whole
    try:
        framed = frame(PUBMED, file_of(PUBMED, *lines))
    finally:
        framing.CHUNK_BYTES = original
    rows, rejected = read_slowly(PUBMED, lines)
    assert framed.rows == rows
    assert [row.line_number for row in framed.rejected] == rejected
    assert all(chunk.endswith(b"\n") for chunk in framed.chunks)
