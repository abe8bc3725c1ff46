"""What can happen to a request here and not at the other gate: an HTTP status instead of an answer."""

from dataclasses import dataclass

from medgen_pipeline_tests.gates import faults


@dataclass
class Fault(faults.Fault):
    """What happens to statements that match.

    Attributes:
        status: Answer with this HTTP status; ``seconds`` is then its Retry-After.
    """

    status: int = 0
