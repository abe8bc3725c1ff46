"""Rows on their way: a published file as canonical bytes, and what differs between two files.

Knows tables, not MedGen: no table is named here. Neither Dagster, nor a warehouse, nor the network.
"""
