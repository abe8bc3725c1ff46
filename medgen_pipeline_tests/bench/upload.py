r"""A table's way into S3 beside ``zcat FILE | gzip -1`` into a bare multipart upload of boto3's, in one run.

Both read the same published file and write to the same S3, a moto server in a process of its own. Ours checks and
frames the rows as well, and cuts them into parts. Run as ``python -m medgen_pipeline_tests.bench.upload --help``.
Prints and judges; asserts nothing.
"""

import multiprocessing
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import boto3  # type: ignore[import-untyped]  # ships no types
import click

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.loaders.redshift.aws import client
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loaders.redshift.stage import Stage
from medgen_pipeline.loading.file_load import open_published
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


def measure(table: SourceTable, path: Path, environment: Mapping[str, str], repeat: int) -> Record:
    """Alternate the two uploads of one file."""
    raws, ours = [], []
    for _ in range(repeat):
        raws.append(_in_a_process(partial(_send_raw, table, path), environment))
        ours.append(_in_a_process(partial(_send_ours, table, path), environment))
    with open_published(table, path) as lines:
        megabytes = sum(len(block) for block in iter(partial(lines.read, 1 << 20), b"")) / 1e6
    record: Record = {
        "table": table.name,
        "content_mb": megabytes,
        "raw_s": median(sent.seconds for sent in raws),
        "ours_s": median(sent.seconds for sent in ours),
        "raw_stored_mb": raws[0].stored_mb,
        "ours_stored_mb": ours[0].stored_mb,
        "rss_mb": max(sent.rss_mb for sent in ours),
    }
    return with_ratios(record, RATIOS)


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
    slower = [f"{one['table']} {one['throughput_ratio']:.2f}" for one in records if one["throughput_ratio"] < 0.8]
    yield verdict("upload at least 0.8 times as fast as the bare one", slower)
    yield verdict("at most 400 MB of memory", above(records, "rss_mb", 400))


@click.command()
@click.option("--release", type=DIRECTORY, help="Instead of a sample.")
@click.option("--scale", default=111.0, show_default=True, help="Size of the sample: 111 makes the table 1.1 GB.")
@click.option("--table", "name", default="medgen_pubmed_lnk", show_default=True)
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Rounds.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="For the metrics.")
def main(release: Path | None, scale: float, name: str, repeat: int, json_file: Path | None) -> None:
    """Time a table's upload for Redshift beside a bare one of the same file, and say which limits hold."""
    table = table_by_name(name)
    path = (release or sample_release(Settings.read().directory / "bench", scale)) / table.file_name
    with s3_elsewhere() as environment:
        report([measure(table, path, environment, repeat)], RATIOS, verdicts, json_file)


if __name__ == "__main__":
    main()
