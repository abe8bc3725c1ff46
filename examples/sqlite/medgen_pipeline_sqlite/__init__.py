"""SQLite as a warehouse of medgen_pipeline. ``MEDGEN_DSN=sqlite:///path/to/folder`` is all a user sets.

``loader`` is the contract, ``session`` the connections, ``dialect`` its words; the rest is medgen_pipeline's.
"""
