"""The data dictionary of a release: a data package (https://datapackage.org), made from the catalog."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen_pipeline.access.export.held import Held
from medgen_pipeline.catalog import Column, ColumnType, Source, Table, sources_behind

FILE = "datapackage.json"

Resource = dict[str, Any]
_TYPES = {kind: "string" if kind is ColumnType.TEXT else kind.value for kind in ColumnType}


def package(resources: Sequence[Resource], tables: Iterable[Table], release: str) -> str:
    """The text of the dictionary."""
    described = {
        "$schema": "https://datapackage.org/profiles/1.0/datapackage.json",
        "name": "medgen",
        "title": f"NCBI MedGen, {release}",
        "description": "Tables of NCBI MedGen and of what NCBI publishes beside it, and tables made from them.",
        "version": release,
        **_origin(frozenset().union(*map(sources_behind, tables))),
        "resources": resources,
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def table_resource(held: Held, path: Path, rows: int) -> Resource:
    """What is said of a table's Parquet file."""
    table = held.table
    schema: dict[str, Any] = {"fields": [_field(table, column) for column in table.columns]}
    if table.key_proven:
        schema["primaryKey"] = list(table.key)
    return {
        "name": table.name,
        **_file(path, "parquet", "application/vnd.apache.parquet"),
        "description": table.description,
        **_state(held),
        "rows": rows,
        **_origin(sources_behind(table)),
        "schema": schema,
    }


def mapping_resource(held: Held, path: Path, description: str) -> Resource:
    """What is said of another file that is made from a table."""
    return {
        "name": path.name.removesuffix(".tsv").lower(),
        **_file(path, "tsv", "text/tab-separated-values"),
        "description": description,
        **_state(held),
        **_origin(sources_behind(held.table)),
    }


def by_path(text: str | None) -> dict[str, Resource]:
    """The resources of a dictionary that was written before; none where there is none."""
    return {resource["path"]: resource for resource in json.loads(text)["resources"]} if text else {}


def versions(resources: Mapping[str, Resource]) -> dict[str, str]:
    """Of each file which rows it holds."""
    return {path: str(resource.get("rowsVersion")) for path, resource in resources.items()}


def licences_of(table: Table) -> str:
    """The same of one table in words, a line each."""
    return "\n".join(
        f"{licence['title']}: {licence['path']} {licence['description']}"
        for licence in _origin(sources_behind(table))["licenses"]
    )


def _field(table: Table, column: Column) -> dict[str, Any]:
    refers = [f"{one.to_table}.{one.to_column}" for one in table.references if one.column == column.name]
    said = f"{column.description} Refers to `{refers[0]}`." if refers else column.description
    return {"name": column.name, "type": _TYPES[column.type], "description": said}


def _state(held: Held) -> dict[str, str]:
    return {"release": held.release, "changedIn": held.changed, "rowsVersion": held.version}


def _file(path: Path, form: str, mediatype: str) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return {"path": path.name, "format": form, "mediatype": mediatype, "bytes": size, "hash": f"sha256:{digest}"}


def _origin(sources: Iterable[Source]) -> dict[str, Any]:
    """Where the content comes from, and under which licences it is."""
    known = sorted(sources, key=lambda source: source.name)
    licences = dict.fromkeys(licence for source in known for licence in source.licences)
    return {
        "sources": [{"title": source.title, "path": source.url} for source in known],
        "licenses": [
            {"title": licence.title, "path": licence.url, "description": licence.note} for licence in licences
        ],
    }
