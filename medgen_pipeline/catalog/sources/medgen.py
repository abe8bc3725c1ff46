"""The 17 tables of MedGen: files, headers, columns, keys and meanings.

Facts only. How a header line is matched, how rows are cut, compared or stored is decided elsewhere.
Headers are matched by lower-case letters and digits alone: ``to CUI`` and ``toCUI`` are one spelling.
"""

from medgen_pipeline.catalog.model import WEEKLY, Column, ColumnType, Framing, Reference, Source, SourceTable
from medgen_pipeline.catalog.sources.licences import HPO, MONDO, NCBI, OMIM, ORPHANET, UMLS, UNIVERSITY_OF_WASHINGTON

MEDGEN = Source(
    name="medgen",
    title="MedGen",
    url="https://ftp.ncbi.nlm.nih.gov/pub/medgen/",
    cadence=WEEKLY,
    licences=(NCBI, UMLS, OMIM, HPO, MONDO, ORPHANET, UNIVERSITY_OF_WASHINGTON),
    shares_release=True,
)

_ID = 64  # bytes; identifiers seen have up to 20, and NCBI promises no width
_NAME = 4096  # the longest preferred name of September 2025 has 330 characters; synonyms are longer
_LONG = 65535  # the most that Redshift's VARCHAR holds

_SAB_MEANING = "abbreviation of the vocabulary, e.g. `HPO`, `OMIM`, `SNOMEDCT_US`, `NCI`, `MSH`, `ORDO`, `GTR`"


def _cui(header: str = "CUI", name: str = "cui", description: str = "", aliases: tuple[str, ...] = ()) -> Column:
    text = description or "Concept: `C` + 7 digits (UMLS) or `CN` + 6 digits (made by NCBI)."
    return Column(name, header, text, nullable=False, aliases=aliases, max_bytes=_ID)


def _integer(name: str, header: str, description: str) -> Column:
    return Column(name, header, description, type=ColumnType.INTEGER, nullable=False, max_bytes=18)


def _sab(description: str, *, nullable: bool = True) -> Column:
    return Column("sab", "SAB", f"{description}: {_SAB_MEANING}.", nullable=nullable, max_bytes=_ID)


def _suppress(*, nullable: bool = True) -> Column:
    text = "Whether UMLS suppresses the row: `N` no; `O` (obsolete), `E` (by an editor) and `Y` yes."
    return Column("suppress", "SUPPRESS", text, nullable=nullable, max_bytes=16)


def _is_cui(*columns: str) -> tuple[Reference, ...]:
    return tuple(Reference(column, "names", "cui") for column in columns)


def _cui_history(vocabulary: str, table_name: str, file_name: str, identifier: Column, rows: int) -> SourceTable:
    """One of the four tables that say which concept an identifier of another vocabulary stood for, and when.

    They declare no reference: past rows point to retired concepts, so orphans say nothing about damage.
    """
    return SourceTable(
        source=MEDGEN,
        name=table_name,
        file_name=file_name,
        framing=Framing.TAB,
        columns=(
            identifier,
            _cui(description="The concept the identifier stood for; retired where the row is past."),
            Column("date", "Date", "Day of the change, as NCBI writes it: `12 Jun 2019`.", max_bytes=_ID),
            Column("is_current", "IsCurrent", "`1` the assignment holds, `0` it is past.", max_bytes=16),
        ),
        key=(identifier.name, "cui", "date"),
        key_proven=False,
        description=(
            f"Which concept each {vocabulary} has stood for over time. Kept by NCBI MedGen.\n\n"
            "- Take `is_current = '1'` for today's concept; an identifier may have several past rows.\n"
            "- A retired identifier has past rows only.\n"
            "- Concepts of past rows may be retired and missing from `names`.\n"
            "- `date` is text: do not sort by it without parsing."
        ),
        typical_rows=rows,
    )


_NAMES = SourceTable(
    source=MEDGEN,
    name="names",
    file_name="NAMES.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(),
        Column("name", "name", "Preferred name of the concept in MedGen.", nullable=False, max_bytes=_NAME),
        Column("source", "source", f"Where the preferred name was taken from: {_SAB_MEANING}.", max_bytes=_ID),
        _suppress(),
    ),
    key=("cui",),
    key_proven=True,
    description=(
        "One row per MedGen concept with its preferred name. Made by NCBI MedGen from UMLS, OMIM, HPO, "
        "Orphanet, GTR and others.\n\n"
        "- The place for preferred names: `mgconso` has no preferred atom for some concepts.\n"
        "- `source` is the source of the *name*, not of the concept.\n"
        "- A CUI may vanish and return in a later release. Follow retired ones through `merged` and "
        "`medgen_cui_history`."
    ),
    typical_rows=237_000,
)

_MGCONSO = SourceTable(
    source=MEDGEN,
    name="mgconso",
    file_name="MGCONSO.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(),
        Column("ts", "TS", "Term status: `P` preferred, `S` not.", max_bytes=16),
        Column("stt", "STT", "String type: `PF` preferred form, `VO`, `VC`, `VW`, `VCW` variants.", max_bytes=16),
        Column("ispref", "ISPREF", "`Y` where this is the preferred atom of its string, else `N`.", max_bytes=16),
        Column("aui", "AUI", "Atom: `A…` (UMLS) or `AN…` (NCBI). Repeats.", nullable=False, max_bytes=_ID),
        Column("saui", "SAUI", "The source's own atom identifier.", max_bytes=_ID),
        Column("scui", "SCUI", "The source's concept identifier (NCI, SNOMEDCT_US).", max_bytes=_ID),
        Column(
            "sdui",
            "SDUI",
            "The source's descriptor (OMIM, HPO, MONDO, ORDO): `123456.0001`, `MTHU…`, `HP:…`, `Orphanet_…`.",
            max_bytes=_ID,
        ),
        _sab("Source of the term", nullable=False),
        Column("tty", "TTY", "Term type in the source, e.g. `PT` preferred term, `SY` synonym.", max_bytes=_ID),
        Column("code", "CODE", "The term's code in the source."),
        Column("str", "STR", "The term.", nullable=False, max_bytes=_NAME),
        _suppress(),
    ),
    key=(),
    key_proven=False,
    description=(
        "Terms (names and synonyms) of every concept with their source identifiers. Made by NCBI MedGen from "
        "UMLS and from its own sources.\n\n"
        "- Not the layout of UMLS `MRCONSO`: there is no LAT, LUI, SUI, SRL or CVF.\n"
        "- `aui` repeats, so only the whole row identifies a row.\n"
        "- Not every concept has a row with `ts = 'P'`, `stt = 'PF'`, `ispref = 'Y'`: join `names`.\n"
        "- Identifiers are in `scui` or in `sdui`, depending on the source."
    ),
    references=_is_cui("cui"),
    typical_rows=850_000,
)

_MGDEF = SourceTable(
    source=MEDGEN,
    name="mgdef",
    file_name="MGDEF.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(),
        Column("def", "DEF", "The definition; CR is its inner line break.", nullable=False, max_bytes=_LONG),
        Column("source", "source", f"Who wrote the definition: {_SAB_MEANING}.", max_bytes=_ID),
        _suppress(),
    ),
    key=(),
    key_proven=False,
    description=(
        "Definitions of concepts. Collected by NCBI MedGen from its sources, GeneReviews and MedlinePlus "
        "Genetics among them.\n\n"
        "- `def` holds carriage returns as line breaks inside the text; they are data and are kept.\n"
        "- A concept has none, one or several definitions; pick by `source`.\n"
        "- Not the layout of UMLS `MRDEF`: there is no AUI, ATUI or SATUI."
    ),
    references=_is_cui("cui"),
    typical_rows=80_000,
)

_MGREL = SourceTable(
    source=MEDGEN,
    name="mgrel",
    file_name="MGREL.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui("CUI1", "cui1", "First concept: the one the relationship is seen from."),
        Column("aui1", "AUI1", "Atom of the first concept.", nullable=False, max_bytes=_ID),
        Column(
            "stype1",
            "STYPE1",
            "Which identifier of the first concept the source related: `AUI`, `CUI`, `CODE`, `SCUI`, `SDUI`.",
            nullable=False,
            max_bytes=_ID,
        ),
        Column(
            "rel",
            "REL",
            "What CUI2 is to CUI1: `PAR` parent, `CHD` child, `RB` broader, `RN` narrower, `SY` synonym, "
            "`RO` other, `RQ` possibly related, `SIB` sibling.",
            nullable=False,
            max_bytes=16,
        ),
        _cui("CUI2", "cui2", "Second concept: the one that `rel` and `rela` describe."),
        Column("aui2", "AUI2", "Atom of the second concept.", nullable=False, max_bytes=_ID),
        Column(
            "rela",
            "RELA",
            "The source's finer label, read as CUI2 *rela* CUI1, e.g. `isa`, `manifestation_of`, "
            "`not_manifestation_of`. The only column that may be empty.",
        ),
        Column("rui", "RUI", "Relationship: `R…` (UMLS) or `RN…` (NCBI).", nullable=False, max_bytes=_ID),
        _sab("Source of the relationship", nullable=False),
        Column("sl", "SL", "Source of the label, as a rule the same as `sab`.", nullable=False, max_bytes=_ID),
        _suppress(nullable=False),
    ),
    key=("rui",),
    lookups=("cui1", "cui2"),
    key_proven=False,  # unique in 13 tails of real files; no whole file was read
    description=(
        "Relationships between concepts: hierarchies, findings of diseases, inheritance. Made by NCBI MedGen "
        "from UMLS and from its own sources.\n\n"
        "- `rel` describes CUI2 as seen from CUI1: `PAR` says that **CUI2 is the parent of CUI1**.\n"
        "- `not_…` labels deny the relationship; never fold them into the positive ones.\n"
        "- Self-loops and cycles exist: a recursive query needs a guard.\n"
        "- NCBI may give the same RUI to another pair of concepts in a later release.\n"
        "- Not the layout of UMLS `MRREL`: there is no STYPE2, SRUI, RG, DIR or CVF."
    ),
    references=_is_cui("cui1", "cui2"),
    typical_rows=1_130_000,
)

_MGSAT = SourceTable(
    source=MEDGEN,
    name="mgsat",
    file_name="MGSAT.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(),
        Column("metaui", "METAUI", "The atom or relationship that carries the attribute.", max_bytes=_ID),
        Column("stype", "STYPE", "What `metaui` is: `AUI`, `CUI`, `CODE`, `SCUI`, `SDUI`, `RUI`.", max_bytes=_ID),
        Column("code", "CODE", "Code in the source."),
        Column("atui", "ATUI", "Attribute: `AT…` (UMLS) or `ATN…` (NCBI).", nullable=False, max_bytes=_ID),
        Column("atn", "ATN", "Name of the attribute, e.g. `GENESYMBOL`, `MIMTYPE`.", nullable=False),
        _sab("Source of the attribute"),
        Column("atv", "ATV", "Value of the attribute.", max_bytes=_LONG),
        _suppress(),
    ),
    key=("atui",),
    key_proven=False,
    description=(
        "Attributes of concepts and terms as name and value, e.g. gene symbols. Made by NCBI MedGen from "
        "UMLS and from its own sources.\n\n"
        "- The meaning of `atv` depends on `atn` and `sab`.\n"
        "- An attribute may belong to a term (`metaui`), not on the concept as a whole.\n"
        "- Not the layout of UMLS `MRSAT`: there is no LUI, SUI, SATUI or CVF."
    ),
    references=_is_cui("cui"),
    typical_rows=1_120_000,
)

_MGSTY = SourceTable(
    source=MEDGEN,
    name="mgsty",
    file_name="MGSTY.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(),
        Column("tui", "TUI", "Semantic type, e.g. `T047`.", nullable=False, max_bytes=_ID),
        Column("stn", "STN", "Place in the semantic network's tree, e.g. `B2.2.1.2.1`.", max_bytes=_ID),
        Column("sty", "STY", "Name of the semantic type, e.g. `Disease or Syndrome`."),
        Column("atui", "ATUI", "Attribute: `AT…` (UMLS) or `ATN…` (NCBI).", max_bytes=_ID),
    ),
    key=("cui", "tui"),
    key_proven=False,
    description=(
        "Semantic types of concepts: disease, finding, neoplastic process and so on. Made by NCBI MedGen "
        "with the UMLS semantic network.\n\n"
        "- A concept may have several types: a join multiplies rows.\n"
        "- Not the layout of UMLS `MRSTY`: there is no CVF."
    ),
    references=_is_cui("cui"),
    typical_rows=235_000,
)

_MERGED = SourceTable(
    source=MEDGEN,
    name="merged",
    file_name="MERGED.RRF.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(description="The retired concept."),
        _cui("toCUI", "to_cui", "The concept it was merged into; may itself be merged further."),
    ),
    key=("cui", "to_cui"),
    key_proven=False,
    description=(
        "Concepts that were merged into others. Kept by NCBI MedGen.\n\n"
        "- Follow the chain: the target may have been merged again, and cycles are possible.\n"
        "- Retired concepts are absent from `names`; a target that is absent too is the middle of a chain.\n"
        "- Look in `medgen_cui_history` too: neither table holds every retired concept."
    ),
    references=_is_cui("to_cui"),
    typical_rows=3_000,
)

_ID_MAPPINGS = SourceTable(
    source=MEDGEN,
    name="medgen_id_mappings",
    file_name="MedGenIDMappings.txt.gz",
    framing=Framing.PIPE,
    columns=(
        _cui("CUI_or_CN_id", aliases=("CUI",)),  # "CUI" until May 2024
        Column("pref_name", "pref_name", "Preferred name of the concept.", max_bytes=_NAME),
        Column("source_id", "source_id", "The identifier in the other source.", nullable=False),
        Column(
            "source",
            "source",
            "`MedGen` (`source_id` is the UID), `SNOMEDCT_US`, `HPO`, `GARD`, `OMIM`, `Orphanet`, `MONDO`, "
            "`MeSH`, `OMIM allelic variant` (also `OMIM Allelic Variant`), `OMIM included`, "
            "`OMIM Phenotypic Series`.",
            nullable=False,
        ),
    ),
    key=("cui", "source", "source_id"),
    key_proven=False,
    description=(
        "Identifiers of other sources for each concept. Made by NCBI MedGen.\n\n"
        "- Many-to-many: a concept has several ids of one source, and an id several concepts.\n"
        "- The allelic variants of OMIM come under two spellings of `source`; compare in lower case.\n"
        "- The rows with `source = 'MedGen'` translate between CUI and UID."
    ),
    references=_is_cui("cui"),
    typical_rows=620_000,
)

_HPO_MAPPING = SourceTable(
    source=MEDGEN,
    name="medgen_hpo_mapping",
    file_name="MedGen_HPO_Mapping.txt.gz",
    framing=Framing.PIPE,
    columns=(
        _cui(),
        Column("sdui", "SDUI", "HPO term, `HP:` + 7 digits.", nullable=False, max_bytes=_ID),
        Column("hpo_str", "HpoStr", "Name of the term in HPO.", max_bytes=_NAME),
        Column("medgen_str", "MedGenStr", "Preferred name of the concept in MedGen.", max_bytes=_NAME),
        Column("medgen_str_sab", "MedGenStr_SAB", f"Source of that name: {_SAB_MEANING}.", max_bytes=_ID),
        Column("sty", "STY", "Semantic type of the concept, e.g. `Finding`."),
    ),
    key=("cui", "sdui", "sty"),
    key_proven=False,
    description=(
        "HPO terms and the concepts they belong to. Made by NCBI MedGen from the Human Phenotype "
        "Ontology.\n\n"
        "- A concept with several semantic types has a row for each of them.\n"
        "- Several HPO terms may share a concept: use `sdui`, not `cui`, to count phenotypes."
    ),
    references=_is_cui("cui"),
    typical_rows=20_500,
)

_HPO_OMIM_MAPPING = SourceTable(
    source=MEDGEN,
    name="medgen_hpo_omim_mapping",
    file_name="MedGen_HPO_OMIM_Mapping.txt.gz",
    framing=Framing.PIPE,
    columns=(
        _cui("OMIM_CUI", "omim_cui", "Concept of the OMIM entry."),
        Column("mim_number", "MIM_number", "Number of the OMIM entry.", nullable=False, max_bytes=_ID),
        Column("omim_name", "OMIM_name", "Name of the OMIM entry.", max_bytes=_NAME),
        Column(
            "relationship",
            "relationship",
            "How the HPO term relates to the entry: `manifestation_of`, `inheritance_type_of`, `related_to`, "
            "`mapped_from`, `disease_has_associated_gene`, empty, or denied as `not_…`.",
        ),
        _cui("HPO_CUI", "hpo_cui", "Concept of the HPO term."),
        Column("hpo_id", "HPO_ID", "HPO term, `HP:` + 7 digits.", nullable=False, max_bytes=_ID),
        Column("hpo_name", "HPO_name", "Name of the term in HPO.", max_bytes=_NAME),
        Column("medgen_name", "MedGen_name", "Preferred name of the HPO term's concept.", max_bytes=_NAME),
        Column("medgen_source", "MedGen_source", f"Source of that name: {_SAB_MEANING}.", max_bytes=_ID),
        Column("sty", "STY", "Semantic type of the HPO term's concept."),
    ),
    key=(),
    lookups=("hpo_cui",),
    key_proven=False,
    description=(
        "Clinical features (HPO) of disorders (OMIM). Made by NCBI MedGen from HPO's annotations "
        "and OMIM.\n\n"
        "- `not_manifestation_of` and its kin deny the feature; filter them out before listing features.\n"
        "- Rows may repeat exactly: use `select distinct` to count features.\n"
        "- The column order follows the file; NCBI's README lists another one."
    ),
    references=_is_cui("omim_cui", "hpo_cui"),
    typical_rows=211_000,
)

_PUBMED_LNK = SourceTable(
    source=MEDGEN,
    name="medgen_pubmed_lnk",
    file_name="medgen_pubmed_lnk.txt.gz",
    framing=Framing.PIPE,
    columns=(
        _integer("uid", "UID", "MedGen's number of the concept, as in its URLs."),
        _cui(),
        Column("name", "NAME", "Preferred name of the concept.", max_bytes=_NAME),
        _integer("pmid", "PMID", "The PubMed article."),
    ),
    key=("uid", "pmid"),
    key_proven=False,
    description=(
        "PubMed articles linked to concepts. Computed by NCBI MedGen; by far the largest table.\n\n"
        "- It has legitimately shrunk to a third between two releases.\n"
        "- A release of 2022 held invalid UTF-8 in `name`; such bytes are repaired with U+FFFD and counted.\n"
        "- Rows of one UID stand together in the file."
    ),
    references=_is_cui("cui"),
    typical_rows=16_000_000,
)

_UID_CUI_HISTORY = _cui_history(
    "MedGen UID",
    "medgen_uid_cui_history",
    "MedGen_UID_CUI_history.txt",
    _integer("uid", "UID", "MedGen's number of the concept, as in its URLs."),
    1_800_000,
)

_CUI_HISTORY = SourceTable(
    source=MEDGEN,
    name="medgen_cui_history",
    file_name="MedGen_CUI_history.txt",
    framing=Framing.TAB,
    columns=(
        _cui("Previous_CUI", "previous_cui", "The retired concept."),
        Column("current_cui", "Current_CUI", "The concept that replaced it, or a text such as `No longer reported`."),
        Column("date_of_action", "Date_Of_Action", "Month and year as text.", max_bytes=_ID),
    ),
    key=(),
    key_proven=False,
    description=(
        "What became of retired concepts. Kept by NCBI MedGen.\n\n"
        "- `current_cui` is not always a CUI: test its shape before joining.\n"
        "- Chains and cycles are possible, as in `merged`.\n"
        "- A replacement may be retired in its turn and missing from `names`."
    ),
    typical_rows=2_600,
)

_HPO_CUI_HISTORY = _cui_history(
    "HPO term",
    "hpo_cui_history",
    "HPO_CUI_history.txt",
    Column("hpo_id", "HPO_Id", "HPO term, `HP:` + 7 digits.", nullable=False, max_bytes=_ID),
    38_000,
)

_ORDO_CUI_HISTORY = _cui_history(
    "Orphanet (ORDO) term",
    "ordo_cui_history",
    "ORDO_CUI_history.txt",
    Column("ordo_id", "ORDO_Id", "Orphanet term, `Orphanet_` + number.", nullable=False, max_bytes=_ID),
    30_000,
)

_MONDO_CUI_HISTORY = _cui_history(
    "Mondo term",
    "mondo_cui_history",
    "MONDO_CUI_history.txt",  # NCBI's README writes Mondo_CUI_history.txt; the server is case-sensitive
    Column("mondo_id", "MONDO_Id", "Mondo term, `MONDO:` + 7 digits.", nullable=False, max_bytes=_ID),
    28_000,
)

_SOURCES = SourceTable(
    source=MEDGEN,
    name="medgen_sources",
    file_name="MedGen_Sources.txt",
    framing=Framing.TAB,
    columns=(
        Column("source", "Source", "Full name of the source.", max_bytes=_NAME),
        Column("abbreviation", "Abbreviation", "Its abbreviation.", nullable=False),
        Column("description", "Description", "What the source is.", max_bytes=_LONG),
        Column("url", "URL", "Its home page.", max_bytes=_NAME),
    ),
    key=("abbreviation",),
    key_proven=False,
    description=(
        "The sources MedGen draws on. Written by NCBI MedGen.\n\n"
        "- Explains the abbreviations in `source` and `sab` columns; not every one of them is listed."
    ),
    typical_rows=123,
)

TABLES: tuple[SourceTable, ...] = (
    _NAMES,
    _MGCONSO,
    _MGDEF,
    _MGREL,
    _MGSAT,
    _MGSTY,
    _MERGED,
    _ID_MAPPINGS,
    _HPO_MAPPING,
    _HPO_OMIM_MAPPING,
    _PUBMED_LNK,
    _UID_CUI_HISTORY,
    _CUI_HISTORY,
    _HPO_CUI_HISTORY,
    _ORDO_CUI_HISTORY,
    _MONDO_CUI_HISTORY,
    _SOURCES,
)
