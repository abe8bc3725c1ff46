"""An exact, current, auditable mirror of NCBI MedGen in a warehouse, as Dagster assets.

The rooms: ``catalog`` says what MedGen is, ``release`` gets it, ``framing`` checks it, ``loaders`` put it
into a warehouse; ``io_manager``, ``assets`` and ``build`` make Dagster assets of that. Importing this package
has no side effect.
"""

__version__ = "0.1.0"
