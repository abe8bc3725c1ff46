"""Which checks a table has: each is a row here, and in ``findings`` a function from a ``Subject`` to a ``Finding``.

What must hold in one curated table alone is a rule of the catalog's; ``of_one_table`` makes checks of rules, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from medgen_pipeline.catalog import CuratedTable, SourceTable, Table
from medgen_pipeline.catalog.curated_table import Rule
from medgen_pipeline.loaders import LoadRecord
from medgen_pipeline.loading import findings
from medgen_pipeline.loading.subject import Finding, Subject


@dataclass(frozen=True)
class Check:
    """One check of every table that it applies to.

    Attributes:
        name: The check's name in the UI.
        description: What holds when it passes.
        find: Looks at a table.
        applies: Whether a table has what is checked.
        proven: What a load that has just ended has proven, so that no row is read; None where it is nothing.
        seen: What a load that has just ended has seen in all rows, which counts as a look; None where it did not look.
        reads: The tables whose rows decide; none where it reads no rows, or something that changes with every load.
        follow: What the check finds by the rows that have changed since these loads of the tables it reads, after which
            it found this; None where that takes a look at all rows.
        code: What else decides, besides name and tables.
        is_error: Whether a failure is an error; otherwise a warning.
        blocking: Whether a failure stops what is downstream of the table in the same run.
    """

    name: str
    description: str
    find: Callable[[Subject], Finding]
    applies: Callable[[Table], bool] = lambda _: True
    proven: Callable[[LoadRecord], Finding | None] = lambda _: None
    seen: Callable[[LoadRecord], Finding | None] = lambda _: None
    reads: Callable[[Subject], Sequence[str]] = lambda _: ()
    follow: Callable[[Subject, Mapping[str, int], Finding], Finding | None] = lambda *_: None
    code: str = ""
    is_error: bool = False
    blocking: bool = False


def _is_about_loads(table: Table) -> bool:
    """Whether a table grows with every release."""
    return isinstance(table, CuratedTable) and table.query.reads_loads


def _own(subject: Subject) -> Sequence[str]:
    return (subject.table.name,)


def _own_if_repaired(subject: Subject) -> Sequence[str]:
    """Only then are rows read."""
    return _own(subject) if subject.last_load and subject.last_load.rows_repaired else ()


def _referenced(subject: Subject) -> Sequence[str]:
    named = (reference.to_table for reference in subject.table.references)
    return tuple(dict.fromkeys((subject.table.name, *named)))


def _read_by(rule: Rule, subject: Subject) -> Sequence[str]:
    return () if rule.query.reads_loads else tuple(dict.fromkeys((subject.table.name, *rule.query.tables)))


OF_ONE_TABLE = (
    Check(
        "schema_matches_catalog",
        "Every column of the catalog is in the table, with its type. Columns added by others do no harm.",
        findings.wrong_columns,
        is_error=True,
        blocking=True,  # SQL downstream fails, or reads something else
    ),
    Check(
        "key_is_unique",
        "The key, which was unique in every real release read, still is.",
        findings.repeated_keys,
        applies=lambda table: table.key_proven,
        proven=findings.repeated_keys_by_load,
        reads=_own,
        is_error=True,
        blocking=True,  # joins downstream multiply rows
    ),
    Check(
        "required_columns_are_filled",
        "No value is missing where a missing one means a damaged row.",
        findings.empty_values,
        applies=lambda table: bool(table.required_columns),
        seen=findings.no_empty_values_by_load,
        reads=_own,
        follow=findings.empty_values_since,
        # Not blocking: the claim is read from samples, and a join leaves such a row out; all others are right.
        is_error=True,
    ),
    Check(
        "row_count_within_history",
        f"The number of rows is within {findings.USUAL_PERCENT:g} % of the median of the {findings.RELEASES} releases "
        f"before, or within {findings.USUAL_DISTANCES} times their usual distance from it.",
        # A warning: a load that shrinks or grows too much at once was stopped by its gate, or let through.
        findings.unusual_row_count,
        applies=lambda table: not _is_about_loads(table),
    ),
    Check(
        "no_rejected_rows",
        "No line of the file was rejected.",
        findings.rejected_rows,  # a warning: too many have closed a gate
        applies=lambda table: isinstance(table, SourceTable),
    ),
    Check(
        "no_repaired_rows",
        "No row of the file had to be repaired: all of it was UTF-8.",
        findings.repaired_rows,  # a warning: too many have closed a gate
        applies=lambda table: isinstance(table, SourceTable),
        reads=_own_if_repaired,
    ),
    Check(
        "is_not_pinned",
        "The table follows what is published: nobody has pinned it to an earlier release.",
        findings.pin,  # a warning: somebody wants it so, and others should know
        applies=lambda table: isinstance(table, SourceTable),
    ),
    Check(
        findings.DRIFT_CHECK,
        "Count and content of production's rows are those that loads have left. Fails where rows were edited "
        "by hand and shows some of them.",
        findings.drift_since_load,
        proven=findings.no_drift_by_load,
        is_error=True,  # not blocking: what is downstream was made long before an edit is found
    ),
)
"""Concern one table: in the step that loads it, so that a failure stops only what is downstream of that table."""


def of_one_table(table: Table) -> tuple[Check, ...]:
    """The checks of a table that its own step makes: those that all tables have, and its own rules.

    A rule may read other tables that its own is made from: they are loaded already.
    """
    rules = table.rules if isinstance(table, CuratedTable) else ()
    own = [
        Check(
            rule.name,
            rule.description,
            partial(findings.broken_rule, rule),
            reads=partial(_read_by, rule),
            code=f"{rule.query.fingerprint} {rule.columns}",
            blocking=rule.blocking,
        )
        for rule in rules
    ]
    return (*(check for check in OF_ONE_TABLE if check.applies(table)), *own)


ACROSS_TABLES = (
    Check(
        "references_resolve",
        "Every identifier of another table is there.",
        findings.orphans,  # a warning: NCBI's own files have orphans now and then
        applies=lambda table: bool(table.references),
        reads=_referenced,
        follow=findings.orphans_since,
    ),
)
"""Read tables that their own is not made from: in one step for all tables, which nothing waits for."""
