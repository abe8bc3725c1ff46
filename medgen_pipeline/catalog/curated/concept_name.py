"""Every name of a concept: one row per concept, name and source that uses it.

The terms of `mgconso` and the preferred names of `names`, of current concepts.

- `is_preferred` marks MedGen's own preferred name, in every source that uses it. It may come from no term of `mgconso`.
- Blanks before and after a name are taken off; capitals are kept, so spellings that differ in them are names apart.
- `is_suppressed` marks what the source or UMLS has given up; such names still occur in old papers.
- `normalized_name` is for matching: lower case, without accents, punctuation and apostrophes, one blank between words.
  `Sjögren's syndrome` is `sjogrens syndrome`. Treat what you look for the same way. The order of words is kept:
  `syndrome, Marfan` is another name. It is empty for a name that has no letters or digits.
- Count names, not rows: a name that three sources use has three rows.
"""

from medgen_pipeline.catalog.curated.columns import ID, NAME, flag, text
from medgen_pipeline.catalog.curated.sql_files import read
from medgen_pipeline.catalog.curated_table import CuratedTable, by_column
from medgen_pipeline.catalog.model import Reference

# What TRANSLATE exchanges in a name in lower case, letter by letter: accents are taken off, punctuation becomes blanks;
# what has no letter to become, an apostrophe, goes. Capitals are listed where LOWER leaves them: with the C locale of a
# database it knows those of ASCII alone. A backslash cannot be written in Redshift's SQL, and nothing is called by one.
_ACCENTS = (
    "áàâäãåÁÀÂÄÃÅçÇéèêëÉÈÊËíìîïÍÌÎÏñÑóòôöõøÓÒÔÖÕØúùûüÚÙÛÜýÿÝ",
    "aaaaaaaaaaaacceeeeeeeeiiiiiiiinnoooooooooooouuuuuuuuyyy",
)
_PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[]^_{|}~\u2013\u2014\u00a0'
_APOSTROPHES = "'`\u2019\u2018\u00b4"
# PostgreSQL (18) looks for each letter from the left of the list: what names are made of stays, and comes first,
# the most frequent before the others. A name takes a sixth of the time, and a quarter of that where it is of the
# usual form: letters and digits of ASCII, and the punctuation that the query replaces piece by piece.
_KEPT = " eaoitnrslcdmpyhugfbvkxwzqj0123456789"
_LETTERS = _KEPT + _ACCENTS[0] + _PUNCTUATION + _APOSTROPHES
_PLAIN = _KEPT + _ACCENTS[1] + " " * len(_PUNCTUATION)
_USUAL_FORM = "^[A-Za-z0-9 ,().:/_-]*$"

TABLE = CuratedTable(
    name="concept_name",
    columns=(
        text("cui", "The concept.", ID),
        text("name", "The name.", NAME),
        text("source", "The vocabulary that uses it; `MedGen` where `names` gives none.", ID),
        flag("is_preferred", "Whether it is MedGen's preferred name of the concept."),
        flag("is_suppressed", "Whether all its terms in that source are obsolete or suppressed."),
        text("normalized_name", "The name for matching, its first 255 characters.", 4 * ID, nullable=True),
    ),
    key=(),  # names are longer than what PostgreSQL's index takes, so only the whole row identifies a row
    key_proven=False,
    description=__doc__,
    references=(Reference("cui", "names", "cui"),),
    lookups=("normalized_name",),
    query=read("concept_name.sql", letters=_LETTERS, plain=_PLAIN, usual_form=_USUAL_FORM),
    increment=by_column("cui", mgconso="cui", names="cui"),
    lineage={
        "cui": ("mgconso.cui", "names.cui"),
        "name": ("mgconso.str", "names.name"),
        "source": ("mgconso.sab", "names.source"),
        "is_preferred": ("mgconso.str", "names.name"),
        "is_suppressed": ("mgconso.suppress",),
        "normalized_name": ("mgconso.str", "names.name"),
    },
)
