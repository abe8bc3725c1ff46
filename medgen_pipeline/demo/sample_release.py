"""A small synthetic MedGen release and its successor, for demos, tutorials and tests without a network.

Files, headers, framing and column order come from the catalog; here are only the values. They describe one
world of concepts, so that the tables join. Invented concepts have CUIs that UMLS does not use (``C9…``,
``CN…``). A few well-known disorders and features carry their real CUI, OMIM, Orphanet, Mondo and HPO ids, so
that worked questions have recognisable answers; UIDs, definitions and links are invented throughout. No row
was copied from MedGen. The oddities of real files are in it on purpose; ``test_sample.py`` lists them.
"""

import datetime as dt
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medgen_pipeline.catalog import TABLES, SourceTable
from medgen_pipeline.rows.published import header_of, line_of

Row = dict[str, str]  # by column name

_RELEASED = dt.datetime(2026, 1, 7, 17, 0, tzinfo=dt.UTC)
_WEEK = dt.timedelta(days=7)
_CONCEPTS = 2_400  # at scale 1: a hundredth of MedGen
_FEWEST_CONCEPTS = 60
_PUBMED_LINKS = 14
_INVENTED = ("C9", "CN")
_DISEASE_ROOT, _FEATURE_ROOT = "C0012634", "C4021819"
_INHERITANCE = ("C0443147", "C0441748", "C1845977")

# HPO id, CUI, name, parent. Parents leave out the levels of HPO between the two.
_KNOWN_FEATURES = """
HP:0000118|C4021819|Phenotypic abnormality|
HP:0000005|C1708511|Mode of inheritance|
HP:0000006|C0443147|Autosomal dominant inheritance|C1708511
HP:0000007|C0441748|Autosomal recessive inheritance|C1708511
HP:0001419|C1845977|X-linked recessive inheritance|C1708511
HP:0000478|C4316870|Abnormality of the eye|C4021819
HP:0000707|C0497552|Abnormality of the nervous system|C4021819
HP:0000924|C4021790|Abnormality of the skeletal system|C4021819
HP:0001507|C0262361|Growth abnormality|C4021819
HP:0001574|C4025761|Abnormality of the integument|C4021819
HP:0001626|C0243050|Abnormality of the cardiovascular system|C4021819
HP:0002086|C4018871|Abnormality of the respiratory system|C4021819
HP:0001166|C0003706|Arachnodactyly|C4021790
HP:0001083|C0013581|Ectopia lentis|C4316870
HP:0002650|C0036439|Scoliosis|C4021790
HP:0001634|C0026267|Mitral valve prolapse|C0243050
HP:0002072|C0008489|Chorea|C0497552
HP:0004322|C0349588|Short stature|C0262361
HP:0001903|C0002871|Anemia|C4021819
HP:0001250|C0036572|Seizure|C0497552
HP:0001249|C3714756|Intellectual disability|C0497552
HP:0001324|C0151786|Muscle weakness|C4021819
HP:0002110|C0006267|Bronchiectasis|C4018871
HP:0000957|C0221263|Cafe-au-lait spot|C4025761
HP:0000193|C4551488|Bifid uvula|C4021819
HP:0000316|C0020534|Hypertelorism|C4021819
"""
# Mondo id, CUI, name, parent, OMIM (PS: a phenotypic series), Orphanet, features (with "-": denied)
_KNOWN_DISEASES = """
MONDO:0000001|C0012634|Disease||||
MONDO:0003900|C0009782|Connective tissue disorder|C0012634|||
MONDO:0007947|C0024796|Marfan syndrome|C0009782|154700|558|C0003706 C0013581 C0036439 C0026267 C0443147
MONDO:0018954|C2697932|Loeys-Dietz syndrome|C0009782|PS609192|60030|
MONDO:0012212|C4551955|Loeys-Dietz syndrome 1|C2697932|609192||C0003706 -C0013581 C0036439 C4551488 C0020534 C0443147
MONDO:0009061|C0010674|Cystic fibrosis|C0012634|219700|586|C0006267 C0441748
MONDO:0007739|C0020179|Huntington disease|C0012634|143100|399|C0008489 C0443147
MONDO:0007037|C0001080|Achondroplasia|C0012634|100800|15|C0349588 C0443147
MONDO:0011382|C0002895|Hb SS disease|C0012634|603903|232|C0002871 C0441748
MONDO:0009861|C0031485|Phenylketonuria|C0012634|261600|716|C3714756 C0036572 C0441748
MONDO:0018975|C0027831|Neurofibromatosis, type 1|C0012634|162200|636|C0221263 C0036439 C0443147
MONDO:0010679|C0013264|Duchenne muscular dystrophy|C0012634|310200|98896|C0151786 C1845977
MONDO:0010200|C0019202|Wilson disease|C0012634|277900|905|C0441748
"""
# Retired concepts that led to a known one, one to the other, and nowhere.
_OLD_CUIS = (("CN799998", "CN799999"), ("CN799999", "C0024796"), ("CN799996", "CN799997"))
# Names of the first invented concepts. All of them are data: nothing in MedGen's files quotes or escapes.
_ODD_NAMES = (
    'Benign "quoted" spot syndrome',
    "Möller-Ångström β-oxidation defect",
    "Back\\slash gait",
    "Trailing blank syndrome  ",
)
_ODD_VALUES = ("\\N", "\\.", "\\", '"', "NULL")
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
_TYPES = {  # TUI: STN, STY
    "T047": ("B2.2.1.2.1", "Disease or Syndrome"),
    "T033": ("A2.2", "Finding"),
    "T191": ("B2.2.1.2.1.2", "Neoplastic Process"),
    "T184": ("A2.2.2", "Sign or Symptom"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SYLLABLES = ("ba", "cor", "den", "fil", "gam", "hes", "kol", "lum", "mer", "nov", "pel", "rin", "sal", "tov")


@dataclass(frozen=True)
class Concept:
    """One concept of the sample world; ``ids`` are (source, identifier) as in MedGenIDMappings.

    ``features`` has those that are denied, too; ``denied`` says which.
    """

    uid: int
    cui: str
    name: str
    is_feature: bool
    parent: str
    ids: tuple[tuple[str, str], ...]
    features: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """Semantic types; one concept in thirty has two."""
        second = ("T184" if self.is_feature else "T191",) if _hash("types", self.cui) % 30 == 0 else ()
        return ("T033" if self.is_feature else "T047", *second)

    def ids_of(self, source: str) -> Iterator[str]:
        """The concept's identifiers in one source."""
        return (identifier for name, identifier in self.ids if name == source)


@dataclass(frozen=True)
class World:
    """The concepts of one release, sorted by CUI, and those that it retired."""

    concepts: tuple[Concept, ...]
    retired: tuple[Concept, ...]  # empty in the base release
    size: int
    pubmed_links: int

    @property
    def by_cui(self) -> dict[str, Concept]:
        """The concepts by their CUI."""
        return {concept.cui: concept for concept in self.concepts}

    def settled(self, *parts: object) -> str:
        """The CUI of an invented concept that no release retires."""
        return _invented_cui(_hash(*parts) % (self.size // 2))


def write_sample(
    out: Path, *, scale: float = 1.0, successor: bool = False, pubmed_links: int = _PUBMED_LINKS
) -> list[Path]:
    """Write the 17 files of a synthetic release into ``out``; the same arguments give the same bytes.

    Args:
        out: The directory; it is made where absent, and files of the same names are replaced.
        scale: 1 gives about 75,000 rows. Below 1 not every kind of change reaches every table.
        successor: Write the release of a week later: concepts retired, added and renamed, rows inserted,
            updated and deleted in every table but ``medgen_sources``.
        pubmed_links: An invented concept has fewer links to PubMed than this. The default keeps the sample small;
            real concepts have 67 on average, which 134 gives.

    Returns:
        The paths written, in the order of the catalog.
    """
    if scale <= 0:
        raise ValueError(f"scale is {scale}; it must be above 0 (1 gives about 75,000 rows)")
    out.mkdir(parents=True, exist_ok=True)
    size = max(_FEWEST_CONCEPTS, int(_CONCEPTS * scale))
    world = _world(size, successor=successor, pubmed_links=pubmed_links)
    stamp = int((_RELEASED + successor * _WEEK).timestamp())
    paths = []
    for table in TABLES:
        columns, rows_of = _ROWS[table.name]
        rows = (dict(zip(columns, values, strict=True)) for values in rows_of(world))
        paths.append(out / table.file_name)
        _write(paths[-1], table, _drift(table, rows) if successor else rows, stamp)
    return paths


def _write(path: Path, table: SourceTable, rows: Iterable[Row], stamp: int) -> None:
    """Write one file; its time, and the one inside a gzip header, are the release's."""
    with path.open("wb") as raw:
        target = gzip.GzipFile("", "wb", 6, raw, mtime=stamp) if table.is_gzip else nullcontext(raw)
        with target as file:
            file.writelines(_lines(table, rows))
    os.utime(path, (stamp, stamp))


def _lines(table: SourceTable, rows: Iterable[Row]) -> Iterator[bytes]:
    yield header_of(table)
    for row in rows:
        yield line_of(table, [row[name].encode("utf-8", "surrogateescape") for name in table.column_names])


# The world


def _hash(*parts: object) -> int:
    return zlib.crc32("|".join(map(str, parts)).encode())


def _invented_cui(number: int) -> str:
    return f"CN{900000 + number}" if number % 6 == 5 else f"C{9000000 + number}"


def _world(size: int, *, successor: bool, pubmed_links: int) -> World:
    """A successor lacks some leaves, has some more concepts, and calls fifty by another name."""
    concepts = [_invented(number, size) for number in range(size)]
    retired: list[Concept] = []
    if successor:
        retired = [leaf for leaf in concepts[size // 2 + 1 :] if not leaf.is_feature][::80]
        renamed = [replace(concept, name=concept.name.replace(" type ", " ")) for concept in concepts[5:55]]
        added = [_invented(number, size) for number in range(size, size + 30)]
        concepts = [*concepts[:5], *renamed, *concepts[55:], *added]
    gone = {concept.cui for concept in retired}
    living = [concept for concept in (*_known(), *concepts) if concept.cui not in gone]
    return World(tuple(sorted(living, key=lambda concept: concept.cui)), tuple(retired), size, pubmed_links)


def _known() -> Iterator[Concept]:
    for uid, line in enumerate(_KNOWN_FEATURES.split("\n")[1:-1], 1):
        hpo, cui, name, parent = line.split("|")
        yield Concept(uid, cui, name, True, parent or cui, (("MedGen", str(uid)), ("HPO", hpo)))
    for uid, line in enumerate(_KNOWN_DISEASES.split("\n")[1:-1], 101):
        mondo, cui, name, parent, omim, orphanet, features = line.split("|")
        ids = [("MedGen", str(uid)), ("MONDO", mondo)]
        if omim:
            ids.append(("OMIM Phenotypic Series" if omim.startswith("PS") else "OMIM", omim))
        if orphanet:
            ids.append(("Orphanet", f"Orphanet_{orphanet}"))
        listed = tuple(feature.removeprefix("-") for feature in features.split())
        denied = tuple(feature[1:] for feature in features.split() if feature.startswith("-"))
        yield Concept(uid, cui, name, False, parent or cui, tuple(ids), listed, denied)


def _invented(number: int, size: int) -> Concept:
    """Every fifth concept is a feature, the others are diseases; both hang in trees."""
    is_feature, uid, cui = number % 5 == 0, 1000 + number, _invented_cui(number)
    if number < 10:
        parent = _FEATURE_ROOT if is_feature else _DISEASE_ROOT
    else:
        above = number // 20 * 5 if is_feature else number // 4 + (number // 4 % 5 == 0)
        parent = _invented_cui(above)
    features: tuple[str, ...] = ()
    if not is_feature and number % 3 == 0:
        picks = [_invented_cui(_hash("feature", cui, k) % (size // 5) * 5) for k in range(3)]
        features = tuple(dict.fromkeys([*picks, _INHERITANCE[number % len(_INHERITANCE)]]))
    return Concept(uid, cui, _name(number), is_feature, parent, tuple(_ids(number, is_feature)), features)


def _name(number: int) -> str:
    if number < len(_ODD_NAMES):
        return _ODD_NAMES[number]
    word = "".join(_SYLLABLES[_hash("name", number, k) % len(_SYLLABLES)] for k in range(3))
    return f"Abnormal {word}ic sign type {number}" if number % 5 == 0 else f"{word.title()} syndrome type {number}"


def _ids(number: int, is_feature: bool) -> Iterator[tuple[str, str]]:
    """Identifiers in other sources; some are shared by two concepts, some concepts have two of one source."""
    yield "MedGen", str(1000 + number)
    if number % 5 < 3:
        yield "SNOMEDCT_US", str(99000000 + number // 2)
    if number % 10 == 3:
        yield "MeSH", f"D9{number:06d}"
    if is_feature:
        yield "HPO", f"HP:9{number:06d}"
        if number % 50 == 0:
            yield "HPO", f"HP:8{number:06d}"
        return
    if number % 3 == 0:
        yield "OMIM", str(900000 + number)
    if number % 12 == 0:
        yield ("OMIM allelic variant" if number % 24 else "OMIM Allelic Variant"), f"{900000 + number}.0001"
    if number % 40 == 1:
        yield "OMIM included", str(900000 + number)
    if number % 40 == 2:
        yield "OMIM Phenotypic Series", f"PS{900000 + number}"
    if number % 4 == 1:
        yield "Orphanet", f"Orphanet_{900000 + number // 8}"
    if number % 4 == 2:
        yield "MONDO", f"MONDO:9{number:06d}"
    if number % 10 == 7:
        yield "GARD", f"GARD:9{number:06d}"


# The rows of each table

Values = tuple[str, ...]
RowsOf = Callable[[World], Iterator[Values]]
_ROWS: dict[str, tuple[list[str], RowsOf]] = {}


def _table(name: str, columns: str) -> Callable[[RowsOf], RowsOf]:
    """The decorated function yields the values of these columns; ``write_sample`` puts them in published order."""

    def register(rows_of: RowsOf) -> RowsOf:
        _ROWS[name] = (columns.split(), rows_of)
        return rows_of

    return register


def _sab(concept: Concept) -> str:
    return _SABS[_hash("sab", concept.cui) % len(_SABS)]


def _aui(concept: Concept, number: int = 0) -> str:
    return f"{'AN' if concept.cui.startswith('CN') else 'A'}{concept.uid * 100 + number}"


def _date(*parts: object) -> str:
    day = dt.date(2012, 1, 1) + dt.timedelta(days=_hash("date", *parts) % 5000)
    return f"{day.day:02d} {_MONTHS[day.month - 1]} {day.year}"  # strftime's %b would follow the locale


@_table("names", "cui name source suppress")
def _names(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        yield concept.cui, concept.name, _sab(concept), "N"


@_table("mgconso", "cui ts stt ispref aui saui scui sdui sab tty code str suppress")
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
        if name == _ODD_NAMES[0]:
            for number, term in enumerate((*_ODD_VALUES, "A pipe | in a term makes a bad row"), 60):
                yield cui, *rest, _aui(concept, number), f"S{number}", "C34811", "", "NCI", "SY", "C34811", term, "N"


@_table("mgdef", "cui def source suppress")
def _mgdef(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        if concept.uid % 3 == 0 or not concept.cui.startswith(_INVENTED):
            text = f'{concept.name} is part of a "sample".\rInvented \\ not copied; number {concept.uid}.'
            yield concept.cui, text, _sab(concept), "N"
        if concept.uid % 30 == 0:
            yield concept.cui, f"Sign:\t{concept.name}", "GeneReviews", "N"


@_table("mgrel", "cui1 aui1 stype1 rel cui2 aui2 rela rui sab sl suppress")
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
        if concept.cui == _invented_cui(11):
            yield _related(parent, "PAR", concept, "inverse_isa", concept, 22)  # a cycle of two


def _related(first: Concept, rel: str, second: Concept, rela: str, owner: Concept, number: int) -> Values:
    """A row of MGREL: ``second`` is the ``rel`` (parent, child, ...) of ``first``, and ``second rela first``."""
    sab = _sab_of_edges(owner)
    stype = "AUI" if sab in {"HPO", "OMIM"} else "SCUI"
    rui = f"{'RN' if owner.cui.startswith('CN') else 'R'}{owner.uid * 100 + number}"
    return first.cui, _aui(first), stype, rel, second.cui, _aui(second), rela, rui, sab, sab, "N"


def _sab_of_edges(concept: Concept) -> str:
    """Known concepts stand where HPO and Mondo have them; the others are anybody's."""
    if concept.cui.startswith(_INVENTED):
        return _sab(concept)
    return "HPO" if concept.is_feature else "MONDO"


def _relationship(disease: Concept, feature: str) -> str:
    if feature in _INHERITANCE:
        return "inheritance_type_of"
    if not disease.cui.startswith(_INVENTED):
        return "not_manifestation_of" if feature in disease.denied else "manifestation_of"
    rare = ("not_manifestation_of", "related_to", "mapped_from", "")
    return dict(enumerate(rare)).get(_hash("rela", disease.cui, feature) % 50, "manifestation_of")


@_table("mgsat", "cui metaui stype code atui atn sab atv suppress")
def _mgsat(world: World) -> Iterator[Values]:
    names = ("GENESYMBOL", "MIMTYPE", "TERMUI", "Date created")
    for concept in world.concepts:
        values = [f"value {_hash('atv', concept.cui, k) % 10_000}" for k in range(2 + concept.uid % 6)]
        for number, value in enumerate(_ODD_VALUES if concept.name == _ODD_NAMES[0] else values):
            code = concept.ids[-1][1] if number % 3 else ""
            atui, atn = f"ATN{concept.uid * 100 + number}", names[number % len(names)]
            yield concept.cui, _aui(concept), "AUI", code, atui, atn, _sab(concept), value, "N"


@_table("mgsty", "cui tui stn sty atui")
def _mgsty(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        for tui in concept.types:
            yield concept.cui, tui, *_TYPES[tui], f"AT{concept.uid}{tui[1:]}"


@_table("merged", "cui to_cui")
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


@_table("medgen_id_mappings", "cui pref_name source_id source")
def _id_mappings(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        for source, identifier in concept.ids:
            yield concept.cui, concept.name, identifier, source


@_table("medgen_hpo_mapping", "cui sdui hpo_str medgen_str medgen_str_sab sty")
def _hpo_mapping(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        for hpo in concept.ids_of("HPO"):
            for tui in concept.types:
                yield concept.cui, hpo, concept.name, concept.name, _sab(concept), _TYPES[tui][1]


@_table(
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
                about_medgen = (feature.name, _sab(feature), _TYPES[feature.types[0]][1])
                for _ in range(_copies(world, disease, feature)):
                    yield *about_omim, *about_hpo, *about_medgen


def _copies(world: World, disease: Concept, feature: Concept) -> int:
    """Some rows stand twice; a week later they stand once, twice or three times."""
    number = _hash("copies", disease.cui, feature.cui) % 60
    if number not in {1, 2, 3} or not disease.cui.startswith(_INVENTED):
        return 1
    return number if world.retired else 2


@_table("medgen_pubmed_lnk", "uid cui name pmid")
def _pubmed_lnk(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        known = not concept.cui.startswith(_INVENTED)
        first = 10_000_000 + _hash("pmid", concept.cui) % 20_000_000
        for number in range(40 if known else concept.uid % world.pubmed_links):
            name = concept.name
            if name == _ODD_NAMES[1] and number == 0:
                name = name.replace("ö", "\udcf6", 1)  # a byte of Latin-1, as in NCBI's file of June 2022
            yield str(concept.uid), concept.cui, name, str(first + 97 * number)


def _history(world: World, source: str) -> Iterator[Values]:
    gone = {concept.cui for concept in world.retired}
    for concept in sorted([*world.concepts, *world.retired], key=lambda concept: concept.uid):
        for identifier in concept.ids_of(source):
            who = (identifier, concept.cui)
            for number in range(_hash("past", *who) % 5):
                past = f"CN{500000 + _hash('past', number, *who) % 100000}"
                # Mondo's key repeats now and then, since NCBI promises none.
                for _ in range(2 if source == "MONDO" and _hash("twice", number, *who) % 50 == 0 else 1):
                    yield identifier, past, _date(number, *who), "0"
            yield identifier, concept.cui, _date(*who), "0" if concept.cui in gone else "1"


_table("medgen_uid_cui_history", "uid cui date is_current")(partial(_history, source="MedGen"))
_table("hpo_cui_history", "hpo_id cui date is_current")(partial(_history, source="HPO"))
_table("ordo_cui_history", "ordo_id cui date is_current")(partial(_history, source="Orphanet"))
_table("mondo_cui_history", "mondo_id cui date is_current")(partial(_history, source="MONDO"))


@_table("medgen_cui_history", "previous_cui current_cui date_of_action")
def _cui_history(world: World) -> Iterator[Values]:
    gone = "No longer reported"
    for number in range(len(world.concepts) // 8):
        current = world.settled("current", number) if number % 9 else gone
        yield f"CN{600000 + number}", current, _date(number)[3:]
    for number, concept in enumerate(world.retired):
        yield concept.cui, concept.parent if number % 3 else gone, "Jan 2026"


@_table("medgen_sources", "source abbreviation description url")
def _sources(_: World) -> Iterator[Values]:
    lines = _SOURCES.split("\n")[1:-1]
    for line in lines:
        yield tuple(line.split("|"))
    for number in range(len(lines), _SOURCE_ROWS):
        yield f"Sample source {number}", f"SAMPLE{number}", "Invented.", f"https://example.org/{number}"


# What a successor changes in some rows of a table, beside what follows from its concepts.
_REVISIONS = {
    "mgrel": {"cui2": _DISEASE_ROOT},  # NCBI gives a RUI to another pair of concepts; but see _revision
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


def _drift(table: SourceTable, rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out every 67th row about invented concepts and revise every 41st; names follow the concepts alone."""
    number = 0
    for row in rows:
        if table.name != "names" and any(value.startswith(_INVENTED) for value in row.values()):
            number += 1
            if number % 67 == 0:
                continue
            if number % 41 == 0:
                row.update(_revision(table, row))
        yield row


def _revision(table: SourceTable, row: Row) -> Row:
    """What is changed in a row. An edge of the hierarchy stays where it is: diseases are no kinds of findings."""
    if row.get("rel") in {"PAR", "CHD"}:
        return {"sab": "MONDO", "sl": "MONDO"}
    return _REVISIONS.get(table.name, {})
