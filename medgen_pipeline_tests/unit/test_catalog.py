"""The catalog against the headers NCBI publishes, written down here a second time by hand, and against itself."""

import re
from dataclasses import replace

import pytest

from medgen_pipeline.catalog import (
    SOURCES,
    TABLES,
    Column,
    ColumnType,
    Framing,
    Reference,
    Source,
    SourceTable,
    source_by_name,
    table_by_name,
    tables_of,
)
from medgen_pipeline.catalog.sources import medgen
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.instance import PROJECT

GENE_INFO = (
    "tax_id|GeneID|Symbol|LocusTag|Synonyms|dbXrefs|chromosome|map_location|description|type_of_gene|"
    "Symbol_from_nomenclature_authority|Full_name_from_nomenclature_authority|Nomenclature_status|"
    "Other_designations|Modification_date|Feature_type"
)
# File name, header. The two columns of MERGED and the TAB files' headers were not read from real files.
PUBLISHED = [
    ("names", "NAMES.RRF.gz", "CUI|name|source|SUPPRESS"),
    ("mgconso", "MGCONSO.RRF.gz", "CUI|TS|STT|ISPREF|AUI|SAUI|SCUI|SDUI|SAB|TTY|CODE|STR|SUPPRESS"),
    ("mgdef", "MGDEF.RRF.gz", "CUI|DEF|source|SUPPRESS"),
    ("mgrel", "MGREL.RRF.gz", "CUI1|AUI1|STYPE1|REL|CUI2|AUI2|RELA|RUI|SAB|SL|SUPPRESS"),
    ("mgsat", "MGSAT.RRF.gz", "CUI|METAUI|STYPE|CODE|ATUI|ATN|SAB|ATV|SUPPRESS"),
    ("mgsty", "MGSTY.RRF.gz", "CUI|TUI|STN|STY|ATUI"),
    ("merged", "MERGED.RRF.gz", "CUI|toCUI"),
    ("medgen_id_mappings", "MedGenIDMappings.txt.gz", "CUI_or_CN_id|pref_name|source_id|source"),
    ("medgen_hpo_mapping", "MedGen_HPO_Mapping.txt.gz", "CUI|SDUI|HpoStr|MedGenStr|MedGenStr_SAB|STY"),
    (
        "medgen_hpo_omim_mapping",
        "MedGen_HPO_OMIM_Mapping.txt.gz",
        "OMIM_CUI|MIM_number|OMIM_name|relationship|HPO_CUI|HPO_ID|HPO_name|MedGen_name|MedGen_source|STY",
    ),
    ("medgen_pubmed_lnk", "medgen_pubmed_lnk.txt.gz", "UID|CUI|NAME|PMID"),
    ("medgen_uid_cui_history", "MedGen_UID_CUI_history.txt", "UID|CUI|Date|IsCurrent"),
    ("medgen_cui_history", "MedGen_CUI_history.txt", "Previous_CUI|Current_CUI|Date_Of_Action"),
    ("hpo_cui_history", "HPO_CUI_history.txt", "HPO_Id|CUI|Date|IsCurrent"),
    ("ordo_cui_history", "ORDO_CUI_history.txt", "ORDO_Id|CUI|Date|IsCurrent"),
    ("mondo_cui_history", "MONDO_CUI_history.txt", "MONDO_Id|CUI|Date|IsCurrent"),
    ("medgen_sources", "MedGen_Sources.txt", "Source|Abbreviation|Description|URL"),
    ("mim2gene_medgen", "mim2gene_medgen", "MIM number|GeneID|type|Source|MedGenCUI|Comment"),
    (
        "gene_info",
        "Homo_sapiens.gene_info.gz",
        GENE_INFO,
    ),
    (
        "gene_condition_source_id",
        "gene_condition_source_id",
        "GeneID|AssociatedGenes|RelatedGenes|ConceptID|DiseaseName|SourceName|SourceID|DiseaseMIM|LastUpdated",
    ),
    ("concept_id_history", "ConceptID_history.txt", "Previous ConceptID|Current ConceptID|Date of Action"),
    (
        "disease_names",
        "disease_names",
        "DiseaseName|SourceName|ConceptID|SourceID|DiseaseMIM|LastModified|Category",
    ),
    ("genereviews_omim", "NBKid_shortname_OMIM.txt", "NBK_id|GR_shortname|OMIM"),
    ("genereviews_gene", "NBKid_shortname_genesymbol.txt", "NBK_id|GR_shortname|genesymbol"),
    ("genereviews_title", "GRtitle_shortname_NBKid.txt", "GR_shortname|GR_Title|NBK_id|PMID"),
    (
        "gtr_test_condition_gene",
        "test_condition_gene.txt",
        "accession_version|test_type|object|GTR_identifier|MIM_number|object_name|gene_or_SNOMED_CT_ID|gene_symbol",
    ),
]
URLS = {
    "medgen": "https://ftp.ncbi.nlm.nih.gov/pub/medgen/",
    "gene": "https://ftp.ncbi.nlm.nih.gov/gene/DATA/",
    "gene_info": "https://ftp.ncbi.nlm.nih.gov/gene/DATA/GENE_INFO/Mammalia/",
    "clinvar": "https://ftp.ncbi.nlm.nih.gov/pub/clinvar/",
    "genereviews": "https://ftp.ncbi.nlm.nih.gov/pub/GeneReviews/",
    "gtr": "https://ftp.ncbi.nlm.nih.gov/pub/GTR/data/",
}
COLUMNS = [(table, column) for table in TABLES for column in table.columns]


def normalised(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def test_the_tables_files_and_headers_are_the_published_ones_in_their_order() -> None:
    found = [(table.name, table.file_name, "|".join(c.header for c in table.columns)) for table in TABLES]
    assert found == PUBLISHED


def test_each_source_is_a_directory_of_ncbi_s_with_a_setting_of_its_own() -> None:
    assert {source.name: source.url for source in SOURCES} == URLS
    assert {source.setting for source in SOURCES} <= {f"MEDGEN_{name.upper()}" for name in Settings.model_fields}
    assert [source.setting for source in SOURCES][:2] == ["MEDGEN_SOURCE_URL", "MEDGEN_GENE_SOURCE_URL"]
    assert [table for source in SOURCES for table in tables_of(source)] == list(TABLES)
    with pytest.raises(LookupError, match="no source 'gnee'; known sources: medgen, gene, gene_info, clinvar"):
        source_by_name("gnee")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_page_about_licences_has_those_of_every_source(source: Source) -> None:
    page = " ".join((PROJECT / "docs" / "licence.md").read_text().split())
    assert source.licences
    for licence in source.licences:
        assert f"({licence.url})" in page


def test_a_key_whose_fields_may_hold_a_marker_of_null_is_not_proven() -> None:
    with pytest.raises(ValueError, match="the key of mim2gene_medgen cannot be proven"):
        replace(table_by_name("mim2gene_medgen"), key=("mim_number",), key_proven=True)


def test_what_medgen_publishes_is_read_as_before_there_were_siblings() -> None:
    assert table_by_name("names").shape == "ff404826de50"  # another one means that every table is rebuilt


def test_compressed_files_of_medgen_are_pipe_delimited_and_plain_ones_tab_delimited() -> None:
    for table in medgen.TABLES:
        assert table.framing is (Framing.PIPE if table.file_name.endswith(".gz") else Framing.TAB), table.name


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[f"{t.name}.{c.name}" for t, c in COLUMNS])
def test_a_column_is_named_after_its_header_and_says_what_it_means(table: SourceTable, column: Column) -> None:
    assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", column.name)
    spellings = {normalised(column.header), *map(normalised, column.aliases)}
    assert normalised(column.name) in spellings
    assert column.description.endswith("."), table.name
    assert 0 < column.max_bytes <= 65535  # the widest VARCHAR of Redshift


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_spelling_of_a_header_could_mean_two_columns(table: SourceTable) -> None:
    spellings = [spelling for c in table.columns for spelling in {normalised(name) for name in (c.header, *c.aliases)}]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_described_and_sized(table: SourceTable) -> None:
    assert "NCBI MedGen" in table.description or table.source.title.partition(",")[0] in table.description
    assert 3 <= len(table.description.splitlines()) <= 9
    assert table.typical_rows > 0


def test_only_uid_pmid_genes_and_taxa_are_integers() -> None:
    integers = {column.name for _, column in COLUMNS if column.type is ColumnType.INTEGER}
    assert integers == {"uid", "pmid", "gene_id", "tax_id"}
    assert all(column.type is ColumnType.INTEGER for _, column in COLUMNS if column.name in integers)


def test_every_reference_leads_to_a_column_and_identifiers_are_never_missing() -> None:
    for table in TABLES:
        for reference in table.references:
            assert reference.to_column in table_by_name(reference.to_table).column_names
            assert not next(c for c in table.columns if c.name == reference.column).nullable


def test_retired_concepts_are_not_expected_in_names() -> None:
    assert table_by_name("merged").references == (Reference("to_cui", "names", "cui"),)
    assert all(not table.references for table in TABLES if table.name.endswith("_history"))


def test_only_rela_may_be_empty_in_mgrel() -> None:
    assert [column.name for column in table_by_name("mgrel").columns if column.nullable] == ["rela"]


def test_only_the_key_of_names_is_proven() -> None:
    assert [table.name for table in TABLES if table.key_proven] == ["names"]
    assert [table.name for table in medgen.TABLES if not table.key] == [
        "mgconso",
        "mgdef",
        "medgen_hpo_omim_mapping",
        "medgen_cui_history",
    ]


def test_the_id_mappings_header_of_before_may_2024_is_known() -> None:
    assert table_by_name("medgen_id_mappings").columns[0].aliases == ("CUI",)


def test_a_table_is_found_by_name_and_an_unknown_one_is_answered_with_the_known_names() -> None:
    assert table_by_name("mgrel").file_name == "MGREL.RRF.gz"
    with pytest.raises(LookupError, match=r"no table 'mrrel'; known tables: names, mgconso, .*medgen_sources"):
        table_by_name("mrrel")
