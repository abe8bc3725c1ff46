"""Command-line programs that start at once: copies of one process that has imported what they import.

Python and Dagster take two seconds of CPU to start, and the tests start a hundred programs. A copy has arguments,
environment, directory, files and exit status of its own, one thread, and no code location loaded. Tests of imports,
installations and signals start real ones.
"""

import gc
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

# The module whose ``main`` each of them is.
PROGRAMS = {"dagster": "dagster._cli", "dg": "dagster_dg_cli.cli", "medgen": "medgen_pipeline.cli"}
# Not ``medgen_pipeline.definitions``, which is made for the environment of its process.
_IMPORTED = (
    *PROGRAMS.values(),
    # What an instance, a selection and a run take; Dagster imports it when they are asked for, in a second a command.
    "dagster._core.definitions.antlr_asset_selection.antlr_asset_selection",
    "dagster._core.executor.multiprocess",
    "dagster._core.instance.factory",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.workspace.autodiscovery",
    "upath.core",
    "medgen_pipeline.demo.sample_release",
    "medgen_pipeline.loaders.postgres",
    "medgen_pipeline.orchestration.check_report",
    "medgen_pipeline.orchestration.component",
    "medgen_pipeline.orchestration.local",
)
# What Dagster starts its code servers with, in a program's copy.
_PYTHON = """\
#!{python} -IS
import os, sys
name, *arguments = sys.argv
command = [{python!r}, *arguments]
if arguments[:2] == ["-m", "dagster"]:
    command = [os.path.join(os.path.dirname(name), "dagster"), *arguments[2:]]
os.execv(command[0], command)
"""
# What is called: it hands over all that a process has, and ends as the copy does.
_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = [{module!r}, sys.argv, os.getcwd(), dict(os.environ)]
    socket.send_fds(server, [b"\\0"], [0, 1, 2])
    server.sendall(json.dumps(asked).encode())
    server.shutdown(socket.SHUT_WR)
    os.close(1)
    sys.exit(int(server.recv(16) or b"255"))
"""


def write_programs(folder: Path, address: str) -> Path:
    """A folder below ``folder`` with the programs, which ask the process at ``address``."""
    made = folder / ".venv" / "bin"
    made.mkdir(parents=True)
    texts = {
        name: _CLIENT.format(python=sys.executable, address=address, module=module) for name, module in PROGRAMS.items()
    }
    for name, text in (*texts.items(), ("python", _PYTHON.format(python=sys.executable))):
        (made / name).write_text(text)
        (made / name).chmod(0o755)
    return made


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The process that programs are copies of; the address of its socket in ``folder``, which has a short name."""
    address = str(folder / "programs")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        # It ends with its standard input: when whoever has started it does, however that ends.
        copied = subprocess.Popen(
            [sys.executable, "-m", __name__, str(server.fileno())], stdin=subprocess.PIPE, pass_fds=[server.fileno()]
        )
    try:
        yield address
    finally:
        copied.communicate()


def _serve(server: socket.socket) -> None:
    """Answer as long as somebody may ask; returns in a copy, which then has all but the program to run."""
    while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
        client, _ = server.accept()
        if os.fork():
            client.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            continue
        server.close()
        _, files, _, _ = socket.recv_fds(client, 1, 3)
        with client.makefile("rb") as sent:
            module, arguments, directory, environment = json.load(sent)
        if copy := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
            client.send(b"%d" % (status if status >= 0 else 128 - status))
            os._exit(0)
        client.close()
        _become(module, arguments, directory, environment, files)
        return
    os._exit(0)


def _become(module: str, arguments: list[str], directory: str, environment: dict[str, str], files: list[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = ["", *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    sys.executable = str(Path(directory, arguments[0]).with_name("python"))


if __name__ == "__main__":
    for _module in _IMPORTED:
        import_module(_module)
    import_module("medgen_pipeline_tests.revisions").read_revisions()
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    _program = sys.argv.pop(0)
    import_module(_program).main()
