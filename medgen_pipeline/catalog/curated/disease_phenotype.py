"""What a disease of OMIM's looks like: one row per OMIM entry and HPO term, with how they relate.

Made from `medgen_hpo_omim_mapping`; rows that the file repeats are one row here.

- `kind` tells the clinical features (`phenotype`) from the modes of inheritance (`inheritance`); all other
  relationships are `other`.
- `is_negated` is true where the source denies the relationship (`not_manifestation_of`): the disease does **not** have
  the feature. Filter by it, always. The same pair can be affirmed by one source and denied by another.
- A frequency or an onset is not in MedGen's file; HPO's own annotations have them.
- The names are MedGen's preferred names; they are empty where the file names a concept that is not current.
"""

from medgen_pipeline.catalog.curated.columns import NAME, flag, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule
from medgen_pipeline.catalog.model import Reference
from medgen_pipeline.catalog.query import Constant

# What MedGen's file calls the relationship, without "not_" before it.
_KINDS = Constant(
    "kinds", ("relationship", "kind"), (("manifestation_of", "phenotype"), ("inheritance_type_of", "inheritance"))
)

_RULES = read_named("disease_phenotype.rules.sql")

TABLE = CuratedTable(
    name="disease_phenotype",
    columns=(
        text("disease_cui", "The disease's concept."),
        text("disease_id", "Its OMIM entry, e.g. `OMIM:154700`."),
        text("disease_name", "MedGen's name of the disease.", NAME, nullable=True),
        text("phenotype_cui", "The concept of the HPO term."),
        text("phenotype_id", "The HPO term, e.g. `HP:0001166`."),
        text("phenotype_name", "MedGen's name of the HPO term.", NAME, nullable=True),
        text("kind", "`phenotype`, `inheritance` or `other`."),
        text("relationship", "As MedGen words it, without `not_`; `unspecified` where it is blank."),
        flag("is_negated", "Whether the relationship is denied."),
    ),
    lookups=("disease_id", "phenotype_cui"),
    key=("disease_cui", "disease_id", "phenotype_cui", "phenotype_id", "relationship", "is_negated"),
    key_proven=True,
    description=__doc__,
    references=(Reference("disease_cui", "names", "cui"), Reference("phenotype_cui", "names", "cui")),
    query=read("disease_phenotype.sql", [_KINDS]),
    increment=read_increment("disease_phenotype.increment.sql", "disease_cui", "phenotype_cui"),
    lineage={
        "disease_cui": ("medgen_hpo_omim_mapping.omim_cui",),
        "disease_id": ("medgen_hpo_omim_mapping.mim_number",),
        "disease_name": ("names.name",),
        "phenotype_cui": ("medgen_hpo_omim_mapping.hpo_cui",),
        "phenotype_id": ("medgen_hpo_omim_mapping.hpo_id",),
        "phenotype_name": ("names.name",),
        "kind": ("medgen_hpo_omim_mapping.relationship",),
        "relationship": ("medgen_hpo_omim_mapping.relationship",),
        "is_negated": ("medgen_hpo_omim_mapping.relationship",),
    },
    rules=(
        Rule(
            name="concepts_are_current",
            description="Diseases and phenotypes are current concepts. An error where more than one row in a hundred "
            "is not: MedGen's files come from the same release, but HPO's have been ahead of it before.",
            columns=("disease", "disease's CUI", "phenotype", "phenotype's CUI"),
            query=_RULES["concepts_are_current"],
        ),
        Rule(
            name="nothing_is_affirmed_and_denied",
            description="No phenotype is both affirmed and denied of a disease. Sources do disagree now and then.",
            columns=("disease", "disease's name", "phenotype", "phenotype's name"),
            query=_RULES["nothing_is_affirmed_and_denied"],
        ),
    ),
)
