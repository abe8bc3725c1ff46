"""The ``medgen`` command, one module a group of commands. Loading is Dagster's business.

At the top of these modules only click is imported, so that ``medgen --help`` is quick: Dagster takes a second and a
half.
"""

from typing import Any

import click

from medgen_pipeline.cli import checks, demo, export, history, releases, report, server, tables, ui
from medgen_pipeline.errors import MedgenError


class _Commands(click.Group):
    """Shows errors a user can act on as ``Error: ...`` with exit code 1; a traceback means a bug."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `medgen ... | head`: click ends without a message
            raise
        except (MedgenError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="medgen_pipeline")
def main() -> None:
    """NCBI MedGen in your warehouse, as Dagster assets."""


for _command in (
    demo.sample,
    demo.demo,
    ui.ui,
    ui.env,
    tables.status,
    tables.show,
    checks.checks,
    history.changes,
    history.as_of,
    report.report,
    export.export,
    releases.releases,
    releases.rollback,
    releases.unpin,
    server.server,
):
    main.add_command(_command)
