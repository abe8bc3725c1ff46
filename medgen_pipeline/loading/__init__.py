"""One load of one table, from its file or from other tables to production, and what is looked at afterwards.

Knows tables, not MedGen: no table is named here. Neither Dagster nor SQL of a backend.
"""
