"""The rows of MedGen's 17 files, in the world of the sample."""

from collections.abc import Iterator
from functools import partial

from medgen_pipeline.demo.sample.world import (
    DISEASE_ROOT,
    INHERITANCE,
    INVENTED,
    ODD_NAMES,
    TYPES,
    Concept,
    Values,
    World,
    date_of,
    hashed,
    invented_cui,
    rows_of,
)

_ODD_VALUES = ("\\N", "\\.", "\\", '"', "NULL")
# Retired concepts that led to a known one, one to the other, and nowhere.
_OLD_CUIS = (("CN799998", "CN799999"), ("CN799999", "C0024796"), ("CN799996", "CN799997"))
_SOURCES = """
Human Phenotype Ontology|HPO|Terms for clinical features.|https://hpo.jax.org/
Online Mendelian Inheritance in Man|OMIM|Genes and genetic disorders.|https://omim.org/
Orphanet Rare Disease Ontology|ORDO|Rare diseases.|https://www.orphadata.com/
Mondo Disease Ontology|MONDO|Diseases, merged from many sources.|https://mondo.monarchinitiative.org/
NIH Genetic Testing Registry|GTR|Conditions of registered tests.|https://www.ncbi.nlm.nih.gov/gtr/
SNOMED CT, US edition|SNOMEDCT_US|Clinical terms.|https://www.nlm.nih.gov/healthit/snomedct/
NCI Thesaurus|NCI|Terms of cancer research.|https://ncithesaurus.nci.nih.gov/
Medical Subject Headings|MSH|Terms that index PubMed.|https://www.nlm.nih.gov/mesh/
"""
_SOURCE_ROWS = 123
_SABS = ("GTR", "SNOMEDCT_US", "NCI", "OMIM", "HPO", "MSH")
_SAB_OF_ID = {
    "MeSH": "MSH",
    "Orphanet": "ORDO",
    "OMIM allelic variant": "OMIM",
    "OMIM Allelic Variant": "OMIM",
    "OMIM Phenotypic Series": "OMIM",
}


def _sab(concept: Concept) -> str:
    return _SABS[hashed("sab", concept.cui) % len(_SABS)]


def _aui(concept: Concept, number: int = 0) -> str:
    return f"{'AN' if concept.cui.startswith('CN') else 'A'}{concept.uid * 100 + number}"


@rows_of("names", "cui name source suppress")
def _names(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        yield concept.cui, concept.name, _sab(concept), "N"


@rows_of("mgconso", "cui ts stt ispref aui saui scui sdui sab tty code str suppress")
def _mgconso(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        cui, name, rest = concept.cui, concept.name, ("S", "VO", "N")
        preferred = ("P", "PF", "Y") if concept.uid % 37 else rest
        yield cui, *preferred, _aui(concept), "", "", "", _sab(concept), "PT", "", name, "N"
        for number, (source, code) in enumerate(concept.ids[1:], 1):
            sab = _SAB_OF_ID.get(source, source)
            scui, sdui = (code, "") if sab == "SNOMEDCT_US" else ("", code)
            term = f"{name}, {sab} form"
            yield cui, *rest, _aui(concept, number), "", scui, sdui, sab, "SY", code, term, "N"
        if concept.uid % 2:
            aui = _aui(concept, 0 if concept.uid % 199 == 0 else 50)  # 0: the same AUI twice
            yield cui, *rest, aui, "", "", "", "NCI", "SY", "", f"{name} (synonym)", "O"
        if name == ODD_NAMES[0]:
            for number, term in enumerate((*_ODD_VALUES, "A pipe | in a term makes a bad row"), 60):
                yield cui, *rest, _aui(concept, number), f"S{number}", "C34811", "", "NCI", "SY", "C34811", term, "N"


@rows_of("mgdef", "cui def source suppress")
def _mgdef(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        if concept.uid % 3 == 0 or not concept.cui.startswith(INVENTED):
            text = f'{concept.name} is part of a "sample".\rInvented \\ not copied; number {concept.uid}.'
            yield concept.cui, text, _sab(concept), "N"
        if concept.uid % 30 == 0:
            yield concept.cui, f"Sign:\t{concept.name}", "GeneReviews", "N"


@rows_of("mgrel", "cui1 aui1 stype1 rel cui2 aui2 rela rui sab sl suppress")
def _mgrel(world: World) -> Iterator[Values]:
    by_cui = world.by_cui
    for concept in world.retired[:1]:  # NCBI still relates a concept that it has retired
        yield _related(by_cui[concept.parent], "CHD", concept, "isa", concept, 1)
    for concept in world.concepts:
        parent = by_cui[concept.parent]
        yield _related(concept, "PAR", parent, "inverse_isa", concept, 0)
        yield _related(parent, "CHD", concept, "isa", concept, 1)
        for number, cui in enumerate(concept.features):
            label = _relationship(concept, cui)
            yield _related(concept, "RO", by_cui[cui], label, concept, 2 + 2 * number)
            if label == "manifestation_of":
                yield _related(by_cui[cui], "RO", concept, "has_manifestation", concept, 3 + 2 * number)
        if concept.uid % 2:
            yield _related(concept, "RQ", by_cui[world.settled("related", concept.cui)], "", concept, 20)
        if concept.uid % 101 == 0:
            yield _related(concept, "SY", concept, "alias_of", concept, 21)  # a self-loop
        if concept.cui == invented_cui(11):
            yield _related(parent, "PAR", concept, "inverse_isa", concept, 22)  # a cycle of two


def _related(first: Concept, rel: str, second: Concept, rela: str, owner: Concept, number: int) -> Values:
    """A row of MGREL: ``second`` is the ``rel`` (parent, child, ...) of ``first``, and ``second rela first``."""
    sab = _sab_of_edges(owner)
    stype = "AUI" if sab in {"HPO", "OMIM"} else "SCUI"
    rui = f"{'RN' if owner.cui.startswith('CN') else 'R'}{owner.uid * 100 + number}"
    return first.cui, _aui(first), stype, rel, second.cui, _aui(second), rela, rui, sab, sab, "N"


def _sab_of_edges(concept: Concept) -> str:
    """Known concepts stand where HPO and Mondo have them; the others are anybody's."""
    if concept.cui.startswith(INVENTED):
        return _sab(concept)
    return "HPO" if concept.is_feature else "MONDO"


def _relationship(disease: Concept, feature: str) -> str:
    if feature in INHERITANCE:
        return "inheritance_type_of"
    if not disease.cui.startswith(INVENTED):
        return "not_manifestation_of" if feature in disease.denied else "manifestation_of"
    rare = ("not_manifestation_of", "related_to", "mapped_from", "")
    return dict(enumerate(rare)).get(hashed("rela", disease.cui, feature) % 50, "manifestation_of")


@rows_of("mgsat", "cui metaui stype code atui atn sab atv suppress")
def _mgsat(world: World) -> Iterator[Values]:
    names = ("GENESYMBOL", "MIMTYPE", "TERMUI", "Date created")
    for concept in world.concepts:
        values = [f"value {hashed('atv', concept.cui, k) % 10_000}" for k in range(2 + concept.uid % 6)]
        for number, value in enumerate(_ODD_VALUES if concept.name == ODD_NAMES[0] else values):
            code = concept.ids[-1][1] if number % 3 else ""
            atui, atn = f"ATN{concept.uid * 100 + number}", names[number % len(names)]
            yield concept.cui, _aui(concept), "AUI", code, atui, atn, _sab(concept), value, "N"


@rows_of("mgsty", "cui tui stn sty atui")
def _mgsty(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        for tui in concept.types:
            yield concept.cui, tui, *TYPES[tui], f"AT{concept.uid}{tui[1:]}"


@rows_of("merged", "cui to_cui")
def _merged(world: World) -> Iterator[Values]:
    chained = {10: 11, 11: 10}  # a cycle
    for number in range(len(world.concepts) // 8):
        if number % 20 == 1:
            chained[number] = number - 1
        target = f"CN{700000 + chained[number]}" if number in chained else world.settled("merged", number)
        yield f"CN{700000 + number}", target
    yield from _OLD_CUIS
    for concept in world.retired:
        yield concept.cui, concept.parent


@rows_of("medgen_id_mappings", "cui pref_name source_id source")
def _id_mappings(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        for source, identifier in concept.ids:
            yield concept.cui, concept.name, identifier, source


@rows_of("medgen_hpo_mapping", "cui sdui hpo_str medgen_str medgen_str_sab sty")
def _hpo_mapping(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        for hpo in concept.ids_of("HPO"):
            for tui in concept.types:
                yield concept.cui, hpo, concept.name, concept.name, _sab(concept), TYPES[tui][1]


@rows_of(
    "medgen_hpo_omim_mapping",
    "omim_cui mim_number omim_name relationship hpo_cui hpo_id hpo_name medgen_name medgen_source sty",
)
def _hpo_omim_mapping(world: World) -> Iterator[Values]:
    by_cui = world.by_cui
    for disease in world.concepts:
        for mim in disease.ids_of("OMIM"):
            for feature in map(by_cui.__getitem__, disease.features):
                about_omim = (disease.cui, mim, disease.name, _relationship(disease, feature.cui))
                about_hpo = (feature.cui, next(feature.ids_of("HPO")), feature.name)
                about_medgen = (feature.name, _sab(feature), TYPES[feature.types[0]][1])
                for _ in range(_copies(world, disease, feature)):
                    yield *about_omim, *about_hpo, *about_medgen


def _copies(world: World, disease: Concept, feature: Concept) -> int:
    """Some rows stand twice; a week later they stand once, twice or three times."""
    number = hashed("copies", disease.cui, feature.cui) % 60
    if number not in {1, 2, 3} or not disease.cui.startswith(INVENTED):
        return 1
    return number if world.retired else 2


@rows_of("medgen_pubmed_lnk", "uid cui name pmid")
def _pubmed_lnk(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        known = not concept.cui.startswith(INVENTED)
        first = 10_000_000 + hashed("pmid", concept.cui) % 20_000_000
        for number in range(40 if known else concept.uid % world.pubmed_links):
            name = concept.name
            if name == ODD_NAMES[1] and number == 0:
                name = name.replace("ö", "\udcf6", 1)  # a byte of Latin-1, as in NCBI's file of June 2022
            yield str(concept.uid), concept.cui, name, str(first + 97 * number)


def _history(world: World, source: str) -> Iterator[Values]:
    gone = {concept.cui for concept in world.retired}
    for concept in sorted([*world.concepts, *world.retired], key=lambda concept: concept.uid):
        for identifier in concept.ids_of(source):
            who = (identifier, concept.cui)
            for number in range(hashed("past", *who) % 5):
                past = f"CN{500000 + hashed('past', number, *who) % 100000}"
                # Mondo's key repeats now and then, since NCBI promises none.
                for _ in range(2 if source == "MONDO" and hashed("twice", number, *who) % 50 == 0 else 1):
                    yield identifier, past, date_of(number, *who), "0"
            yield identifier, concept.cui, date_of(*who), "0" if concept.cui in gone else "1"


rows_of("medgen_uid_cui_history", "uid cui date is_current")(partial(_history, source="MedGen"))
rows_of("hpo_cui_history", "hpo_id cui date is_current")(partial(_history, source="HPO"))
rows_of("ordo_cui_history", "ordo_id cui date is_current")(partial(_history, source="Orphanet"))
rows_of("mondo_cui_history", "mondo_id cui date is_current")(partial(_history, source="MONDO"))


@rows_of("medgen_cui_history", "previous_cui current_cui date_of_action")
def _cui_history(world: World) -> Iterator[Values]:
    gone = "No longer reported"
    for number in range(len(world.concepts) // 8):
        current = world.settled("current", number) if number % 9 else gone
        yield f"CN{600000 + number}", current, date_of(number)[3:]
    for number, concept in enumerate(world.retired):
        yield concept.cui, concept.parent if number % 3 else gone, "Jan 2026"


@rows_of("medgen_sources", "source abbreviation description url")
def _sources(_: World) -> Iterator[Values]:
    lines = _SOURCES.split("\n")[1:-1]
    for line in lines:
        yield tuple(line.split("|"))
    for number in range(len(lines), _SOURCE_ROWS):
        yield f"Sample source {number}", f"SAMPLE{number}", "Invented.", f"https://example.org/{number}"


# What a successor changes in some rows of a table, beside what follows from its concepts.
REVISIONS = {
    "mgrel": {"cui2": DISEASE_ROOT},  # NCBI gives a RUI to another pair of concepts; but see _revision
    "mgsat": {"atv": "revised value"},
    "mgsty": {"stn": "A1.2"},
    "mgdef": {"source": "NCI"},
    "medgen_hpo_omim_mapping": {"sty": "Sign or Symptom"},
    "medgen_uid_cui_history": {"is_current": "0"},
    "medgen_cui_history": {"current_cui": "No longer reported"},
    "hpo_cui_history": {"is_current": "0"},
    "ordo_cui_history": {"is_current": "0"},
    "mondo_cui_history": {"is_current": "0"},
}
