r"""A table's way through object storage beside a bare one of the same published file, in one run.

For Redshift: ``zcat FILE | gzip -1`` into a bare multipart upload of boto3's, and ours, into the same S3, a moto server
in a process of its own. For Databricks: Arrow's CSV reader into its Parquet writer and a copy of the file, and ours,
parts in a folder. Ours checks and frames the rows as well, and cuts them into parts.

Run as ``python -m medgen_pipeline_tests.bench.upload --help``. Prints and judges; asserts nothing.
"""

import multiprocessing
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import boto3  # type: ignore[import-untyped]  # ships no types
import click
from pyarrow import csv, parquet

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.loaders.databricks.config import DatabricksConfig
from medgen_pipeline.loaders.databricks.volume import ParquetPart
from medgen_pipeline.loaders.object_store import LoadFolder
from medgen_pipeline.loaders.redshift.aws import client
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loaders.redshift.stage import Stage
from medgen_pipeline.loading.file_load import open_published
from medgen_pipeline.rows import arrow
from medgen_pipeline.rows.framing import FramedFile
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench.ground import sample_release
from medgen_pipeline_tests.bench.report import DIRECTORY, Record, above, report, verdict, with_ratios
from medgen_pipeline_tests.bench.step import PROCESSES, peak_rss_mb
from medgen_pipeline_tests.redgate.s3server import S3Server

RATIOS = {"throughput_ratio": ("raw_s", "ours_s")}
BUCKET = "bench"
REGION = "us-east-1"


class Sent(NamedTuple):
    """One upload: its seconds, what arrived, and the most memory of the process that sent it."""

    seconds: float
    stored_mb: float
    rss_mb: float


class Way(NamedTuple):
    """What is compared: a bare upload of a table's file, and ours."""

    raw: Callable[[SourceTable, Path], Sent]
    ours: Callable[[SourceTable, Path], Sent]


def measure(table: SourceTable, path: Path, environment: Mapping[str, str], repeat: int) -> Iterator[Record]:
    """Alternate the two uploads of one file, each way."""
    with open_published(table, path) as lines:
        megabytes = sum(len(block) for block in iter(partial(lines.read, 1 << 20), b"")) / 1e6
    for name, way in WAYS.items():
        raws, ours = [], []
        for _ in range(repeat):
            raws.append(_in_a_process(partial(way.raw, table, path), environment))
            ours.append(_in_a_process(partial(way.ours, table, path), environment))
        record: Record = {
            "table": table.name,
            "way": name,
            "content_mb": megabytes,
            "raw_s": median(sent.seconds for sent in raws),
            "ours_s": median(sent.seconds for sent in ours),
            "raw_stored_mb": raws[0].stored_mb,
            "ours_stored_mb": ours[0].stored_mb,
            "rss_mb": max(sent.rss_mb for sent in ours),
        }
        yield with_ratios(record, RATIOS)


def _in_a_process(send: partial[Sent], environment: Mapping[str, str]) -> Sent:
    """As a step of Dagster's: a fork of a process that has imported the package and Dagster, and done nothing."""
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        return pool.submit(_send, send, environment).result()


def _send(send: partial[Sent], environment: Mapping[str, str]) -> Sent:
    os.environ.update(environment)
    return send()


def _send_raw(table: SourceTable, path: Path) -> Sent:
    s3 = boto3.client("s3", region_name=REGION)
    read = "gzip -dc" if table.is_gzip else "cat"
    started = time.monotonic()
    with subprocess.Popen(
        ["/bin/sh", "-c", f"{read} {shlex.quote(str(path))} | gzip -1"], stdout=subprocess.PIPE
    ) as pipeline:
        s3.upload_fileobj(pipeline.stdout, BUCKET, "raw.gz")
    seconds = time.monotonic() - started
    return Sent(seconds, _take_away(), peak_rss_mb())


def _send_ours(table: SourceTable, path: Path) -> Sent:
    config = RedshiftConfig(s3_bucket=BUCKET, aws_region=REGION)
    started = time.monotonic()
    with Stage(client("s3", config), config, table.name, load_id=1) as stage, open_published(table, path) as stream:
        stage.upload(iter(FramedFile(table, stream, lambda _: None)))
        seconds = time.monotonic() - started
        return Sent(seconds, _take_away(), peak_rss_mb())


def _write_raw(table: SourceTable, path: Path) -> Sent:
    with open_published(table, path) as lines:
        header = lines.readline().decode().strip("#\r\n").split("|")
    with tempfile.TemporaryDirectory() as folder:
        written, copied = Path(folder, "raw.parquet"), Path(folder, "copied.parquet")
        started = time.monotonic()
        with (
            csv.open_csv(
                path,
                read_options=csv.ReadOptions(column_names=header, skip_rows=1),
                parse_options=csv.ParseOptions(delimiter="|", quote_char=False),
            ) as batches,
            parquet.ParquetWriter(written, batches.schema, compression="zstd") as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)
        shutil.copyfile(written, copied)
        seconds = time.monotonic() - started
        return Sent(seconds, copied.stat().st_size / 1e6, peak_rss_mb())


def _write_ours(table: SourceTable, path: Path) -> Sent:
    columns = {column.name: column.type for column in table.columns}
    part_bytes = DatabricksConfig().part_megabytes << 20
    with tempfile.TemporaryDirectory() as folder:
        place = _Folder(Path(folder))
        started = time.monotonic()
        with LoadFolder(place, "", load_id=1, threads=1) as load, open_published(table, path) as stream:
            rows = arrow.batches(FramedFile(table, stream, lambda _: None), columns)
            load.send(rows, ParquetPart, ".parquet", part_bytes)
            seconds = time.monotonic() - started
            return Sent(seconds, place.stored_mb(), peak_rss_mb())


class _Folder:
    """An object store that is a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, body: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)

    def names(self, folder: str) -> Iterator[str]:
        return (str(path.relative_to(self._root)) for path in (self._root / folder).rglob("*"))

    def remove(self, names: Collection[str]) -> None:
        for name in names:
            (self._root / name).unlink(missing_ok=True)

    def stored_mb(self) -> float:
        return sum(path.stat().st_size for path in self._root.rglob("*.parquet")) / 1e6


WAYS = {"s3": Way(_send_raw, _send_ours), "volume": Way(_write_raw, _write_ours)}


def _take_away() -> float:
    """Empty the bucket, since moto keeps it in memory; returns its size in MB."""
    bucket = boto3.resource("s3", region_name=REGION).Bucket(BUCKET)
    size = sum(item.size for item in bucket.objects.all())
    bucket.objects.all().delete()
    return float(size) / 1e6


@contextmanager
def s3_elsewhere() -> Iterator[dict[str, str]]:
    """An S3 in a process of its own, so that it does not share an interpreter with a client; its variables."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs,))
    server.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        server.join()


def _serve(pipe: Connection) -> None:
    with S3Server() as server:
        server.client().create_bucket(Bucket=BUCKET)
        pipe.send(
            {
                "AWS_ENDPOINT_URL": server.endpoint_url,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
            }
        )
        pipe.recv()


def verdicts(records: Sequence[Record]) -> Iterator[str]:
    """Which limits hold, and where they do not."""
    slower = [f"{one['way']} {one['throughput_ratio']:.2f}" for one in records if one["throughput_ratio"] < 0.8]
    yield verdict("upload at least 0.8 times as fast as the bare one", slower)
    yield verdict("at most 400 MB of memory", above(records, "rss_mb", 400))


@click.command()
@click.option("--release", type=DIRECTORY, help="Instead of a sample.")
@click.option("--scale", default=111.0, show_default=True, help="Size of the sample: 111 makes the table 1.1 GB.")
@click.option("--table", "name", default="medgen_pubmed_lnk", show_default=True)
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Rounds.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="For the metrics.")
def main(release: Path | None, scale: float, name: str, repeat: int, json_file: Path | None) -> None:
    """Time a table's upload for Redshift and Databricks beside a bare one, and say which limits hold."""
    table = table_by_name(name)
    path = (release or sample_release(Settings.read().directory / "bench", scale)) / table.file_name
    with s3_elsewhere() as environment:
        report(measure(table, path, environment, repeat), RATIOS, verdicts, json_file)


if __name__ == "__main__":
    main()
