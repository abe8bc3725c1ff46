"""The view of a table's history: for every load it has the rows that the table had after it."""

import random
from collections import Counter

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.sql.validity import VALIDITY_COLUMNS
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import CHANGED_B, HISTORY, MONDO, NAMES, RELEASES, A, B, C, D, last_of, load
from medgen_pipeline.testing.tiers import Behaviour, needs

_NULL, _ROW, _OTHER = (None, None, None), ("C1", "C2", "Jan"), ("C9 ", None, "Jan")


def history(backend: Backend, table: Table) -> list[tuple[Row, Row]]:
    """What the view has: releases and loads, and the row."""
    validity = sql.SQL(", ").join(map(sql.Identifier, VALIDITY_COLUMNS))
    rows = backend.run("SELECT {validity}, {columns} FROM {history}", table, validity=validity)
    return [(tuple(row[:4]), tuple(row[4:])) for row in rows]


def assert_history_is_as_of(backend: Backend, table: Table) -> None:
    """For every load within reach, the view says what ``read_as_of`` says, by ids and by releases."""
    found = history(backend, table)
    last = backend.run(
        "SELECT release, MAX(load_id) FROM {load_run} WHERE status = 'succeeded' AND table_name = {name}"
        " GROUP BY release",
        name=sql.Literal(table.name),
    )
    with backend.new_loader() as loader:
        record = last_of(loader, table)
        for release, load_id in last:
            if int(str(load_id)) < int(str(record.feed_since)):
                continue
            expected = Counter(loader.read_as_of(table, str(release)))
            by_id = Counter(row for (_, _, since, until), row in found if _within(since, load_id, until))
            assert by_id == expected, release
            by_release = Counter(row for (since, until, _, _), row in found if _within(since, release, until))
            assert by_release == expected, release


def _within(since: object, moment: object, until: object) -> bool:
    return bool(since <= moment and (until is None or moment < until))  # type: ignore[operator]  # numbers, or texts


@needs(views=("fixed", "growing"))
class ValidityContract(Behaviour):
    """``<schema>_history``: each row with the releases that it is valid from and to."""

    def test_a_row_that_went_and_came_back_is_valid_twice_and_one_of_the_baseline_from_it_on(
        self, backend: Backend
    ) -> None:
        states: list[list[Row]] = [[A, B], [B, C], [A, CHANGED_B]]
        for release, rows in zip(RELEASES, states, strict=False):
            load(backend.new_loader(), NAMES, rows, release)
        one, two, three, _ = RELEASES
        found = Counter((since, until, row) for (since, until, _, _), row in history(backend, NAMES))
        assert found == Counter(
            [(one, two, A), (three, None, A), (one, three, B), (two, three, C), (three, None, CHANGED_B)]
        )

    def test_it_is_what_was_read_back_of_every_release_with_rows_that_repeat(self, backend: Backend) -> None:
        generator = random.Random(5)  # noqa: S311  # hides nothing
        rows = [_NULL, _ROW, _OTHER]
        for release in (*RELEASES[:2], *RELEASES[1:3]):  # one of them twice
            load(backend.new_loader(), HISTORY, generator.choices(rows, k=generator.randrange(6)), release)
        assert_history_is_as_of(backend, HISTORY)

    def test_it_is_there_from_the_first_load_on_and_after_one_that_changes_nothing(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        assert {(since, until, row) for (since, until, _, _), row in history(backend, NAMES)} == {
            (RELEASES[0], None, A),
            (RELEASES[0], None, B),
        }
        backend.run("DROP VIEW {history}", NAMES)
        load(backend.new_loader(), NAMES, [B, A], RELEASES[1])
        assert_history_is_as_of(backend, NAMES)

    def test_what_others_have_written_is_there_as_the_next_load_found_it(self, backend: Backend) -> None:
        one, two = ("M1", "C1", "Jan", "0"), ("M2", "C2", "Jan", "1")
        load(backend.new_loader(), MONDO, [one, two, two])
        load(backend.new_loader(), MONDO, [one, one, two], RELEASES[1])
        backend.run("DELETE FROM {production} WHERE mondo_id = 'M1'", MONDO)
        load(backend.new_loader(), MONDO, [one, two], RELEASES[2])
        assert_history_is_as_of(backend, MONDO)

    def test_a_table_that_was_made_again_has_a_new_baseline(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [B, C])
        backend.run("DROP TABLE {production}", NAMES)
        load(backend.new_loader(), NAMES, [C, D], RELEASES[1])
        load(backend.new_loader(), NAMES, [D], RELEASES[2])
        found = Counter((since, until, row) for (since, until, _, _), row in history(backend, NAMES))
        assert found == Counter([(RELEASES[1], RELEASES[2], C), (RELEASES[1], None, D)])

    def test_what_no_load_made_under_its_name_is_left_alone_and_hinders_no_load(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        backend.run("DROP VIEW {history}", NAMES)
        backend.run("CREATE TABLE {history} AS SELECT * FROM {production}", NAMES)
        load(backend.new_loader(), NAMES, [C], RELEASES[1])
        assert Counter(map(tuple, backend.run("SELECT {columns} FROM {history}", NAMES))) == Counter([A, B])
        backend.run("DROP TABLE {history}", NAMES)
        load(backend.new_loader(), NAMES, [C], RELEASES[2])
        assert_history_is_as_of(backend, NAMES)
