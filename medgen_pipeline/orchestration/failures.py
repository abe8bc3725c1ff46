"""This package's errors as Dagster failures: a permanent one stops retries, a gate says how to open it.

Who is told of a failure is in ``hooks``, whether it is asked for again in ``release_sensor``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import yaml
from dagster._core.execution.plan.objects import StepFailureData  # the type of a public event's data

from medgen_pipeline.errors import PermanentError
from medgen_pipeline.loading.gates import GatesClosedError
from medgen_pipeline.orchestration.keys import CLOSED_GATES, OVERRIDE

RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For errors that a retry may clear."""


@contextmanager
def permanent_errors_as_failures(step_key: str = "") -> Iterator[None]:
    """Raise ``dg.Failure`` without retries for errors that a retry cannot clear; let transient ones through.

    Args:
        step_key: The step's name in run config, for the override a closed gate offers; fetching has no gates.
    """
    try:
        yield
    except GatesClosedError as error:
        description = str(error)
        metadata: dict[str, dg.MetadataValue] = {
            CLOSED_GATES: dg.MetadataValue.json([gate.reason for gate in error.closed])
        }
        if error.overrides:
            override = yaml.safe_dump({"ops": {step_key: {"config": error.overrides}}})
            description += (
                f"\nIf the release is right, materialize {error.table.name} again with this run config:\n{override}"
            )
            metadata[OVERRIDE] = dg.MetadataValue.md(f"```yaml\n{override}```")
        raise dg.Failure(description, metadata, allow_retries=False) from error
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def reason_of(data: StepFailureData) -> str:
    """What a failed step said, in one line, without Dagster's own frame around it."""
    if data.user_failure_data and data.user_failure_data.description:
        text = data.user_failure_data.description
    else:
        error = data.error and (data.error.cause or data.error)
        text = error.message if error else ""
    return one_line(text)


def one_line(text: str) -> str:
    """A message without its line breaks."""
    return " ".join(text.split()) or "no reason given."
