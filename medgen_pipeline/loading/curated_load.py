"""One load of one curated table: what it would be made from, whether anything of that has changed, query, publish.

``load`` has the steps that all loads share. No Dagster and no network; the SQL is the catalog's and the audit's.
"""

import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medgen_pipeline.catalog import CuratedTable, Query, Table, any_table_by_name, upstream_of
from medgen_pipeline.catalog.query import Parameter
from medgen_pipeline.errors import PermanentError, SettingError, TransientError, require_number
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    LoaderError,
    LoadRecord,
    LoadStart,
    ProductionChangedError,
    Strategy,
    TooMuchAffectedError,
)
from medgen_pipeline.loaders.records import has_foreign_rows
from medgen_pipeline.loading.load import Load, LoadOptions, LoadResult
from medgen_pipeline.rows.records import FramingReport

logger = logging.getLogger(__name__)

# A metric is a look, not an export; and so many loads of one table are twenty years of weeks.
_SHOWN_ROWS = 200
_LISTED = 1000
# Where more has changed than this share of an upstream table, or of the table itself, a rebuild is as quick. So few
# rows are always followed.
_MOST_CHANGED = 0.2
_ALWAYS_FOLLOWED = 1000
_BASE = (
    "SELECT release, content_sha256, guard FROM {load_run}"
    " WHERE table_name = {table_name} AND load_id = {base} AND status = 'succeeded'"
)
_CHANGED = (
    "SELECT COALESCE(SUM(rows_inserted + rows_updated + rows_deleted), 0) FROM {load_run}"
    " WHERE table_name = {table_name} AND load_id > {base} AND load_id <= {newest} AND status = 'succeeded'"
)
_NEWEST_LOADS = (
    "SELECT table_name, MAX(load_id) AS load_id FROM {load_run} WHERE status = 'succeeded' GROUP BY table_name"
)


class MissingUpstreamError(PermanentError):
    """Tables that this one is made from were never loaded."""

    def __init__(self, message: str, missing: Collection[str]) -> None:
        """Keep their names."""
        super().__init__(message)
        self.missing = tuple(missing)


class UpstreamChangedError(TransientError):
    """A table that this one is made from was loaded meanwhile; another attempt reads it as it is now."""


@dataclass(frozen=True)
class CuratedOptions:
    """How a curated table is made.

    Attributes:
        parameters: Values of the query's parameters, instead of the catalog's.
        force_rebuild: Run the whole query even where nothing seems to have changed.
        take_over: Make a table production that has its name and that no recorded load made.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    force_rebuild: bool = False
    take_over: bool = False


@dataclass(frozen=True)
class CuratedInputs:
    """What a curated table would be made from now.

    Attributes:
        query: Its query with the parameters chosen.
        upstream: The last load of each table that it reads.
        release: The newest release among them.
        content_sha256: Changes exactly when the query or the content of a table that it reads does.
    """

    table: CuratedTable
    query: Query
    upstream: Mapping[str, LoadRecord]

    @property
    def release(self) -> str:
        """The newest release of the tables it is made from."""
        return max(load.release for load in self.upstream.values())

    @property
    def content_sha256(self) -> str:
        """A hash of the query and of the content of every table it reads; of every load where it reads the audit."""
        return self.hash_with({})

    def hash_with(self, content: Mapping[str, str]) -> str:
        """The same with other content of some tables."""
        read = {
            name: content.get(name, self.version_of(load.load_id, load.release, load.content_sha256, load.guard))
            for name, load in self.upstream.items()
        }
        parts = [self.table.shape, self.query.fingerprint, *(f"{name} {version}" for name, version in read.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def version_of(self, load_id: int, release: str, content_sha256: str, guard: str | None) -> str:
        """What stands for a load of a table that it reads, so that another one stands for other rows.

        The hash of a curated table is of what it should have been made from. Where somebody else had written to that,
        the next load of the same hash leaves other rows.
        """
        if self.query.reads_loads:
            return f"{load_id} {release}"
        return f"load {load_id}" if has_foreign_rows(guard) else content_sha256

    @property
    def made_from(self) -> dict[str, int]:
        """The last load of each table that it reads, by its id."""
        return {name: load.load_id for name, load in self.upstream.items()}

    @property
    def rows_of(self) -> list[tuple[Table, LoadRecord]]:
        """The tables whose rows the query reads, each with its last load."""
        return [(any_table_by_name(name), self.upstream[name]) for name in self.query.rows_of]


def read_inputs(loader: AbstractNativeLoader, table: CuratedTable, options: CuratedOptions) -> CuratedInputs:
    """Look up in the audit what ``table`` would be made from.

    Args:
        loader: Connected.
        table: The catalog's entry.
        options: The parameters chosen.

    Raises:
        MissingUpstreamError: A table that it reads was never loaded.
        SettingError: A setting has a value out of range.
    """
    found = {upstream.name: loader.last_load(upstream) for upstream in upstream_of(table)}
    absent = {name for name, load in found.items() if load is None}
    if missing := sorted(absent - set(table.optional)):
        raise MissingUpstreamError(
            f"{table.name} cannot be made: {', '.join(missing)} {'was' if len(missing) == 1 else 'were'} never loaded. "
            f"Materialize {'it' if len(missing) == 1 else 'them'} first, for example with the job refresh_medgen. "
            "For a source that has not all 17 files, set MEDGEN_CURATED=false.",
            missing,
        )
    _check_settings(loader, table, options)
    made = table.without([any_table_by_name(name) for name in sorted(absent)])
    query = made.query.with_parameters(options.parameters)
    return CuratedInputs(made, query, {name: load for name, load in found.items() if load is not None})


def _check_settings(loader: AbstractNativeLoader, table: CuratedTable, options: CuratedOptions) -> None:
    """Refuse a value that would make an empty or meaningless table."""
    settings = {setting.parameter: setting for setting in table.settings}
    for name, value in options.parameters.items():
        setting = settings.get(name)
        if setting is None:
            raise SettingError(f"{table.name} has no setting {name!r}; it has {sorted(settings) or 'none'}.")
        if isinstance(value, int):
            require_number(f"{table.name}: {name}", value, setting.least, setting.most, whole=True)
        if isinstance(value, tuple) and value != table.query.parameters[name]:
            known = [str(row[0]) for row in loader.read_query(setting.known, _LISTED)] if setting.known else []
            unknown = sorted(set(value) - set(known))
            if unknown or not value:
                raise SettingError(
                    f"{table.name}: {name} is {list(value)}, expected some of {known}, or "
                    f"{list(table.query.parameters[name])} for all."  # type: ignore[arg-type]  # of the value's type
                )


def load_curated(
    loader: AbstractNativeLoader,
    table: CuratedTable,
    options: CuratedOptions | None = None,
    dagster_run_id: str | None = None,
    announced: CuratedInputs | None = None,
) -> LoadResult:
    """Bring a curated table to what its upstream tables hold now, or leave it as it was and raise.

    What is recorded is what was read: what the table is made from is looked up again once the table's lock is held,
    when its query has run, and when its metrics were read. Where nothing of it was loaded from one look to the next,
    whatever was read between them was read of that state.

    Args:
        loader: Not connected yet; it is closed at the end.
        table: The catalog's entry.
        options: Parameters and choices.
        dagster_run_id: For the audit.
        announced: What the table was said to be made from, which the load has to keep to; looked up where not given.

    Raises:
        MissingUpstreamError: A table that it reads was never loaded.
        UpstreamChangedError: A table that it reads was loaded meanwhile.
        MedgenError: The warehouse refuses; see the message.
    """
    chosen = options or CuratedOptions()
    with loader:
        started = time.monotonic()
        inputs = announced or read_inputs(loader, table, chosen)
        fingerprint = inputs.content_sha256
        load_id = loader.log_run_start(
            LoadStart(
                table,
                inputs.release,
                fingerprint,
                fingerprint,
                dagster_run_id,
                take_over=chosen.take_over,
                made_from=inputs.made_from,
            )
        )
        load = _CuratedLoad(loader, inputs, chosen, load_id)
        with load.recorded():
            load.run()
        result = load.result(time.monotonic() - started)
        loader.connect()  # where the connection broke behind the commit
        metrics = read_metrics(loader, table, chosen)
        load.require_same_upstream()
        return replace(result, metrics=metrics)


def read_metrics(
    loader: AbstractNativeLoader, table: CuratedTable, options: CuratedOptions
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each metric of ``table``, by its name; ``loader`` is connected."""
    rows = {}
    for metric in table.metrics:
        known = {name: value for name, value in options.parameters.items() if name in metric.query.parameters}
        rows[metric.name] = loader.read_query(metric.query.with_parameters(known), _SHOWN_ROWS)
    return rows


class _CuratedLoad(Load):
    """A load of a table that is made inside the warehouse."""

    def __init__(
        self, loader: AbstractNativeLoader, inputs: CuratedInputs, options: CuratedOptions, load_id: int
    ) -> None:
        how = LoadOptions(force_warehouse=options.force_rebuild)
        super().__init__(loader, inputs.table, how, load_id)
        self._inputs = inputs
        self._curated = inputs.table

    def run(self) -> None:
        """Keep the table where nothing it is made from has changed; follow the changes; or run the query."""
        self.require_same_upstream()
        last = self._loader.last_load(self._table)
        self._result.strategy_reason = self._why_compare_everything(last) or self._why_made_from_other_rows(last)
        if self._result.strategy_reason or last is None:
            self._build()
        elif last.content_sha256 == self._inputs.content_sha256:
            if self._is_as_left(last):
                self._result.strategy_reason = "nothing it is made from has changed since the last load"
                self._keep_unchanged(last)
            else:
                self._build()
        elif not self._publish_changes(last):
            self._build()

    def _build(self) -> None:
        self._result.strategy = Strategy.WAREHOUSE
        started = time.monotonic()
        self._initialize()
        self._stage(self._inputs.query, started)
        self._result.report = FramingReport(rows=self._result.rows_moved)
        self._log_detail()
        self._publish()

    def _stage(self, query: Query, started: float) -> None:
        self._result.rows_moved = self._loader.stage_query(self._table, query, self._inputs.rows_of)
        self._result.staging_seconds = time.monotonic() - started
        self.require_same_upstream()

    def _pass_gates(self) -> None:
        # What it is made from has passed its gates, and another choice of sources may empty it.
        if self._table.key_proven and not self._result.counts.key_is_unique:
            raise LoaderError(
                f"{self._table.name} was not published, production is as it was: its query gives a row of the same "
                f"key ({', '.join(self._table.key)}) twice, or one without. Either the key of a table it is made from "
                f"repeats ({', '.join(self._inputs.upstream)}), or its query is wrong: please report that."
            )

    def require_same_upstream(self) -> None:
        """Raise where a table that this one is made from was loaded since it was looked up.

        An id is never given twice, so a table that has changed and changed back has another one.
        """
        newest = dict(self._loader.read_query(Query(text=_NEWEST_LOADS), _LISTED))
        for name, load in self._inputs.upstream.items():
            if newest.get(name) != load.load_id:
                raise UpstreamChangedError(
                    f"{self._table.name} was to be made from load {load.load_id} of {name} (release {load.release}), "
                    f"but {name} was loaded meanwhile. Load again."
                )

    # --- following the changes -----------------------------------------------------------------------------------

    def _why_made_from_other_rows(self, last: LoadRecord | None) -> str:
        """Why production may be made from rows that no load of an upstream table had left, or nothing."""
        unknown = sorted(self._inputs.upstream.keys() - last.made_from.keys()) if last else []
        if not unknown:
            return ""
        if set(unknown) <= set(self._curated.optional):
            return f"the last load was made without {', '.join(unknown)}, or from rows that somebody else had written"
        return f"the last load was made from rows of {', '.join(unknown)} that somebody else had written, or says not"

    def _publish_changes(self, last: LoadRecord) -> bool:
        """Replace the rows that changes of upstream tables affect; False where that is not exact, or not worth it."""
        self._result.strategy_reason = self._why_rebuild(last)
        if self._result.strategy_reason:
            return False
        windows = {name: (last.made_from[name], load.load_id) for name, load in self._inputs.upstream.items()}
        try:
            self._result.strategy = Strategy.SNAPSHOT
            started = time.monotonic()
            self._initialize(Strategy.SNAPSHOT)
            self._stage(self._curated.followed(self._inputs.query, windows, _most(last.rows_after)), started)
            self._result.counts = self._loader.execute_cdc(self._table)
            # A change set is applied to production as the last load left it, or not at all. Without one, look.
            if not self._result.counts.changed and not self._is_as_left(last):
                return False
            self._result.report = FramingReport(rows=self._result.counts.rows_after)
            self._log_detail()
            self._apply()
        except (ProductionChangedError, TooMuchAffectedError) as error:
            self._result.strategy_reason = f"rebuilt: {error}"
            logger.info("%s is %s", self._table.name, self._result.strategy_reason)
            return False
        moved = [name for name, (since, until) in windows.items() if since != until]
        self._result.strategy_reason = f"followed the changes of {', '.join(moved)} since the last load"
        return True

    def _why_rebuild(self, last: LoadRecord) -> str:
        """The doubt that rules following the changes out, or nothing."""
        if self._curated.increment is None:
            return "something it is made from has changed"
        base = {}
        for name, newest in self._inputs.upstream.items():
            since = last.made_from[name]
            if since == newest.load_id:
                continue  # no load of it is to be followed
            asked: dict[str, Parameter] = {"table_name": name, "base": since, "newest": newest.load_id}
            found = self._ask(_BASE, asked)
            if not found:
                return f"the audit does not have load {since} of {name}, which it was made from"
            base[name] = self._inputs.version_of(since, *found[0])
            if newest.feed_since is None or newest.feed_since > since:
                return f"the change feed of {name} does not reach back to load {since}, which it was made from"
            if newest.unbroken_since is None or newest.unbroken_since > since:
                return f"somebody else wrote to {name} since load {since}, which it was made from"
            ((changed,),) = self._ask(_CHANGED, asked)
            if changed > _most(newest.rows_after):
                return f"too much to follow: {changed:,} changes of {name}, which has {newest.rows_after:,} rows"
            if changed and (damage := self._loader.feed_damage(any_table_by_name(name), since)):
                return damage
        if self._inputs.hash_with(base) != last.content_sha256:
            return "its query or a setting has changed since the last load"
        return ""

    def _ask(self, text: str, parameters: Mapping[str, Parameter]) -> list[tuple[Any, ...]]:
        known = {name: value for name, value in parameters.items() if f"{{{name}}}" in text}
        return self._loader.read_query(Query(text=text, parameters=known), 1)


def _most(rows: int) -> int:
    """How many changes of a table with so many rows are followed."""
    return max(_ALWAYS_FOLLOWED, int(rows * _MOST_CHANGED))
