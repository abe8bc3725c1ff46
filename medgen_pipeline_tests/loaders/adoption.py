"""What an earlier version of a backend made, which marked nothing. For backends that have had one."""

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.testing import Backend, compared, load
from medgen_pipeline.testing.loads import NAMES, RELEASES, A, B, C


class AdoptionContract:
    """Beside ``LoaderConformance``, in the same class."""

    def test_what_an_earlier_version_made_without_a_mark_is_the_loads_own(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A])
        load(backend.new_loader(), NAMES, [B], RELEASES[1])
        with backend.new_loader() as loader:
            compared(loader, NAMES, [C])  # and ends there
            for part, made in (("_staging", ("names", "names__changes")), ("_changes", ("names",))):
                for name in made:
                    self._unmark(backend, part, name)
        for name in backend.relations("_audit"):  # of a backend whose lock is a table, a load at work holds that
            self._unmark(backend, "_audit", name)
        assert load(backend.new_loader(), NAMES, [A, B], RELEASES[2]).inserted == 1
        assert backend.leftovers([NAMES]) == []

    @staticmethod
    def _unmark(backend: Backend, part: str, name: str) -> None:
        backend.run("COMMENT ON TABLE {made} IS NULL", made=sql.Identifier(f"{backend.schema}{part}", name))
