"""docs/redshift.md, taken at its word; test_backends.py loads with the page's variables and its run config."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import yaml

from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.orchestration.targets import RedshiftTarget
from medgen_pipeline.testing import load
from medgen_pipeline.testing.loads import MERGED
from medgen_pipeline_tests.documents import Document, filled
from medgen_pipeline_tests.instance import PROJECT
from medgen_pipeline_tests.loaders.redshift_support import BUCKET, GatedRedshift
from medgen_pipeline_tests.redgate.s3server import S3Server

PAGE = Document("docs/redshift.md")
LOADER_POLICY, ROLE_POLICY, LIFECYCLE = map(json.loads, PAGE.blocks("json"))
# What each request of the loader's takes: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
ACTION_OF = {
    "put_object": "s3:PutObject",
    "delete_objects": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
}


def requests_of_the_stage() -> Iterator[str]:
    """The operations that loaders/redshift/stage.py asks S3 for."""
    tree = ast.parse((PROJECT / "medgen_pipeline" / "loaders" / "redshift" / "stage.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if ast.unparse(node.func.value) != "self._s3" or node.func.attr == "close":
                continue
            (name,) = [*map(ast.literal_eval, node.args)] or [node.func.attr]
            yield str(name)


def actions(policy: dict[str, list[dict[str, list[str]]]]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_policy_of_who_runs_dagster_allows_what_the_loader_asks_for_and_no_more() -> None:
    assert actions(LOADER_POLICY) == {ACTION_OF[request] for request in requests_of_the_stage()}


def test_the_policies_are_for_the_prefix_and_bucket_of_the_settings() -> None:
    for policy in (LOADER_POLICY, ROLE_POLICY):
        for statement in policy["Statement"]:
            of_objects = not any(action.startswith("s3:List") for action in statement["Action"])
            assert statement["Resource"] == f"arn:aws:s3:::BUCKET{'/medgen/*' if of_objects else ''}"
    assert RedshiftConfig(s3_bucket="b", aws_region="us-east-1").s3_prefix == "medgen"
    assert actions(ROLE_POLICY) == {"s3:GetObject", "s3:ListBucket"}


def test_s3_takes_the_lifecycle_rule(s3: S3Server) -> None:
    s3.client().put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=LIFECYCLE)
    (rule,) = s3.client().get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["Expiration"] == {"Days": 3}
    assert rule["Filter"] == {"Prefix": "medgen/"}


def test_a_loader_takes_the_settings_for_a_password_from_iam() -> None:
    config = yaml.safe_load(PAGE.blocks("yaml")[1].replace("BUCKET", BUCKET).replace("WORKGROUP", "medgen"))
    target = RedshiftTarget(**config["resources"]["medgen_warehouse"]["config"]["target"]["redshift"])
    assert (target.auth, target.workgroup) == ("iam", "medgen")
    assert target.loader().table_uri(MERGED) == "redshift://HOST:5439/DATABASE/medgen/merged"
    assert LoaderFactory.loader_class(target.dsn).scheme == "redshift"  # type: ignore[attr-defined]  # of SQL loaders


def test_the_view_of_the_page_shows_the_rows_of_the_next_load(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), MERGED, [("C1", "C2")])
    redshift.query(PAGE.blocks("sql")[0])
    load(redshift.new_loader(), MERGED, [("C3", "C4"), ("C5", "C6")], "2026-01-14")
    assert sorted(redshift.query("SELECT * FROM public.merged_concepts")) == [("C3", "C4"), ("C5", "C6")]


def test_the_suite_runs_on_the_redshift_that_the_page_s_variables_name(redshift: GatedRedshift) -> None:
    """Two of its tests, one with a process of its own, on the gate: all that the command knows is the variables."""
    place = redshift.dsn.partition("//")[2].replace("&", r"\&")
    given = {"USER:PASSWORD@HOST:5439/DATABASE": place, "=BUCKET": f"={BUCKET}", ".venv/bin/python": sys.executable}
    script = filled(PAGE.blocks("sh")[1], given)
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=PROJECT,
        env={**os.environ, "PYTEST_ADDOPTS": "-k 'rejected_rows_keep or (killed_at_a_step and published)'"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert re.search(r"\b2 passed", done.stdout), done.stdout + done.stderr
    assert redshift.direct("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'medgen_live%%'") == []
