"""This package's errors as Dagster failures: a permanent one stops retries, a gate says how to open it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import yaml

from medgen_pipeline.errors import PermanentError
from medgen_pipeline.gates import GatesClosedError

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
        override = yaml.safe_dump({"ops": {step_key: {"config": {gate.setting: gate.value for gate in error.closed}}}})
        raise dg.Failure(
            description=f"{error}\nIf the release is right, materialize {error.table.name} again with this run "
            f"config:\n{override}",
            metadata={
                "medgen/closed_gates": dg.MetadataValue.json([gate.reason for gate in error.closed]),
                "medgen/override": dg.MetadataValue.md(f"```yaml\n{override}```"),
            },
            allow_retries=False,
        ) from error
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
