"""deploy/, as far as it goes without a Docker engine: linted, its files found. ``ui/test_compose.py`` runs it.

What stays unproven: that the image builds, and that containers find each other by name.
"""

import fnmatch
import io
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type  # how dagster.yaml is read
from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]  # ships no types

from medgen_pipeline.demo.binaries import find_binaries
from medgen_pipeline_tests.compose import COMPOSE, DAGSTERS, DEPLOY, SERVICES
from medgen_pipeline_tests.instance import PROJECT, Account, account, reachable_by_tcp, write_instance
from medgen_pipeline_tests.loaders.support import query


def instructions(*kinds: str) -> list[str]:
    structure = DockerfileParser(fileobj=io.BytesIO((DEPLOY / "Dockerfile").read_bytes())).structure
    return [part["value"] for part in structure if part["instruction"] in kinds]


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "deploy/Dockerfile"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/refresh.yml"],
    ],
    ids=lambda command: command[0] + " " + command[-1],
)
def test_the_published_rules_of_these_files_are_kept(command: list[str]) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_whatever_the_image_copies_is_there_and_reaches_the_builder() -> None:
    allowed = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [source for value in instructions("COPY", "ADD") for source in value.split()[:-1]]
    assert len(copied) >= 5
    for source in copied:
        assert (PROJECT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), f"{source} is kept out by .dockerignore"


def test_the_image_does_not_run_as_root_and_has_a_python_that_is_supported() -> None:
    assert instructions("USER") == ["10001"]
    (base,) = instructions("FROM")
    assert re.fullmatch(r"python:3\.1[1-4]-slim-\w+", base)


def test_every_mount_and_variable_of_compose_has_its_other_half() -> None:
    declared = set(COMPOSE["volumes"])
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in declared or (DEPLOY / source).exists(), f"{name}: {source}"
    asked = set(re.findall(r"env: (DAGSTER_PG_\w+)", (PROJECT / "dagster.yaml.example").read_text()))
    for name in DAGSTERS:
        assert asked <= set(SERVICES[name]["environment"])


def test_only_the_code_location_knows_the_warehouse() -> None:
    knowing = {name for name in DAGSTERS if any("MEDGEN" in variable for variable in SERVICES[name]["environment"])}
    assert knowing == {"code"}
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))


def test_the_warehouse_and_dagster_s_storage_have_roles_and_passwords_of_their_own_and_no_superuser() -> None:
    """The image makes POSTGRES_USER, else ``postgres``, the superuser."""
    server = SERVICES["postgres"]["environment"]
    assert "POSTGRES_USER" not in server
    storage = SERVICES["webserver"]["environment"]
    (user, variable) = re.findall(r"postgresql://(\w+):\$\{(\w+)\}@", SERVICES["code"]["environment"]["MEDGEN_DSN"])[0]
    assert len({user, storage["DAGSTER_PG_USER"], "postgres"}) == 3
    passwords = [name for name in server if name.endswith("_PASSWORD")]
    assert len(set(passwords)) == 3
    assert variable in passwords
    assert storage["DAGSTER_PG_PASSWORD"].startswith("${DAGSTER_PASSWORD:?")
    for name in DAGSTERS:
        shown = str(SERVICES[name]["environment"])
        assert "POSTGRES_PASSWORD" not in shown
        assert ("WAREHOUSE_PASSWORD" in shown) == (name == "code")


def test_the_script_makes_roles_that_cannot_enter_each_other_s_database(postgres_server: str) -> None:
    """Under other names, on the tests' own server, where a password is asked for by nobody."""
    script = (DEPLOY / "create-databases.sql").read_text()
    names = {"medgen": f"m{uuid.uuid4().hex}", "dagster": f"d{uuid.uuid4().hex}"}
    for word, name in names.items():
        script = re.sub(rf"\b{word}\b", name, script)
    passwords = {"WAREHOUSE_PASSWORD": "it's one", "DAGSTER_PASSWORD": "another"}
    psql = shutil.which("psql") or str(find_binaries().directory / "psql")
    if not Path(psql).exists():
        pytest.skip("there is no psql")
    version = subprocess.run([psql, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", version)[0]) < 15:
        pytest.skip(r"\getenv is psql's from version 15 on; the image has 17")
    command = [psql, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", postgres_server]
    try:
        done = subprocess.run(
            command, input=script, env=os.environ | passwords, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        with psycopg.connect(postgres_server) as connection:
            found = connection.execute(
                "SELECT rolname, datname, rolsuper, rolpassword IS NULL FROM pg_authid, pg_database"
                " WHERE rolname = ANY(%s) AND datname = ANY(%s)"
                " AND has_database_privilege(rolname, datname, 'CONNECT')",
                [[*names.values()]] * 2,
            ).fetchall()
        assert sorted(found) == sorted((name, name, False, False) for name in names.values())
    finally:
        for name in names.values():
            query(postgres_server, f"DROP DATABASE IF EXISTS {name}")
            query(postgres_server, f"DROP ROLE IF EXISTS {name}")


# docs/deployment.md

PAGE = (PROJECT / "docs" / "deployment.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_command_of_the_page_is_known_here_and_its_files_exist(tmp_path: Path) -> None:
    compose, copy, servers, migrate = blocks("sh")
    # No engine here: the file and the variable are what can be wrong.
    assert "--file deploy/compose.yaml" in compose
    variables = re.findall(r"^export (\w+)=", compose, re.MULTILINE)
    assert set(variables) == set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    script = [str(shutil.which("bash")), "-euc", copy.replace("/srv/dagster", str(tmp_path))]
    done = subprocess.run(script, cwd=PROJECT, capture_output=True, check=False)
    assert (done.returncode, (tmp_path / "dagster.yaml").exists()) == (0, True)
    # With other ports, these are the ones that compose runs.
    for command, service in zip(servers.splitlines(), ("webserver", "daemon"), strict=True):
        options = {word for word in command.split() if word.startswith("--")}
        assert command.split()[0] == SERVICES[service]["command"][0]
        assert options == {word for word in SERVICES[service]["command"] if word.startswith("--")}
    assert migrate == "dagster instance migrate"


@pytest.fixture
def storage(postgres_server: str) -> Iterator[Account]:
    with reachable_by_tcp(postgres_server) as port, account(postgres_server, port, "dagster") as made:
        yield made


def test_dagster_instance_migrate_runs_on_the_example(storage: Account, commands: Path, tmp_path: Path) -> None:
    home = write_instance(tmp_path / "dagster", storage.port)
    program, *arguments = blocks("sh")[-1].split()
    assert program == "dagster"
    done = subprocess.run(
        [commands / "dagster", *arguments],
        env=os.environ | storage.dagster_variables | {"DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_run_launcher_of_ecs_takes_the_config_of_the_page() -> None:
    helm, ecs = map(yaml.safe_load, blocks("yaml"))
    launcher = ecs["run_launcher"]
    kind = getattr(import_module(launcher["module"]), launcher["class"])
    found = process_config(resolve_to_config_type(kind.config_type()), launcher["config"])
    assert found.success, found.errors
    assert set(helm) == {"dagster-user-deployments", "runLauncher"}
