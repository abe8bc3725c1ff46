"""A whole deployment for the browser: webserver, daemon, instance, warehouse and source, all real and local.

The processes are those of ``deploy/compose.yaml`` and the instance that of ``dagster.yaml.example``. Warehouse and
instance are reached by TCP, each with a password.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline_tests.compose import composed
from medgen_pipeline_tests.instance import Account, account, reachable_by_tcp, write_instance
from medgen_pipeline_tests.ncbi_double import ncbi_double


@dataclass(frozen=True)
class UiDeployment:
    """What the tests of the UI know of it.

    Attributes:
        address: Of the webserver.
        warehouse: The role and the database that the tables are in.
        instance: The role and the database of Dagster's own storage.
        source: The folder that the double of NCBI serves.
        genereviews: The folder of another source, which is looked at every six seconds once its sensor is on.
        home: DAGSTER_HOME, which also has what the processes have printed.
    """

    address: str
    warehouse: Account
    instance: Account
    source: Path
    genereviews: Path
    home: Path

    def publish(self, day: str, *tables: SourceTable, successor: bool = False) -> None:
        """Let NCBI publish the sample release, or the one after it, on a day; whole, or some of its files."""
        chosen = {table.file_name for table in tables or TABLES}
        published = datetime.fromisoformat(f"{day}T17:00:00").replace(tzinfo=UTC).timestamp()
        with tempfile.TemporaryDirectory() as folder:
            for path in write_sample(Path(folder), scale=0.2, successor=successor):
                if path.name not in chosen:
                    continue
                os.utime(path, (published, published))
                shutil.copy2(path, self.source / path.name)


@contextmanager
def deployed(postgres_server: str) -> Iterator[UiDeployment]:
    """Start everything, in a folder that goes at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="medgen-ui-") as name,
        reachable_by_tcp(postgres_server) as pg_port,
        account(postgres_server, pg_port, "warehouse") as warehouse,
        account(postgres_server, pg_port, "dagster") as instance,
        ncbi_double(source := Path(name, "ncbi")) as double,
    ):
        genereviews, home = Path(name, "genereviews"), write_instance(Path(name, "dagster"), pg_port)
        for made in (source, genereviews):
            made.mkdir()
        values = {**instance.dagster_variables, "MEDGEN_DSN": warehouse.dsn, "MEDGEN_SOURCE_URL": double.url}
        of_the_code = {
            "MEDGEN_HOME": str(Path(name, "home")),
            "MEDGEN_GENEREVIEWS_SOURCE_URL": genereviews.as_uri(),
            "MEDGEN_QUIET_MINUTES": "0",
            "MEDGEN_SENSOR_MINUTES": "0.1",
        }
        with composed(home, values, of_the_code) as address:
            yield UiDeployment(address, warehouse, instance, source, genereviews, home)
