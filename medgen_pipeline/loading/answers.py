"""What answers a check, so that no row is read twice: the load that has just ended, the record, what changed, a look.

Only in a run that has loaded what a check reads: a check that is asked for by itself looks at everything. No Dagster:
who asks brings the record along.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from medgen_pipeline.loaders import LoadRecord
from medgen_pipeline.loading.checks import Check
from medgen_pipeline.loading.subject import Change, Finding, Subject

ANSWERED_BY = "check/answered_by"
"""The metric that says what has answered where it was no look at all rows."""
LOOKED_AT = "check/looked_at"
"""The metric that says of which rows a finding is, and by which code: a later run may take it for its own."""
LAST_LOOK = "check/last_look"
"""The metric with Dagster's run that has last looked at all rows."""


def answer(check: Check, subject: Subject, recall: Callable[[], Iterable[Finding]]) -> Finding:
    """What a check says of a table.

    Args:
        check: Applies to the table.
        subject: Of the run that asks.
        recall: Gives what the check found in earlier runs, the newest first.
    """
    load = subject.load_of_run
    if load and (proven := check.proven(load)):
        return _by_load(proven, load)
    looked_at = _looked_at(check, subject)
    if looked_at is None:
        return check.find(subject)
    finding = _without_a_look(check, subject, looked_at, recall())
    if finding is None:
        seen = check.seen(load) if load else None
        look = _by_load(seen, load) if load and seen else check.find(subject)
        finding = _with(look, {LAST_LOOK: subject.run_id})
    # Where a table was loaded meanwhile, it is not known which of its rows were read.
    if any(str(subject.other(name).newest_change()) != change for name, change in looked_at["loads"].items()):
        return check.find(subject)
    return _with(finding, {LOOKED_AT: looked_at})


def _without_a_look(
    check: Check, subject: Subject, looked_at: Mapping[str, Any], record: Iterable[Finding]
) -> Finding | None:
    """What the newest finding by the same code still says, or says with what has changed since; None: nothing."""
    for earlier in record:
        then = earlier.metrics[LOOKED_AT]
        if then["code"] != looked_at["code"]:
            continue
        if then["loads"] == looked_at["loads"]:
            return _with(earlier, {ANSWERED_BY: "the record: what it reads has not changed since its last look"})
        then_at = {name: Change.of(text) for name, text in then["loads"].items()}
        if not all(subject.other(name).has(change) for name, change in then_at.items()):
            continue
        since = {name: change.load_id for name, change in then_at.items()}
        followed = check.follow(subject, since, earlier)
        by_changes = {
            ANSWERED_BY: "the rows that have changed since it was last asked, and what it found then",
            LAST_LOOK: earlier.metrics[LAST_LOOK],
        }
        return _with(followed, by_changes) if followed else None
    return None


def _by_load(finding: Finding, load: LoadRecord) -> Finding:
    return _with(finding, {ANSWERED_BY: f"load {load.load_id}"})


def _with(finding: Finding, metrics: Mapping[str, Any]) -> Finding:
    return replace(finding, metrics={**finding.metrics, **metrics})


def _looked_at(check: Check, subject: Subject) -> dict[str, Any] | None:
    """The rows that a look would read, as JSON; None where that is not known, or where it would read none."""
    subjects = [subject.other(name) for name in check.reads(subject)]
    if not any(one.load_of_run for one in subjects):
        return None
    loads = {one.table.name: one.rows_of_load for one in subjects}
    if None in loads.values():
        return None
    parts = (version("medgen_pipeline"), check.name, check.code, *(one.table.shape for one in subjects))
    return {
        "code": hashlib.sha256(repr(parts).encode()).hexdigest()[:12],
        "loads": {name: str(change) for name, change in loads.items()},
    }
