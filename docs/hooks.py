"""The pages that are made: data dictionary, diagram, commands, and the files of the root.

MkDocs calls the functions named ``on_...``: https://www.mkdocs.org/dev-guide/plugins/#events. No table, column or
lineage is written down here.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import click
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
    any_table_by_name,
    table_by_name,
    upstream_of,
)
from medgen_pipeline.cli import main
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES, FILE_GROUP, table_name

_ROOT = Path(__file__).parents[1]
_ROOT_FILES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_DIAGRAM = "<!-- the asset graph -->"
_ROW, _COLUMN, _GAP = 24, 248, 60  # of it, in pixels: height of a table, width with the gap behind it, and that


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file holds."""
    files.append(File.generated(config, "curated.md", content="\n".join(curated_tables())))
    files.append(File.generated(config, "tables.md", content="\n".join(published_tables())))
    files.append(File.generated(config, "reference/cli.md", content="\n".join(command_line())))
    for page, path in _ROOT_FILES.items():
        files.append(File.generated(config, page, content=_as_page((_ROOT / path).read_text())))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the diagram where a page asks for it; to draw it takes as long as some pages."""
    del page, config, files  # MkDocs passes them by name
    return markdown.replace(_DIAGRAM, "\n".join(asset_graph())) if _DIAGRAM in markdown else markdown


def _as_page(text: str) -> str:
    """A file of the root whose links lead where its like is below docs/."""
    for page, path in _ROOT_FILES.items():
        text = text.replace(f"({path})", f"({page})")
    return text.replace("(LICENSE)", "(licence.md)").replace("(docs/", "(")


def curated_tables() -> Iterator[str]:
    """Every curated table as Markdown."""
    yield "# Curated tables"
    yield ""
    yield (
        f"Begin here: {len(CURATED_TABLES)} tables that answer what most people ask of MedGen, made inside the "
        "warehouse from [the tables that NCBI publishes](tables.md). [Fifteen questions](questions.md) have their SQL."
    )
    yield ""
    in_order = sorted(CURATED_TABLES, key=lambda table: table.name)
    for table in in_order:
        summary, *_ = table.description.splitlines()
        yield f"- [`{table.name}`](#{table.name}): {summary}"
    for table in in_order:
        yield from _entry(table, _curated_facts(table))


def published_tables() -> Iterator[str]:
    """Every table of NCBI's as Markdown."""
    yield "# Tables of NCBI"
    yield ""
    yield (
        f"The {len(TABLES)} tables as NCBI publishes them, one per file. Column names are the header's, in "
        "snake_case. An empty field is NULL. Widths apply where the warehouse declares them (Redshift); PostgreSQL "
        "has none. Most questions are easier to answer with the [curated tables](curated.md)."
    )
    for table in TABLES:
        yield from _entry(table, _source_facts(table))


def _page_of(table: Table) -> str:
    return "tables" if isinstance(table, SourceTable) else "curated"


def _link(table: Table, label: str) -> str:
    return f"[`{label}`]({_page_of(table)}.md#{table.name})"


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
    links = {one.name: _link(one, one.name) for one in upstream_of(table)}
    yield f"Made from {', '.join(link for name, link in links.items() if name not in table.optional)}"
    if table.optional:
        yield f"where they are loaded, from {', '.join(links[name] for name in table.optional)}, too"


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
            to = any_table_by_name(reference.to_table)
            meaning += f" Refers to {_link(to, f'{reference.to_table}.{reference.to_column}')}."
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
    """What is made from what, as Dagster knows it: a drawing that needs no script, its columns from left to right."""
    every_source = ",".join(source.name for source in SOURCES)
    graph = build_definitions(environment={"MEDGEN_SOURCES": every_source}).resolve_asset_graph()
    tables = [node for node in graph.asset_nodes if node.group_name != FILE_GROUP]
    keys = {node.key for node in tables}
    made_of = {table_name(node.key): [table_name(key) for key in node.parent_keys & keys] for node in tables}
    groups = {table_name(node.key): node.group_name for node in tables}
    curated = {name for name, group in groups.items() if group == DEFAULT_NAMES.curated_group}
    places: dict[str, tuple[int, float]] = {}  # column and height of each table
    headings: dict[str, float] = {}
    height = 0.0
    for name in sorted(groups.keys() - curated, key=lambda name: TABLES.index(table_by_name(name))):
        if groups[name] not in headings:
            headings[groups[name]] = height + _ROW
            height += _ROW * 1.5
        places[name], height = (0, height), height + _ROW
    waiting, column = curated, 0
    while waiting:
        column += 1
        ready = {
            name: mean(places[parent][1] for parent in made_of[name])
            for name in waiting
            if places.keys() >= set(made_of[name])
        }
        lowest = _ROW * 1.5
        for name in sorted(ready, key=ready.__getitem__):
            places[name] = column, (lowest := max(lowest, ready[name]))
            lowest += _ROW * 1.5
        waiting = waiting - ready.keys()
    width, height = (column + 1) * _COLUMN - _GAP, max(y for _, y in places.values()) + 2 * _ROW
    yield '<div class="asset-graph">'
    yield f'<svg width="{width}" height="{height:.0f}" role="img" aria-label="What is made from what">'
    for name, parents in made_of.items():
        for parent in sorted(parents):
            yield _edge(places[parent], places[name], f"{parent} → {name}")
    for group, y in headings.items():
        yield f'<text class="group" x="1" y="{y:.0f}">{group}</text>'
    for name, (column, y) in places.items():
        page = _page_of(any_table_by_name(name))
        yield (
            f'<a href="../{page}/#{name}" transform="translate({column * _COLUMN},{y:.0f})">'
            f'<rect x="1" y="1" width="{_COLUMN - _GAP - 2}" height="{_ROW - 5}" rx="4"/>'
            f'<text x="8" y="14">{name}</text></a>'
        )
    yield "</svg>"
    yield "</div>"


def _edge(start: tuple[int, float], end: tuple[int, float], title: str) -> str:
    left, right = (start[0] + 1) * _COLUMN - _GAP, end[0] * _COLUMN
    above, below = (f"{y + _ROW / 2 - 2:.0f}" for _, y in (start, end))
    bend = f"{left + _GAP / 2:.0f},{above} {right - _GAP / 2:.0f},{below}"
    return f'<path d="M{left},{above} C{bend} {right},{below}"><title>{title}</title></path>'
