"""The one world that all files of the sample describe: concepts, their identifiers, features and genes.

Invented concepts have CUIs that UMLS does not use (``C9…``, ``CN…``), invented genes numbers that NCBI Gene does not.
"""

import datetime as dt
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

INVENTED = ("C9", "CN")
INVENTED_GENES = ("SMPL", "smpl")
DISEASE_ROOT, _FEATURE_ROOT = "C0012634", "C4021819"
INHERITANCE = ("C0443147", "C0441748", "C1845977")

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
# CUI of a disease, number and symbol of the gene that causes it, the gene's own OMIM number.
_KNOWN_GENES = """
C0024796|2200|FBN1|134797
C4551955|7046|TGFBR1|190181
C0010674|1080|CFTR|602421
C0020179|3064|HTT|613004
C0001080|2261|FGFR3|134934
C0002895|3043|HBB|141900
C0031485|5053|PAH|612349
C0027831|4763|NF1|613113
C0013264|1756|DMD|300377
C0019202|540|ATP7B|606882
"""
# Names of the first invented concepts. All of them are data: nothing in MedGen's files quotes or escapes.
ODD_NAMES = (
    'Benign "quoted" spot syndrome',
    "Möller-Ångström β-oxidation defect",
    "Back\\slash gait",
    "Trailing blank syndrome  ",
)
_SYLLABLES = ("ba", "cor", "den", "fil", "gam", "hes", "kol", "lum", "mer", "nov", "pel", "rin", "sal", "tov")
TYPES = {  # TUI: STN, STY
    "T047": ("B2.2.1.2.1", "Disease or Syndrome"),
    "T033": ("A2.2", "Finding"),
    "T191": ("B2.2.1.2.1.2", "Neoplastic Process"),
    "T184": ("A2.2.2", "Sign or Symptom"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Gene:
    """A gene; ``mim`` is its own entry of OMIM."""

    number: int
    symbol: str
    mim: str


@dataclass(frozen=True)
class Concept:
    """One concept of the sample world; ``ids`` are (source, identifier) as in MedGenIDMappings.

    ``features`` has those that are denied, too; ``denied`` says which. ``gene`` causes it, where one is known to.
    """

    uid: int
    cui: str
    name: str
    is_feature: bool
    parent: str
    ids: tuple[tuple[str, str], ...]
    features: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    gene: Gene | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """Semantic types; one concept in thirty has two."""
        second = ("T184" if self.is_feature else "T191",) if hashed("types", self.cui) % 30 == 0 else ()
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

    @property
    def genes(self) -> dict[int, Gene]:
        """The genes by their numbers."""
        return {concept.gene.number: concept.gene for concept in self.concepts if concept.gene}

    def settled(self, *parts: object) -> str:
        """The CUI of an invented concept that no release retires."""
        return invented_cui(hashed(*parts) % (self.size // 2))


def hashed(*parts: object) -> int:
    """A number that is the same in every process."""
    return zlib.crc32("|".join(map(str, parts)).encode())


def invented_cui(number: int) -> str:
    """The CUI of an invented concept."""
    return f"CN{900000 + number}" if number % 6 == 5 else f"C{9000000 + number}"


def world_of(size: int, *, successor: bool, pubmed_links: int) -> World:
    """The concepts of a release; a successor lacks some leaves, has some more, and calls fifty by another name."""
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
    genes = {}
    for line in _KNOWN_GENES.split("\n")[1:-1]:
        cui, number, symbol, mim = line.split("|")
        genes[cui] = Gene(int(number), symbol, mim)
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
        yield Concept(uid, cui, name, False, parent or cui, tuple(ids), listed, denied, genes.get(cui))


def _invented(number: int, size: int) -> Concept:
    """Every fifth concept is a feature, the others are diseases; both hang in trees."""
    is_feature, uid, cui = number % 5 == 0, 1000 + number, invented_cui(number)
    if number < 10:
        parent = _FEATURE_ROOT if is_feature else DISEASE_ROOT
    else:
        above = number // 20 * 5 if is_feature else number // 4 + (number // 4 % 5 == 0)
        parent = invented_cui(above)
    features: tuple[str, ...] = ()
    if not is_feature and number % 3 == 0:
        picks = [invented_cui(hashed("feature", cui, k) % (size // 5) * 5) for k in range(3)]
        features = tuple(dict.fromkeys([*picks, INHERITANCE[number % len(INHERITANCE)]]))
    ids = tuple(_ids(number, is_feature))
    # Two diseases in three that OMIM has are caused by a gene, and some share one.
    has_gene = number % 3 == 0 and not is_feature and number % 9 != 6
    gene = Gene(90_000_000 + number // 6, f"SMPL{number // 6}", str(800_000 + number // 6)) if has_gene else None
    return Concept(uid, cui, _name(number), is_feature, parent, ids, features, gene=gene)


def _name(number: int) -> str:
    if number < len(ODD_NAMES):
        return ODD_NAMES[number]
    word = "".join(_SYLLABLES[hashed("name", number, k) % len(_SYLLABLES)] for k in range(3))
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


def date_of(*parts: object) -> str:
    """A day, as MedGen writes it."""
    day = dt.date(2012, 1, 1) + dt.timedelta(days=hashed("date", *parts) % 5000)
    return f"{day.day:02d} {_MONTHS[day.month - 1]} {day.year}"  # strftime's %b would follow the locale


# The rows of each table

Values = tuple[str, ...]
RowsOf = Callable[[World], Iterator[Values]]
ROWS: dict[str, tuple[list[str], RowsOf]] = {}


def rows_of(name: str, columns: str) -> Callable[[RowsOf], RowsOf]:
    """The decorated function yields the values of these columns; ``write_sample`` puts them in published order."""

    def register(rows: RowsOf) -> RowsOf:
        ROWS[name] = (columns.split(), rows)
        return rows

    return register
