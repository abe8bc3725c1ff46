"""Columns of curated tables in short. Widths are bytes of UTF-8, for warehouses that declare them."""

from medgen_pipeline.catalog.model import Column, ColumnType

ID = 255
NAME = 4096
LONG = 65535


def text(name: str, description: str, width: int = ID, *, nullable: bool = False) -> Column:
    """A column of text."""
    return Column(name, name, description, nullable=nullable, max_bytes=width)


def integer(name: str, description: str, *, nullable: bool = False) -> Column:
    """A column of integers."""
    return Column(name, name, description, type=ColumnType.INTEGER, nullable=nullable, max_bytes=18)


def flag(name: str, description: str) -> Column:
    """A yes or no."""
    return Column(name, name, description, type=ColumnType.BOOLEAN, nullable=False)


def date(name: str, description: str, *, nullable: bool = False) -> Column:
    """A day."""
    return Column(name, name, description, type=ColumnType.DATE, nullable=nullable)
