"""What a backend can and cannot do, as data. Code that depends on a backend's nature reads it here, never its name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoaderCapabilities:
    """The limits and guarantees of one backend.

    Attributes:
        backend: Short name, used as the asset's kind in the UI and in messages.
        max_identifier_bytes: Longest table or column name.
        max_text_bytes: Longest text value; a longer one is a rejected row.
        transactional_ddl: Whether renaming a table can be rolled back with the rest of its transaction.
        enforced_keys: Whether a unique constraint is checked, and so proves that a key is unique.
        documentation: The vendor's pages these values were read from.
    """

    backend: str
    max_identifier_bytes: int
    max_text_bytes: int
    transactional_ddl: bool
    enforced_keys: bool
    documentation: tuple[str, ...]
