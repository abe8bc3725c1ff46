"""How the checks of the data came out, for CI."""

import click

from medgen_pipeline.cli.instance import prepared_dagster_home


@click.command()
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@click.pass_context
def checks(ctx: click.Context, strict: bool) -> None:
    """List the checks that failed when they were last made; the exit code is 1 where one of them is an error.

    A check that the last run planned and did not make is a warning. For CI: `dagster asset materialize` ends with 0
    where a check that blocks nothing has failed.
    """
    from medgen_pipeline.orchestration.check_report import last_results
    from medgen_pipeline.orchestration.local import open_instance

    errors, made = 0, 0
    with open_instance(prepared_dagster_home()) as instance:
        for result in last_results(instance):
            made += result.was_made
            for problem in result.problems:
                errors += problem.is_error or strict
                click.echo(f"{'error' if problem.is_error else 'warning'}: {result.name}: {problem.said}")
    click.echo(f"{made} checks were made; {errors} count as errors")
    ctx.exit(1 if errors else 0)
