"""What a backend can and cannot do, as data. Code that depends on a backend's nature reads it here, never its name."""

from dataclasses import dataclass

from medgen_pipeline.catalog import Column, ColumnType


@dataclass(frozen=True)
class LoaderCapabilities:
    """The limits and guarantees of one backend.

    Attributes:
        backend: Short name, used as the asset's kind in the UI and in messages.
        max_identifier_bytes: Longest table or column name.
        max_text_bytes: Longest text value; a longer one is a rejected row.
        enforced_keys: Whether a unique constraint is checked, and so proves that a key is unique.
        documentation: The vendor's pages these values were read from.
        curated: Whether tables can be made from others inside the warehouse: ``stage_query`` and ``read_query``.
        declares_text_width: Whether a text column has a width in bytes, so that a longer value is a rejected row.
    """

    backend: str
    max_identifier_bytes: int
    max_text_bytes: int
    enforced_keys: bool
    documentation: tuple[str, ...]
    curated: bool = False
    declares_text_width: bool = False

    def text_bytes(self, column: Column) -> int | None:
        """The width a text column is declared with here, or None where it has none."""
        if self.declares_text_width and column.type is ColumnType.TEXT:
            return min(column.max_bytes, self.max_text_bytes)
        return None
