"""Definitions, one module or component each."""
