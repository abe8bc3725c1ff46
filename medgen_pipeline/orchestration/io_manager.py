"""The IO manager that drives a native loader: it publishes what an asset hands over, and says exactly what changed.

Swapping the warehouse is a change of its ``target``. What a load does is ``loading``'s. Concept:
https://docs.dagster.io/guides/build/io-managers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

import dagster as dg
from pydantic import Field

from medgen_pipeline.access.frames import FRAMES, frame_of
from medgen_pipeline.access.read import read
from medgen_pipeline.catalog import CURATED_TABLES, TABLES, CuratedTable, SourceTable, Table, any_table_by_name
from medgen_pipeline.errors import MedgenError, PermanentError
from medgen_pipeline.loaders import AbstractNativeLoader, LoadRecord
from medgen_pipeline.loading.curated_load import CuratedInputs, CuratedOptions, load_curated
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions, LoadResult
from medgen_pipeline.loading.rollback import undo
from medgen_pipeline.orchestration.failures import permanent_errors_as_failures
from medgen_pipeline.orchestration.keys import table_name
from medgen_pipeline.orchestration.metadata import curated_metadata, load_metadata
from medgen_pipeline.orchestration.targets import Target
from medgen_pipeline.release import Archive, SourceFile

if TYPE_CHECKING:
    import pyarrow as pa


_CHOICES = ("columns", "where", "release")


@dataclass(frozen=True)
class PendingLoad:
    """What a table asset hands to the IO manager: a file to publish, the files before it, and how to go about it."""

    source: SourceFile
    archive: Archive
    options: LoadOptions


@dataclass(frozen=True)
class PendingUndo:
    """The same where the archive has no file of the release: the load that the change feed leads back to."""

    load: LoadRecord


@dataclass(frozen=True)
class PendingCurated:
    """What a curated asset hands to the IO manager: how to make its table, and what it has said it is made from."""

    options: CuratedOptions
    inputs: CuratedInputs


@dataclass(frozen=True)
class WarehouseTable:
    """What a downstream asset gets for a table it names as an argument: where it is, and a way to its rows.

    Attributes:
        schema: Its schema.
        name: Its name.
        columns: Its columns.
        release: The release that ``read`` gives where it is told none; None: the table as it is.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    release: str | None = None
    _new_loader: Callable[[], AbstractNativeLoader] | None = field(default=None, repr=False, compare=False)

    @property
    def uri(self) -> str:
        """Where it is, without credentials."""
        return self._loader().table_uri(any_table_by_name(self.name))

    def read(
        self, columns: Sequence[str] = (), where: Mapping[str, Any] | None = None, release: str | None = None
    ) -> "pa.RecordBatchReader":
        """A stream of its rows as Arrow record batches.

        Args:
            columns: Those of its columns to read, in this order; none: all.
            where: What columns must hold: a value, or one of several in a list; None is NULL.
            release: As the table was after the last load of this release.
        """
        return read(self._loader, any_table_by_name(self.name), columns, where, release or self.release)

    def sql(self, query: LiteralString, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT that runs in the warehouse, all in memory.

        Args:
            query: In it, ``{concept}`` stands for that table, and so does the name of every other one of the catalog.
            values: What other names in braces stand for, as parameters.
        """
        tables = {table.name: table for table in (*TABLES, *CURATED_TABLES)}
        with self._loader() as loader:
            return loader.query(query, **tables, **values)

    def _loader(self) -> AbstractNativeLoader:
        if self._new_loader is None:
            raise PermanentError(f"{self.schema}.{self.name}: this handle was not made by an IO manager.")
        return self._new_loader()


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Publishes a table in the warehouse, from a release file or from other tables, and says exactly what changed."""

    target: Target = Field(discriminator="kind", description="Where the tables are.")

    def require_reachable(self) -> None:
        """Connect once; nothing is created.

        Raises:
            MedgenError: The warehouse cannot be used; see the message.
        """
        with self.target.loader():
            pass

    def handle_output(self, context: dg.OutputContext, obj: PendingLoad | PendingUndo | PendingCurated) -> None:
        """Load ``obj`` and attach what happened to the materialization."""
        table = any_table_by_name(table_name(context.asset_key))
        with permanent_errors_as_failures(context.step_key):
            loader = self.target.loader()
            if isinstance(obj, PendingLoad) and isinstance(table, SourceTable):
                result = load_table(loader, table, obj.source, obj.archive, obj.options, context.run_id)
            elif isinstance(obj, PendingUndo) and isinstance(table, SourceTable):
                result = undo(loader, table, obj.load, context.run_id)
            elif isinstance(obj, PendingCurated) and isinstance(table, CuratedTable):
                result = load_curated(loader, table, obj.options, context.run_id, obj.inputs)
            else:
                raise TypeError(
                    f"{context.asset_key.to_user_string()}: expected a PendingLoad or PendingUndo for a table of "
                    f"NCBI's or a PendingCurated for a curated one, got {type(obj).__name__}."
                )
        self._report(context, table, loader, result)
        if isinstance(obj, PendingCurated):
            context.add_output_metadata(curated_metadata(obj.inputs.table, context.asset_key.path[:-1], result.metrics))
        elif isinstance(obj, PendingLoad):
            try:
                obj.archive.prune(obj.source.url, {obj.source.sha256})
            except MedgenError as error:  # the load is published
                context.log.warning("%s: older versions stay in the archive: %s", table.name, error)

    def _report(
        self, context: dg.OutputContext, table: Table, loader: AbstractNativeLoader, result: LoadResult
    ) -> None:
        counts = result.counts
        context.log.info(
            f"{table.name}: {counts.rows_after} rows, {counts.inserted} inserted, {counts.updated} updated, "
            f"{counts.deleted} deleted, {counts.unchanged} unchanged, {result.report.rejected} rejected, "
            f"by {result.mode} in {result.load_seconds:.2f} s"
        )
        context.add_output_metadata(load_metadata(table, self.target.schema, loader.table_uri(table), result))

    def load_input(self, context: dg.InputContext) -> Any:
        """The upstream table as what the argument is annotated with: one of ``FRAMES``, or else its handle.

        The input's metadata may choose: ``release``, ``columns``, ``where``, as ``WarehouseTable.read`` has them.
        """
        table = any_table_by_name(table_name(context.asset_key))
        wanted = context.dagster_type.typing_type
        chosen = {name: value for name, value in (context.definition_metadata or {}).items() if name in _CHOICES}
        handle = WarehouseTable(
            self.target.schema, table.name, table.column_names, chosen.get("release"), self.target.loader
        )
        frame = frame_of(wanted)
        if frame is None and wanted not in {Any, WarehouseTable}:
            known = ", ".join((*FRAMES, WarehouseTable.__name__))
            raise TypeError(f"{table.name} cannot be given as {wanted!r}; annotate the argument with one of {known}.")
        if frame is None:
            return handle
        with permanent_errors_as_failures():
            return frame(handle.read(**chosen))
