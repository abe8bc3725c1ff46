"""The only package that imports Dagster: assets, resources, checks, jobs and sensors, made from the catalog.

What a load does is in ``loading``; what a table is, in ``catalog``.
"""
