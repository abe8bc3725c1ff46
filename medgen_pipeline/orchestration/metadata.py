"""Everything the UI shows of a table, from the catalog and from a load.

Metrics are plain numbers under stable keys, because Dagster plots those by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from medgen_pipeline.access.report.facts import Report
from medgen_pipeline.catalog import Column, ColumnType, CuratedTable, SourceTable, Table
from medgen_pipeline.catalog.query import LOAD_RUN
from medgen_pipeline.loaders import LoadRecord
from medgen_pipeline.loading.load import LoadResult
from medgen_pipeline.orchestration import keys
from medgen_pipeline.orchestration.markdown import changes_of, preview_of, table_of
from medgen_pipeline.release import FileVersion, SourceFile

_TYPE_NAMES = {kind: "bigint" if kind is ColumnType.INTEGER else kind.value for kind in ColumnType}


def column_schema(table: Table) -> dg.TableSchema:
    """The table's columns as the UI shows them."""
    constraints = []
    if table.key:
        state = "unique" if table.key_proven else "expected to be unique"
        constraints.append(f"key ({', '.join(table.key)}): {state}")
    return dg.TableSchema(
        columns=[_table_column(table, column) for column in table.columns],
        constraints=dg.TableConstraints(other=constraints),
    )


def _table_column(table: Table, column: Column) -> dg.TableColumn:
    references = [
        f"refers to {reference.to_table}.{reference.to_column}"
        for reference in table.references
        if reference.column == column.name
    ]
    return dg.TableColumn(
        name=column.name,
        type=_TYPE_NAMES[column.type],
        description=column.description,
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, unique=table.key_proven and table.key == (column.name,), other=references
        ),
    )


def definition_metadata(table: SourceTable) -> dict[str, Any]:
    """What is known of a table before its first load."""
    return {"dagster/column_schema": column_schema(table), "medgen/file": table.file_name}


def curated_definition_metadata(table: CuratedTable, key_prefix: Sequence[str]) -> dict[str, Any]:
    """What is known of a curated table before it is made."""
    return {
        "dagster/column_schema": column_schema(table),
        "dagster/column_lineage": column_lineage(table, key_prefix),
        "medgen/query": dg.MetadataValue.md(f"```sql\n{table.query.source.strip()}\n```"),
    }


def column_lineage(table: CuratedTable, key_prefix: Sequence[str]) -> dg.TableColumnLineage:
    """The columns each column is made from. The audit is no asset, so what comes from there has no lineage."""
    deps = {
        column: [
            dg.TableColumnDep(asset_key=dg.AssetKey([*key_prefix, upstream]), column_name=name)
            for upstream, _, name in (source.partition(".") for source in sources)
            if upstream != LOAD_RUN
        ]
        for column, sources in table.lineage.items()
    }
    return dg.TableColumnLineage(deps_by_column={column: found for column, found in deps.items() if found})


def source_metadata(source: SourceFile) -> dict[str, Any]:
    """What the asset's own half knows: which published bytes these are."""
    return {
        keys.RELEASE: source.release,
        keys.SOURCE_URL: dg.MetadataValue.url(source.url),
        keys.SOURCE_VERSION: str(source.version),
        "medgen/source_sha256": source.sha256,
        keys.SOURCE_BYTES: source.byte_size,
        "medgen/downloaded_bytes": source.downloaded_bytes,
        "medgen/hours_behind": source.hours_behind,
    }


def undo_metadata(load: LoadRecord) -> dict[str, Any]:
    """The same where a table is brought back to what an earlier load left, without its file."""
    return {keys.RELEASE: load.release, "medgen/source_sha256": load.source_sha256}


def file_event(key: dg.AssetKey, url: str, version: FileVersion, release: str) -> dg.AssetMaterialization:
    """A version of a published file, for the UI.

    No observation: dagster 1.13.27 then shows what is downstream of the file as out of date for ever.
    """
    metadata: dict[str, Any] = {
        "dagster/uri": dg.MetadataValue.url(url),
        keys.RELEASE: release,
        keys.SOURCE_VERSION: str(version),
        keys.SOURCE_BYTES: version.size if version.size is not None else dg.MetadataValue.null(),
    }
    return dg.AssetMaterialization(key, metadata=metadata, tags={"dagster/data_version": str(version)})


def load_metadata(table: Table, schema: str, uri: str, result: LoadResult) -> dict[str, Any]:
    """What a load did, for the materialization event."""
    counts, report = result.counts, result.report
    metadata: dict[str, Any] = {
        keys.ROW_COUNT: counts.rows_after,
        "dagster/table_name": f"{schema}.{table.name}",
        "dagster/uri": uri,
        "dagster/column_schema": column_schema(table),
        keys.INSERTED: counts.inserted,
        keys.UPDATED: counts.updated,
        keys.DELETED: counts.deleted,
        keys.UNCHANGED: counts.unchanged,
        "cdc/compared_by": "key" if counts.by_key else "whole row",
        "medgen/strategy": result.strategy.value,
        "medgen/strategy_reason": result.strategy_reason,
        "medgen/mode": result.mode.value,
        "medgen/load_id": result.load_id,
        keys.REJECTED_ROWS: report.rejected,
        "medgen/repaired_rows": report.repaired,
        keys.LOAD_SECONDS: round(result.load_seconds, 3),
        "medgen/staging_seconds": round(result.staging_seconds, 3),
        "medgen/preview": dg.MetadataValue.md(preview_of(table.column_names, result.preview)),
    }
    if result.rejected_left_out:
        metadata["medgen/rejected_rows_left_out"] = result.rejected_left_out
    if result.rows_moved:
        metadata["medgen/rows_per_second"] = round(result.rows_moved / max(result.load_seconds, 0.001))
    if report.extra_columns:
        metadata["medgen/extra_columns"] = dg.MetadataValue.json(list(report.extra_columns))
    if report.missing_columns:
        metadata["medgen/missing_columns"] = dg.MetadataValue.json(list(report.missing_columns))
    return metadata


def curated_metadata(
    table: CuratedTable, key_prefix: Sequence[str], metrics: Mapping[str, Sequence[tuple[Any, ...]]]
) -> dict[str, Any]:
    """Lineage and metrics of a curated table, for the materialization event: numbers plot, tables are Markdown."""
    metadata: dict[str, Any] = {"dagster/column_lineage": column_lineage(table, key_prefix)}
    for metric in table.metrics:
        rows = metrics[metric.name]
        if metric.columns:
            metadata[metric.name] = dg.MetadataValue.md(table_of(metric, rows))
        else:
            metadata[metric.name] = int(rows[0][0])
    return metadata


def report_metadata(report: Report) -> dict[str, Any]:
    """The report of a release, for the materialization event of its page: numbers plot, what changed is Markdown."""
    counts = {f"report/{topic.name.replace(' ', '_')}": topic.concepts for topic in report.topics}
    return {"report/since": report.since, **counts, "report/changes": dg.MetadataValue.md(changes_of(report))}
