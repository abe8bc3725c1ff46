"""Rows out of the warehouse: ``read`` gives them as Arrow, ``frames`` as what people work with, ``export`` as files.

``report`` makes a page of what happened between two releases.
"""
