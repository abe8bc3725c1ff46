"""Mapping files made from ``concept_xref``: SSSOM, and the template that Mondo takes MedGen's identifiers from.

SSSOM: https://mapping-commons.github.io/sssom/. Mondo's file is ``mondo-medgen.robot.tsv`` of its repository
``mondo-ingest``, in the form of ROBOT's templates (https://robot.obolibrary.org/template).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from medgen_pipeline.catalog.curated.concept_xref import PREFIXES
from medgen_pipeline.catalog.curated.concept_xref import TABLE as CONCEPT_XREF
from medgen_pipeline.catalog.sources.licences import UMLS
from medgen_pipeline.catalog.sources.medgen import MEDGEN

if TYPE_CHECKING:
    import pyarrow as pa

# What OMIM files under an entry is near the concept; a series is wider than it.
_PREDICATES = {"concept": "skos:exactMatch", "phenotypic series": "skos:broadMatch"}
_OTHERWISE = "skos:relatedMatch"
# MedGen does not say which of its mappings were made by people.
_JUSTIFICATION = "semapv:UnspecifiedMatching"
_OF_UMLS = re.compile(r"C\d+", re.ASCII)

_ROBOT_HEADER = (
    "mondo_id\txref_id\tsource_id\tsource_medgen_id\tmapping_predicate\n"
    "ID\tA oboInOwl:hasDbXref\t>A oboInOwl:source\t>A oboInOwl:source\t>A oboInOwl:source\n"
)


class Xref(NamedTuple):
    """A row of ``concept_xref``."""

    cui: str
    source: str
    kind: str
    source_id: str
    curie: str | None


def xrefs(batches: "Iterable[pa.RecordBatch]") -> Iterator[Xref]:
    """The rows of batches."""
    for batch in batches:
        yield from map(Xref, *(batch[name].to_pylist() for name in Xref._fields))


def sssom(rows: Iterable[Xref], release: str) -> Iterator[str]:
    """The lines of an SSSOM file: each identifier that has a CURIE, as a mapping from its concept.

    Args:
        rows: In the order of their concepts, which as CURIEs, as ``concept`` has them, are in the same order.
        release: Of the rows.
    """
    yield from ("#curie_map:\n", *(f'#  {prefix}: "{iri}"\n' for prefix, iri in sorted(PREFIXES.items())))
    yield f'#license: "{UMLS.url}"\n'
    yield f'#mapping_set_id: "{MEDGEN.url}#{CONCEPT_XREF.name}"\n'
    yield '#mapping_set_title: "Identifiers of NCBI MedGen\'s concepts in other vocabularies"\n'
    yield f'#mapping_set_version: "{release}"\n'
    yield "subject_id\tpredicate_id\tobject_id\tmapping_justification\n"
    for cui, found in groupby(rows, lambda row: row.cui):
        subject = f"UMLS:{cui}" if _OF_UMLS.fullmatch(cui) else f"medgen.cid:{cui}"
        mapped = {(_PREDICATES.get(row.kind, _OTHERWISE), row.curie) for row in found if row.curie is not None}
        yield from (f"{subject}\t{predicate}\t{curie}\t{_JUSTIFICATION}\n" for predicate, curie in sorted(mapped))


def robot(rows: Iterable[Xref]) -> Iterator[str]:
    """The lines of Mondo's file: two for each concept of the UMLS that has an identifier of Mondo's.

    Args:
        rows: In the order of their concepts.
    """
    lines = set()
    for cui, found in groupby(rows, lambda row: row.cui):
        known = list(found)
        mondo = [row.curie for row in known if row.source == "MONDO" and not cui.startswith("CN")]
        for uid in (f"MEDGEN:{row.source_id}" for row in known if mondo and row.source == "MedGen"):
            lines |= {(xref, curie, source) for curie in mondo for xref, source in ((uid, ""), (f"UMLS:{cui}", uid))}
    yield _ROBOT_HEADER
    for xref, curie, source in sorted(lines):
        yield f"{curie}\t{xref}\t{source}\tMONDO:MEDGEN\tMONDO:equivalentTo\n"


Lines = Callable[[Iterable[Xref], str], Iterator[str]]
MAPPINGS: Mapping[str, Mapping[str, tuple[str, Lines]]] = {
    CONCEPT_XREF.name: {
        "concept_xref.sssom.tsv": ("`concept_xref` as an SSSOM mapping set.", sssom),
        "mondo-medgen.robot.tsv": (
            "Mondo's identifiers of MedGen's concepts as a ROBOT template, as `mondo-ingest` has it.",
            lambda rows, _: robot(rows),
        ),
    }
}
"""By table: the further files that are made from it, each with what is said of it and its lines."""
