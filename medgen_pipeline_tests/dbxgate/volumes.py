"""Volumes: a folder, and the presigned addresses by which a client moves files in and out of it."""

import shutil
import uuid
from pathlib import Path

from medgen_pipeline_tests.dbxgate.catalog import Catalog, Name
from medgen_pipeline_tests.dbxgate.errors import GateError


class Volumes:
    """The files of all volumes.

    Attributes:
        address: Of the server that takes the files.
        status: What it answers instead of taking one, where that is not 0.
    """

    def __init__(self, root: Path, catalog: Catalog, address: str) -> None:
        self.root, self._catalog, self.address = root / "Volumes", catalog, address
        self.status = 0
        self._signed: dict[str, tuple[str, Path]] = {}

    def path(self, volume: str) -> Path:
        """Where a path of ``/Volumes/catalog/schema/volume/`` is."""
        parts = volume.removeprefix("dbfs:").strip("/").split("/")
        name = tuple(parts[2:4])
        if parts[0] != "Volumes" or name not in self._catalog.volumes or ".." in parts:
            raise GateError("VOLUME_DOES_NOT_EXIST", f"The volume of {volume} does not exist.", "42704")
        return self.root.joinpath(*parts[1:])

    def drop(self, volume: Name) -> None:
        """Remove a volume and its files."""
        self._catalog.volumes.pop(volume, None)
        for folder in self.root.glob(f"*/{volume[0]}/{volume[1]}"):
            shutil.rmtree(folder)

    def files(self) -> list[str]:
        """Everything that is in any volume."""
        return sorted(str(file.relative_to(self.root)) for file in self.root.rglob("*") if file.is_file())

    def sign(self, verb: str, path: Path) -> str:
        """An address at which this may be done once."""
        ticket = uuid.uuid4().hex
        self._signed[ticket] = (verb, path)
        return f"{self.address}/presigned/{path.name}?ticket={ticket}"

    def move(self, verb: str, ticket: str, body: bytes) -> int:
        """Do it; the HTTP status."""
        wanted, path = self._signed.pop(ticket, ("", self.root))
        if wanted != verb:
            return 403
        if self.status:
            return self.status
        if verb == "PUT":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            return 200
        if not path.is_file():
            return 404
        path.unlink()
        for folder in path.parents:  # a folder is there while something is in it
            if folder == self.root or any(folder.iterdir()):
                break
            folder.rmdir()
        return 204
