"""The code location, made once: for the process that steps' processes are copied from. See ``definitions``."""

from medgen_pipeline.definitions import defs

defs.get_repository_def()
