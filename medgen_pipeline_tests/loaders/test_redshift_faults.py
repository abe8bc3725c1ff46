"""Whatever goes wrong on the way to Redshift: production exact, nothing left in S3, and an error that says what."""

import logging
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from medgen_pipeline.errors import MedgenError, TransientError
from medgen_pipeline.loaders import LoaderError, LostConnectionError
from medgen_pipeline.testing import Mirror, load
from medgen_pipeline.testing.files import GOOD
from medgen_pipeline.testing.loads import NAMES, RELEASES
from medgen_pipeline.testing.processes import NEW, OLD, PROCESSES, load_until, process_of
from medgen_pipeline_tests.gates.faults import Drop, Fault
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.redgate.s3server import S3Fault

PART, MANIFEST = "/stage/.*part-00000", "/stage/.*manifest"


@dataclass(frozen=True)
class Trouble:
    """Something that ends a load.

    Attributes:
        order: Makes it happen.
        error: What the load raises.
        says: What its message says.
        config: Settings of the loader that runs into it.
    """

    order: Callable[[GatedRedshift], object]
    error: type[MedgenError]
    says: str
    config: dict[str, object] = field(default_factory=dict)


def s3(pattern: str, **what: float | bool | bytes) -> Callable[[GatedRedshift], object]:
    return lambda redshift: redshift.s3.order(S3Fault(pattern, **what))  # type: ignore[arg-type]  # its own fields


TROUBLES = {
    "connection lost before COPY": Trouble(
        lambda redshift: redshift.gate.drop_before("^COPY"), LostConnectionError, "COPY into the staging table of names"
    ),
    "connection lost after COPY": Trouble(
        lambda redshift: redshift.gate.drop_after("^COPY"), LostConnectionError, "COPY into the staging table of names"
    ),
    "connection lost while comparing": Trouble(
        lambda redshift: redshift.gate.drop_before(r"^INSERT INTO .medgen_staging"),
        LostConnectionError,
        "comparing names with production",
    ),
    "connection lost before every COMMIT": Trouble(
        lambda redshift: redshift.gate.order(Fault(r"^INSERT INTO .medgen_changes", drop=Drop.BEFORE, times=None)),
        LostConnectionError,
        "publishing names",
    ),
    "error 1023 for ever": Trouble(
        lambda redshift: redshift.gate.conflict(r"^INSERT INTO .medgen_changes", times=None),
        TransientError,
        r"3 times in a row other transactions got in the way: 1023.*Nothing was published",
        {"conflict_attempts": 3},
    ),
    "disk full": Trouble(
        lambda redshift: redshift.gate.refuse(r"^INSERT INTO .medgen_changes", "disk full"),
        LoaderError,
        "publishing names: disk full",
    ),
    "no bucket": Trouble(
        lambda _: None, LoaderError, "404 NoSuchBucket.*create the bucket, or correct s3_bucket", {"s3_bucket": "gone"}
    ),
    "S3 refuses a part": Trouble(s3(f"PUT {PART}", status=403), LoaderError, "403 AccessDenied.*allow s3:PutObject"),
    "S3 refuses the manifest": Trouble(
        s3(f"PUT {MANIFEST}", status=403), LoaderError, r"writing s3://stage/\S+/manifest: AWS refuses with 403"
    ),
    "S3 is down": Trouble(s3(f"PUT {PART}", status=500), TransientError, "AWS answers 500 .*Try again later"),
    "COPY may not read the manifest": Trouble(
        s3(f"GET {MANIFEST}", status=403), LoaderError, "The role may not read the manifest: allow s3:GetObject"
    ),
    "COPY finds no manifest": Trouble(s3(f"GET {MANIFEST}", status=404), LoaderError, "Problem reading manifest file"),
    "COPY cannot read the manifest": Trouble(
        s3(f"GET {MANIFEST}", body=b'{"entries": ['), LoaderError, "Problem reading manifest file"
    ),
    "COPY may not read a part": Trouble(
        s3(f"(GET|HEAD) {PART}", status=403), LoaderError, "AccessDenied.*Allow the role s3:GetObject"
    ),
    "COPY finds a part missing": Trouble(s3(f"(GET|HEAD) {PART}", status=404), LoaderError, "NoSuchKey"),
    "COPY finds S3 down": Trouble(s3(f"(GET|HEAD) {PART}", status=500), TransientError, "COPY could not read S3"),
    "COPY loses S3 in a part": Trouble(s3(f"GET {PART}", cut=True), MedgenError, "COPY"),
    "the role is not attached": Trouble(
        lambda _: None,
        LoaderError,
        "not authorized to assume .*Attach the role to the cluster",
        {"iam_role": "arn:aws:iam::123456789012:role/other"},
    ),
    "the cluster has no default role": Trouble(
        lambda _: None,
        LoaderError,
        r"not authorized to assume .*the cluster's default role, because iam_role \(MEDGEN_IAM_ROLE\) names none",
        {"iam_role": "default"},
    ),
}


def test_a_load_that_fails_leaves_production_exact_and_nothing_in_the_bucket(
    redshift: GatedRedshift, tmp_path: Path
) -> None:
    mirror = Mirror(redshift, tmp_path, NAMES)
    mirror.load(GOOD)
    before, usual = mirror.production(), dict(redshift.config)
    for name, trouble in TROUBLES.items():
        trouble.order(redshift)
        redshift.config.update(trouble.config)
        with pytest.raises(trouble.error) as raised:
            mirror.load(GOOD[1:], release=RELEASES[1], force_warehouse=True)
        redshift.gate.heal()
        redshift.s3.heal()
        redshift.config = dict(usual)
        assert raised.match(trouble.says), name
        assert mirror.production() == before, name
        assert mirror.feed() == Counter(), name
        assert redshift.leftovers([NAMES]) == [], name  # in the bucket, too
        assert redshift.loads("status", "error")[-1] == ("failed", str(raised.value)), name
    mirror.load(GOOD[1:], release=RELEASES[1])
    assert mirror.production() == before - Counter([("C0", "name 0", "GTR", "N")])
    assert redshift.statuses() == ["succeeded", *(["failed"] * len(TROUBLES)), "succeeded"]


HARMLESS: dict[str, Callable[[GatedRedshift], object]] = {
    "S3 answers slowly": s3("(PUT|GET|POST|HEAD|DELETE) /stage", seconds=0.3),
    "S3 stumbles": s3(f"PUT {PART}", status=500, times=1),
    "COPY takes its time": lambda redshift: redshift.gate.slow("^COPY", 1.5),
    "error 1023 once": lambda redshift: redshift.gate.conflict(r"^INSERT INTO .medgen_changes"),
    "connection lost before COMMIT": lambda redshift: redshift.gate.drop_before(r"^UPDATE .medgen_audit..*guard"),
    "COMMIT without an answer": lambda redshift: redshift.gate.drop_after("^COMMIT", skip=5),
}


def test_a_load_gets_over_what_passes(redshift: GatedRedshift, tmp_path: Path) -> None:
    mirror = Mirror(redshift, tmp_path, NAMES)
    mirror.load(GOOD)
    for number, (name, order) in enumerate(HARMLESS.items(), 1):
        order(redshift)
        result = mirror.load(GOOD[number:], release=f"2026-02-{number:02}", force_warehouse=True)
        redshift.gate.heal()
        redshift.s3.heal()
        assert result.counts.deleted == 1, name
        assert mirror.production().total() == len(GOOD) - number, name
        assert mirror.feed().total() == number, name
        assert redshift.leftovers([NAMES]) == [], name  # in the bucket, too
    assert redshift.statuses() == ["succeeded"] * (1 + len(HARMLESS))


def test_objects_that_may_not_be_removed_are_named_and_swept_by_the_next_load(
    redshift: GatedRedshift, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror(redshift, tmp_path, NAMES)
    redshift.s3.order(S3Fault(r"POST /stage.*delete", status=403))
    with caplog.at_level(logging.WARNING):
        mirror.load(GOOD)
    assert "objects stay until the next load sweeps them: removing 2 objects such as s3://stage/medgen/" in caplog.text
    assert len(redshift.left_outside()) == 2
    redshift.s3.heal()
    mirror.load(GOOD[1:], release=RELEASES[1], force_warehouse=True)
    assert redshift.left_outside() == []


@pytest.fixture
def processes() -> Iterator[list[multiprocessing.process.BaseProcess]]:
    started: list[multiprocessing.process.BaseProcess] = []
    yield started
    for process in started:
        process.kill()
        process.join()


def test_what_a_process_killed_after_its_upload_left_in_s3_is_swept_by_the_next_load(
    redshift: GatedRedshift, processes: list[multiprocessing.process.BaseProcess]
) -> None:
    load(redshift.new_loader(), NAMES, OLD)
    redshift.gate.log.clear()
    redshift.gate.slow("^COPY", 60)
    ours, theirs = PROCESSES.Pipe(duplex=False)
    killed = process_of(load_until, redshift, "sent", theirs)
    processes.append(killed)
    killed.start()
    redshift.gate.log.wait_for("^COPY")
    killed.kill()
    killed.join()
    ours.close()
    redshift.gate.heal()
    left = redshift.left_outside()
    assert [name.rpartition("/")[2] for name in left] == ["manifest", "part-00000.gz"]
    assert redshift.production(NAMES) == Counter(OLD)
    load(redshift.new_loader(), NAMES, NEW, RELEASES[2])
    assert redshift.left_outside() == []
    assert redshift.production(NAMES) == Counter(NEW)
    assert redshift.statuses() == ["succeeded", "abandoned", "succeeded"]
