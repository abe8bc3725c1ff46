"""The sources beside MedGen, through Dagster: NCBI's real files to the row, jobs of their own, an older layout."""

import gzip
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from medgen_pipeline.catalog import Source, SourceTable, source_by_name, table_by_name, tables_of
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.release import SourceMemory, UnusableSourceError
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.integration.support import Run, multiset, publish, rows_of, run_of
from medgen_pipeline_tests.loaders.support import query

MIM2GENE, CONDITIONS = table_by_name("mim2gene_medgen"), table_by_name("gene_condition_source_id")
GENE, CLINVAR = source_by_name("gene"), source_by_name("clinvar")
APRIL = datetime(2026, 4, 14, 12, 0, tzinfo=UTC)
OLD_HEADER = b"#GeneID\tGeneSymbol\tConceptID\tDiseaseName\tSourceName\tSourceID\tDiseaseMIM\tLastUpdated\n"
OLD_ROW = b"2200\tFBN1\tC0024796\tMarfan syndrome\tMONDO\tMONDO:0007947\t154700\tFeb 16 2016\n"


@dataclass
class Siblings:
    """Two sources, each in a directory of its own, and the database they are loaded into."""

    dsn: str
    folder: Path
    instance: dg.DagsterInstance

    def publish(self, table: SourceTable, content: bytes, at: datetime) -> Path:
        path = publish(self.folder / table.source.name, table, content)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(
            resources={
                **{
                    DEFAULT_NAMES.of_source(one).resource: MedgenSource(
                        name=one.name, url=(self.folder / one.name).as_uri(), home=str(self.folder / "home")
                    )
                    for one in (GENE, CLINVAR)
                },
                DEFAULT_NAMES.warehouse: WarehouseIOManager(target=DatabaseTarget(dsn=self.dsn)),
            },
            tables=[MIM2GENE.name, CONDITIONS.name, *(table.name for table in tables_of(MEDGEN))],
            settings=Settings.read({}),
        )

    def refresh(self, source: Source, config: dict[str, Any] | None = None) -> Run:
        """One run of the source's job."""
        run_id = str(uuid.uuid4())
        tables = {GENE: [MIM2GENE], CLINVAR: [CONDITIONS]}[source]
        self.definitions.resolve_job_def(DEFAULT_NAMES.of_source(source).job).execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_id=run_id,
            run_config={"ops": {f"medgen__{table.name}": {"config": config or {}} for table in tables}},
        )
        return run_of(self.instance.all_logs(run_id))


@pytest.fixture
def siblings(database: str, tmp_path: Path, instance: dg.DagsterInstance) -> Siblings:
    instance.wipe()
    return Siblings(database, tmp_path, instance)


@pytest.fixture(scope="module")
def real(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory, instance: dg.DagsterInstance
) -> Iterator[Siblings]:
    """The real files, loaded."""
    folder = Path(__file__).parents[3] / "shared" / "real" / "siblings"
    if not folder.is_dir():
        pytest.skip("the real files are not part of the repository and are not beside it")
    with fresh_database(postgres_server) as dsn:
        found = Siblings(dsn, tmp_path_factory.mktemp("siblings"), instance)
        for table, name in ((MIM2GENE, "mim2gene_medgen.2026-04-14"), (CONDITIONS, "gene_condition_source_id")):
            found.publish(table, gzip.decompress((folder / f"{name}.txt.gz").read_bytes()), APRIL)
            run = found.refresh(table.source)
            assert run.success, run.failure
            assert run.metadata[table.name]["medgen/rejected_rows"] == 0
            assert run.metadata[table.name]["medgen/repaired_rows"] == 0
        yield found


@pytest.mark.real
@pytest.mark.parametrize(("table", "rows"), [(MIM2GENE, 28_601), (CONDITIONS, 12_780)], ids=["gene", "clinvar"])
def test_every_row_of_a_real_file_is_in_the_database_as_published(
    table: SourceTable, rows: int, real: Siblings
) -> None:
    held = multiset(real.dsn, table)
    assert held.total() == rows
    assert held == Counter(rows_of(table, real.folder / table.source.name / table.file_name))


@pytest.mark.real
def test_the_real_links_of_genes_and_concepts_are_as_many_as_were_counted(real: Siblings) -> None:
    pairs = "SELECT count(DISTINCT (gene_id, medgen_cui)) FROM medgen.mim2gene_medgen WHERE {}"
    both = "gene_id IS NOT NULL AND medgen_cui IS NOT NULL"
    assert query(real.dsn, pairs.format(both)) == [(7_624,)]
    assert query(real.dsn, pairs.format(f"{both} AND source = 'GeneMap'")) == [(0,)]
    assert query(real.dsn, "SELECT count(*) FROM medgen.mim2gene_medgen WHERE source = ' GeneMap; GeneReviews'") == [
        (822,)
    ]


@pytest.mark.real
def test_rows_that_repeat_in_a_real_file_repeat_in_the_table(real: Siblings) -> None:
    held = multiset(real.dsn, CONDITIONS)
    assert sum(copies > 1 for copies in held.values()) == 362


def test_a_sibling_is_loaded_by_its_own_job_and_named_by_its_file_s_own_day(siblings: Siblings) -> None:
    header = b"#MIM number\tGeneID\ttype\tSource\tMedGenCUI\tComment\n"
    rows = [b"100100\t1131\tphenotype\t GeneMap\tC0033770\t-\n", b"100640\t216\tgene\t-\t-\t-\n"]
    siblings.publish(MIM2GENE, header + b"".join(rows), APRIL)
    siblings.publish(CONDITIONS, OLD_HEADER + OLD_ROW, datetime(2026, 4, 16, 1, 0, tzinfo=UTC))
    first = siblings.refresh(GENE)
    assert set(first.metadata) == {MIM2GENE.name}
    found = first.metadata[MIM2GENE.name]
    assert (found["medgen/release"], found["medgen/hours_behind"]) == ("2026-04-14", 0)
    assert set(multiset(siblings.dsn, MIM2GENE)) == {
        ("100100", 1131, "phenotype", " GeneMap", "C0033770", None),
        ("100640", 216, "gene", None, None, None),
    }
    siblings.publish(MIM2GENE, header + rows[0].replace(b"-", b"question") + rows[1], APRIL.replace(day=15))
    found = siblings.refresh(GENE).metadata[MIM2GENE.name]
    assert (found["medgen/release"], found["cdc/inserted"], found["cdc/deleted"]) == ("2026-04-15", 1, 1)
    assert found["medgen/strategy"] == "snapshot"


def test_a_table_made_from_several_sources_is_left_out_until_all_of_them_were_loaded(siblings: Siblings) -> None:
    siblings.publish(MIM2GENE, b"#MIM number\tGeneID\ttype\tSource\tMedGenCUI\tComment\n1\t2\tgene\t-\t-\t-\n", APRIL)
    run = siblings.refresh(GENE)
    assert run.success, run.failure
    assert set(run.metadata) == {MIM2GENE.name}
    assert "gene_disease cannot be made: cui_redirect, gene_condition_source_id were never loaded." in run.log
    alone = siblings.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey(["medgen", "gene_disease"])}, asset_check_selection=set()
    )
    assert not alone.execute_in_process(instance=siblings.instance, raise_on_error=False).success


def test_the_older_layout_of_conditions_is_loaded_once_its_missing_column_is_accepted(siblings: Siblings) -> None:
    siblings.publish(CONDITIONS, OLD_HEADER + OLD_ROW, APRIL)
    refused = siblings.refresh(CLINVAR)
    assert "the header lacks related_genes" in refused.failure
    assert "goes to associated_genes, so gene_disease calls all of them causal. Accept that for" in refused.failure
    accepted = siblings.refresh(CLINVAR, {"accept_missing_columns": ["related_genes"]})
    assert accepted.success, accepted.failure
    values = ("FBN1", None, "C0024796", "Marfan syndrome", "MONDO", "MONDO:0007947", "154700", "Feb 16 2016")
    assert set(multiset(siblings.dsn, CONDITIONS)) == {(2200, *values)}


def test_an_error_names_the_variable_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    place = MedgenSource(name="gene", url=(tmp_path / "empty").as_uri(), home=str(tmp_path)).release_source()
    with pytest.raises(UnusableSourceError, match=r"none of NCBI Gene's files\. Check MEDGEN_GENE_SOURCE_URL"):
        place.look([MIM2GENE], SourceMemory(place.url, APRIL), APRIL)
