"""Connecting, and bytes on their way into staging: exact, whole or not at all, in constant memory."""

import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

import pytest

from medgen_pipeline.catalog import TABLES
from medgen_pipeline.loaders import ChangeCounts, LoaderError, LoaderFactory, Strategy
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import HISTORY, NAMES, PUBMED, A, B, C, begun, canonical, load, signed, start_of
from medgen_pipeline.testing.tiers import Behaviour

_LARGE_CHUNKS = 320
_LARGE_CHUNK_ROWS = 32  # of 4 KB


class StagingContract(Behaviour):
    """``from_dsn``, ``connect``, ``close``, ``initialize_staging``, ``bulk_load``, ``cleanup``, capabilities."""

    def test_the_scheme_is_registered_and_an_unknown_setting_is_refused_by_name(self, backend: Backend) -> None:
        assert backend.dsn.partition(":")[0] in LoaderFactory.known_schemes()
        with pytest.raises(ValueError, match="no_such_setting"):
            backend.new_loader(no_such_setting="x")

    def test_a_schema_that_cannot_be_the_tables_is_refused_before_anything_is_opened(self, backend: Backend) -> None:
        for schema in (
            *("", " medgen", "medgen ", "med\tgen", "med\x00gen", "med%sgen", "pg_medgen", "information_schema"),
            *("medgen_staging", "medgen_changes", "medgen_audit", "medgen_history", "_staging"),
        ):
            with pytest.raises(ValueError, match=re.escape(repr(schema))):
                backend.in_schema(schema).new_loader()

    def test_a_schema_s_name_leaves_room_for_those_that_go_with_it(self, backend: Backend) -> None:
        longest = backend.new_loader().capabilities.max_identifier_bytes - len("_staging")
        with pytest.raises(ValueError, match=f"has {longest + 1} bytes, expected 1 to {longest}"):
            backend.in_schema("m" * (longest + 1)).new_loader()
        backend.in_schema("m" * longest).new_loader()

    def test_capabilities_hold_for_the_catalog(self, backend: Backend) -> None:
        capabilities = backend.new_loader().capabilities
        assert re.fullmatch(r"[a-z][a-z0-9_]*", capabilities.backend)
        assert capabilities.documentation
        assert all(page.startswith("https://") for page in capabilities.documentation)
        longest = max(len(name) for table in TABLES for name in (table.name, *table.column_names))
        assert longest + len("__difference") <= capabilities.max_identifier_bytes
        assert all(getattr(capabilities, field.name) is not None for field in fields(capabilities))

    def test_the_uri_of_a_table_names_it_and_no_secret(self, backend: Backend) -> None:
        uri = backend.new_loader().table_uri(NAMES)
        assert uri.startswith(f"{backend.dsn.partition(':')[0].partition('+')[0]}")
        assert uri.endswith(f"/{backend.place()}/{NAMES.name}")
        assert "@" not in uri

    def test_close_twice_and_connect_after_close_are_harmless(self, backend: Backend) -> None:
        loader = backend.new_loader()
        loader.close()
        loader.connect()
        loader.connect()
        loader.close()
        loader.close()
        assert load(loader, NAMES, [A]).inserted == 1

    def test_a_loader_that_is_not_connected_says_so(self, backend: Backend) -> None:
        with pytest.raises(LoaderError, match="not connected"):
            backend.new_loader().initialize_staging(NAMES)

    def test_cleanup_can_be_called_twice_and_leaves_nothing(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            loader.cleanup(NAMES)
            loader.log_run_start(start_of(NAMES))
            loader.initialize_staging(NAMES)
            stage(loader, NAMES, [canonical([A])])
            loader.execute_cdc(NAMES)
            loader.cleanup(NAMES)
            assert backend.leftovers() == []
            loader.cleanup(NAMES)

    def test_initialize_staging_clears_what_a_killed_load_left(self, backend: Backend) -> None:
        with begun(backend.new_loader(), NAMES, strategy=Strategy.SNAPSHOT) as loader:
            stage(loader, NAMES, [signed([A], [B])], Strategy.SNAPSHOT)
            loader.initialize_staging(NAMES)
            assert self._staged(backend) == Counter()
            assert stage(loader, NAMES, [canonical([C])]) == 1

    def test_no_bytes_are_no_rows(self, backend: Backend) -> None:
        with begun(backend.new_loader(), NAMES) as loader:
            assert stage(loader, NAMES, []) == 0
            assert stage(loader, NAMES, [b"", canonical([A]), b""]) == 1

    def test_a_repeated_bulk_load_starts_afresh(self, backend: Backend) -> None:
        with begun(backend.new_loader(), NAMES) as loader:
            assert stage(loader, NAMES, [canonical([A]), canonical([B])]) == 2
            assert stage(loader, NAMES, [canonical([C])]) == 1
            assert self._staged(backend) == Counter([C])

    def test_an_empty_field_is_null_and_the_value_backslash_n_is_none(self, backend: Backend) -> None:
        with begun(backend.new_loader(), PUBMED) as loader:
            assert stage(loader, PUBMED, [b"1\t\\\\\\N\t\t\n\t\t\\\\N\t7\n"]) == 2
        found = Counter(map(tuple, backend.run("SELECT {columns} FROM {staging}", PUBMED)))
        assert found == Counter([(1, "\\N", None, None), (None, None, "\\N", 7)])

    def test_text_of_every_kind_comes_back_as_it_was(self, backend: Backend) -> None:
        texts = [
            *("\\N", "\\.", "\\", "\\\\", "\\\\N", "N", "\\t", "\\n", "x\\"),
            *("tab\there", "\t", "cr\rhere", "\r", "\\\t\\\r\\", "a\\\tb"),
            *("line\nbreak", "\n", "\n\n", "\\\n", "\n\\N", "\r\n", "end\n", "\n\t\\."),
            *('a "quote"', '"', "'", "''", "a,b|c;d", "#", "--", "/* */", "%s", "{x}", "$1", "NULL", "null"),
            *("  blanks  ", " ", "a ", "0", "-1", "1e5", "true", "\x01\x1f\x7f"),
        ]
        texts += ["綜合症", "é", "e\u0301", "ß", "İ", "ﬁ", "עברית", "العربية", "ไทย", "🧬👩‍🔬"]  # on purpose
        texts += ["\ufeffbom", "\u200b", "\u2028", "\u0085", "\ufffd"]
        rows: list[Row] = [(f"C{place}", text, None, "N") for place, text in enumerate(texts)]
        assert load(backend.new_loader(), NAMES, rows).inserted == len(rows)
        assert backend.production(NAMES) == Counter(rows)
        assert load(backend.new_loader(), NAMES, rows).unchanged == len(rows)
        # The same values in a table without a key take another way.
        whole: list[Row] = [(text, text, None) for text in texts]
        load(backend.new_loader(), HISTORY, whole)
        assert load(backend.new_loader(), HISTORY, whole[1:]) == ChangeCounts(
            deleted=1, unchanged=len(whole) - 1, by_key=False
        )
        assert backend.production(HISTORY) == Counter(whole[1:])

    def test_integers_are_numbers_up_to_18_digits(self, backend: Backend) -> None:
        rows: list[Row] = [(1, "C1", "a", 999_999_999_999_999_999), (0, "C2", None, None), (None, "C3", "007", -5)]
        load(backend.new_loader(), PUBMED, rows)
        assert backend.production(PUBMED) == Counter(rows)
        assert backend.run("SELECT SUM(pmid) FROM {production}", PUBMED) == [(999_999_999_999_999_994,)]

    def test_a_value_as_wide_as_the_column_may_be_fits(self, backend: Backend) -> None:
        capabilities = backend.new_loader().capabilities
        width = capabilities.text_bytes(NAMES.columns[1]) or min(capabilities.max_text_bytes, 5_000_000)
        text = "é" * (width // 2) + "x" * (width % 2)
        load(backend.new_loader(), NAMES, [("C1", text, None, None)])
        assert backend.production(NAMES) == Counter([("C1", text, None, None)])

    def test_bytes_that_are_no_rows_are_refused_and_staging_is_empty(self, backend: Backend) -> None:
        few, many, both = b"too\tfew\n", b"C9\ttoo\tmany\tN\tx\n", b"C8\ta\t\t\nC9\ttoo\tmany\tN\tx\nC9\tfew\n"
        with begun(backend.new_loader(), NAMES) as loader:
            for bad in (few, many, both, b"C1\ta\xff\t\tN\n"):
                assert stage(loader, NAMES, [canonical([A])]) == 1
                with pytest.raises(LoaderError, match=NAMES.name):
                    stage(loader, NAMES, [canonical([B, C]), bad])
                assert self._staged(backend) == Counter(), bad
                assert backend.left_outside() == []
            assert stage(loader, NAMES, [canonical([B])]) == 1

    def test_text_in_an_integer_column_is_refused(self, backend: Backend) -> None:
        with begun(backend.new_loader(), PUBMED) as loader:
            with pytest.raises(LoaderError, match=PUBMED.name):
                stage(loader, PUBMED, [b"1\tC1\ta\t1\n2\tC2\tb\tseven\n"])
            assert backend.run("SELECT COUNT(*) FROM {staging}", PUBMED) == [(0,)]

    def test_rows_that_do_not_arrive_whole_leave_staging_empty(self, backend: Backend) -> None:
        def breaks_off() -> Iterator[bytes]:
            yield canonical([A, B])
            raise RuntimeError("the source broke")

        with begun(backend.new_loader(), NAMES) as loader:
            assert stage(loader, NAMES, [canonical([C])]) == 1
            with pytest.raises(RuntimeError, match="the source broke"):
                stage(loader, NAMES, breaks_off())
            assert self._staged(backend) == Counter()
            assert backend.left_outside() == []
            assert stage(loader, NAMES, [canonical([B])]) == 1

    def test_a_large_table_arrives_whole_and_is_never_in_memory_at_once(self, backend: Backend) -> None:
        def chunks() -> Iterator[bytes]:
            for number in range(_LARGE_CHUNKS):
                yield canonical(
                    (f"C{number}.{row}", f"{number}.{row} " + "x" * 4000, None, "N") for row in range(_LARGE_CHUNK_ROWS)
                )

        rows = _LARGE_CHUNKS * _LARGE_CHUNK_ROWS
        with begun(backend.new_loader(), NAMES) as loader:
            tracemalloc.start()
            try:
                assert stage(loader, NAMES, chunks()) == rows
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert loader.execute_cdc(NAMES).inserted == rows
        assert peak < rows * 4000 / 2
        found = backend.run("SELECT COUNT(*), COUNT(DISTINCT cui), MIN(LENGTH(name)) FROM {staging}", NAMES)
        assert found == [(rows, rows, 4004)]

    def test_signed_lines_arrive_with_their_signs(self, backend: Backend) -> None:
        with begun(backend.new_loader(), HISTORY, strategy=Strategy.SNAPSHOT) as loader:
            null = (None, None, None)
            assert stage(loader, HISTORY, [signed([null, null], [("C1", "\\N\n", "\r")])], Strategy.SNAPSHOT) == 3
        found = Counter(map(tuple, backend.run("SELECT _sign, {columns} FROM {staging}", HISTORY)))
        assert found == Counter([("-", *null), ("-", *null), ("+", "C1", "\\N\n", "\r")])

    @staticmethod
    def _staged(backend: Backend) -> Counter[Row]:
        return Counter(map(tuple, backend.run("SELECT {columns} FROM {staging}", NAMES)))
