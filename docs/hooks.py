"""The pages that are made: data dictionary, diagram, commands, and the files of the root.

MkDocs calls the functions named ``on_...``: https://www.mkdocs.org/dev-guide/plugins/#events. No table, column or
lineage is written down here.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import dagster as dg
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from medgen_pipeline.catalog import (
    CURATED_TABLES,
    SOURCES,
    TABLES,
    Column,
    ColumnType,
    CuratedTable,
    SourceTable,
    Table,
    upstream_of,
)
from medgen_pipeline.cli import main
from medgen_pipeline.orchestration.build import build_definitions

_ROOT = Path(__file__).parents[1]
_ROOT_FILES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_DIAGRAM = "<!-- the asset graph -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file holds."""
    files.append(File.generated(config, "tables.md", content="\n".join(data_dictionary())))
    files.append(File.generated(config, "reference/cli.md", content="\n".join(command_line())))
    for page, path in _ROOT_FILES.items():
        files.append(File.generated(config, page, content=_as_page((_ROOT / path).read_text())))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the diagram where a page asks for it."""
    del page, config, files  # MkDocs passes them by name
    return markdown.replace(_DIAGRAM, "\n".join(asset_graph()))


def _as_page(text: str) -> str:
    """A file of the root whose links lead where its like is below docs/."""
    for page, path in _ROOT_FILES.items():
        text = text.replace(f"({path})", f"({page})")
    return text.replace("(LICENSE)", "(licence.md)").replace("(docs/", "(")


def data_dictionary() -> Iterator[str]:
    """Every table of the catalog as Markdown."""
    yield "# Tables"
    yield ""
    yield (
        f"The {len(TABLES)} tables as NCBI publishes them, one per file. Column names are the header's, in "
        "snake_case. An empty field is NULL. Widths apply where the warehouse declares them (Redshift); PostgreSQL "
        "has none."
    )
    for table in TABLES:
        yield from _entry(table, _source_facts(table))
    yield ""
    yield "# Curated tables"
    yield ""
    yield f"The {len(CURATED_TABLES)} tables made from these inside the warehouse."
    for curated in CURATED_TABLES:
        yield from _entry(curated, _curated_facts(curated))


def _entry(table: Table, facts: Iterator[str]) -> Iterator[str]:
    yield ""
    yield f"## {table.name} {{ #{table.name} }}"
    yield ""
    yield table.description
    yield ""
    yield " · ".join([*facts, _key(table)])
    yield ""
    yield from _columns(table)


def _source_facts(table: SourceTable) -> Iterator[str]:
    yield f"File `{table.file_name}` of [{table.source.title}]({table.source.url})"
    for marker in table.source.null_markers:
        yield f"`{marker}` is NULL"
    yield f"about {table.typical_rows:,} rows"


def _curated_facts(table: CuratedTable) -> Iterator[str]:
    yield f"Made from {', '.join(f'[`{upstream.name}`](#{upstream.name})' for upstream in upstream_of(table))}"


def _key(table: Table) -> str:
    if table.key:
        state = "unique in every release seen" if isinstance(table, SourceTable) else "unique"
        state = state if table.key_proven else "expected to be unique"
        return f"key ({', '.join(f'`{name}`' for name in table.key)}), {state}"
    return "no key: a row is identified by all its columns"


def _columns(table: Table) -> Iterator[str]:
    in_file = isinstance(table, SourceTable)
    yield f"| column | type |{' in the file |' if in_file else ''} meaning |"
    yield f"|---|---|{'---|' if in_file else ''}---|"
    references = {reference.column: reference for reference in table.references}
    for column in table.columns:
        meaning = column.description.replace("|", "\\|")
        if reference := references.get(column.name):
            meaning += f" Refers to [`{reference.to_table}.{reference.to_column}`](#{reference.to_table})."
        yield f"| `{column.name}` | {_type(column)} |{f' `{column.header}` |' if in_file else ''} {meaning} |"


def _type(column: Column) -> str:
    width = f"({column.max_bytes:,} bytes)" if column.type is ColumnType.TEXT else ""
    return f"{column.type.value} {width}{'' if column.nullable else ', never empty'}".replace(" ,", ",").strip()


def command_line() -> Iterator[str]:
    """The help of every command, as it prints it."""
    yield "# Command line"
    yield ""
    yield (
        "What `medgen` and each of its commands print with `--help`. [Settings](../settings.md) lists the variables "
        "they read; tables are loaded by [Dagster's own commands](../run.md#without-the-ui)."
    )
    yield from _help_of(click.Context(main, info_name="medgen", terminal_width=100))


def _help_of(context: click.Context) -> Iterator[str]:
    yield ""
    yield f"## {context.command_path}"
    yield ""
    yield f"```text\n{context.get_help()}\n```"
    if isinstance(context.command, click.Group):
        for name, command in sorted(context.command.commands.items()):
            yield from _help_of(click.Context(command, info_name=name, parent=context))


def asset_graph() -> Iterator[str]:
    """What is made from what, as Dagster knows it, in the notation of Mermaid."""
    every_source = ",".join(source.name for source in SOURCES)
    graph = build_definitions(environment={"MEDGEN_SOURCES": every_source}).resolve_asset_graph()
    groups: dict[str, list[dg.AssetKey]] = {}
    for node in graph.asset_nodes:
        groups.setdefault(node.group_name, []).append(node.key)
    yield "```mermaid"
    yield "flowchart LR"
    for group, keys in groups.items():
        yield f"  subgraph {group}"
        for key in sorted(keys):
            yield f'    {_node(key)}["{key.path[-1]}"]'
        yield "  end"
    for node in graph.asset_nodes:
        for parent in sorted(node.parent_keys):
            yield f"  {_node(parent)} --> {_node(node.key)}"
    yield "```"


def _node(key: dg.AssetKey) -> str:
    return "__".join(key.path)
