"""An exact, current, auditable mirror of NCBI MedGen in a warehouse, as Dagster assets.

For a project of your own: ``build_definitions`` and ``MedgenComponent``; for a script or a notebook: ``connect``. They
are imported when asked for: a script that loads or reads a table needs no Dagster. CONTRIBUTING.md says what is where.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medgen_pipeline.orchestration.build import build_definitions
    from medgen_pipeline.orchestration.component import MedgenComponent
    from medgen_pipeline.warehouse import connect

__version__ = "0.1.0"
__all__ = ["MedgenComponent", "__version__", "build_definitions", "connect"]

_LAZY = {
    "MedgenComponent": "medgen_pipeline.orchestration.component",
    "build_definitions": "medgen_pipeline.orchestration.build",
    "connect": "medgen_pipeline.warehouse",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
