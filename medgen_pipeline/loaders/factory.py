"""Picks a loader by the scheme of its DSN. Knows no backend beyond the name of its class."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from medgen_pipeline.loaders.contract import AbstractNativeLoader
from medgen_pipeline.urls import scheme_of, split_url

ENTRY_POINT_GROUP = "medgen_pipeline.loaders"

# Named, not imported: one backend must work without the drivers of the others.
_BUILT_IN = {
    "databricks": "medgen_pipeline.loaders.databricks:DatabricksNativeLoader",
    "duckdb": "medgen_pipeline.loaders.duckdb:DuckDBNativeLoader",
    "postgres": "medgen_pipeline.loaders.postgres:PostgresNativeLoader",
    "postgresql": "medgen_pipeline.loaders.postgres:PostgresNativeLoader",
    "redshift": "medgen_pipeline.loaders.redshift:RedshiftNativeLoader",
    "redshift+psycopg": "medgen_pipeline.loaders.redshift:RedshiftNativeLoader",
}


class LoaderFactory:
    """Creates loaders for the built-in schemes and for those that installed packages register.

    A package registers a scheme in the entry-point group ``medgen_pipeline.loaders``; the built-in ones win.
    """

    @staticmethod
    def known_schemes() -> tuple[str, ...]:
        """Every DSN scheme that has a loader."""
        return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))}))

    @staticmethod
    def loader_class(db_dsn: str) -> type[AbstractNativeLoader]:
        """The class that loads into ``db_dsn``.

        Raises:
            ValueError: No loader knows the scheme. The DSN itself stays out of the message: it may hold a password.
            TypeError: A package has registered something that is no loader.
        """
        scheme = scheme_of(db_dsn)
        if target := _BUILT_IN.get(scheme):
            module, _, name = target.partition(":")
            loaded = getattr(import_module(module), name)
        else:
            loaded = _registered(scheme)
        if not (isinstance(loaded, type) and issubclass(loaded, AbstractNativeLoader)):
            raise TypeError(f"The loader of scheme {scheme!r} is {loaded!r}, expected an AbstractNativeLoader class.")
        return loaded

    @staticmethod
    def create_loader(db_dsn: str, config: Mapping[str, Any]) -> AbstractNativeLoader:
        """A loader for ``db_dsn``, not connected yet.

        Args:
            db_dsn: For example ``postgresql://user@host/database``.
            config: The backend's own settings, such as ``schema``.

        Raises:
            ValueError: Unknown scheme, malformed DSN or unusable settings; see :func:`medgen_pipeline.urls.split_url`.
        """
        kind = LoaderFactory.loader_class(db_dsn)
        split_url(db_dsn, "the DSN")
        return kind.from_dsn(db_dsn, config)


@cache  # looking through what is installed takes longer than much of a small load
def _registered(scheme: str) -> object:
    registered = entry_points(group=ENTRY_POINT_GROUP, name=scheme)
    if not registered:
        known = ", ".join(LoaderFactory.known_schemes())
        raise ValueError(
            f"Unsupported database scheme: {scheme!r}. Known schemes: {known}. Check MEDGEN_DSN, or the dsn of "
            "the target; expected for example postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        )
    return next(iter(registered)).load()
