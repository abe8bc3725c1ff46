"""A load's objects: cut where large enough, sent whole, and all removed again. The object store is a folder."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medgen_pipeline.errors import TransientError
from medgen_pipeline.loaders.object_store import LoadFolder
from medgen_pipeline.rows.records import turns


class Folder:
    """An object store on the disk; it may be slow, and refuse an object once that is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0.0
        self.refused = ""

    def put(self, name: str, body: bytes) -> None:
        time.sleep(self.seconds)
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        if self.refused and self.refused in name:
            raise TransientError(f"writing {name}: no answer")

    def names(self, folder: str) -> list[str]:
        return sorted(str(file.relative_to(self.path)) for file in (self.path / folder).rglob("*") if file.is_file())

    def remove(self, names: Collection[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class Text:
    """A part that is what was written."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, rows: bytes) -> int:
        self.text += rows
        return len(self.text)

    def finish(self) -> bytes:
        return self.text


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def folder_of(store: Folder, load_id: int = 7) -> LoadFolder:
    return LoadFolder(store, "medgen/names/", load_id)


ROWS = [b"%03d\n" % number for number in range(100)]


def send(folder: LoadFolder, rows: Iterable[bytes] = ROWS) -> list[str]:
    return folder.send(rows, Text, ".txt", 40)


def test_parts_are_closed_by_the_rows_that_fill_them_and_hold_all_rows_in_their_order(store: Folder) -> None:
    with folder_of(store) as folder:
        parts = send(folder, ROWS[:95])
        assert parts == [f"medgen/names/7/part-{number:05d}.txt" for number in range(10)]
        assert [len(store.read(part)) for part in parts] == [40] * 9 + [20]
        assert b"".join(map(store.read, parts)) == b"".join(ROWS[:95])
    assert store.names("") == []


def test_rows_wait_while_as_many_parts_as_the_setting_says_are_under_way(store: Folder) -> None:
    store.seconds = 0.02
    ahead = []

    def rows() -> Iterator[bytes]:
        for taken, row in enumerate(ROWS):
            ahead.append(taken - 10 * len(store.names("")))
            yield row

    with LoadFolder(store, "medgen/names/", 7, threads=1) as folder:
        send(folder, rows())
    assert max(ahead) <= 10 * 3 + 2, "three parts, as DatabricksConfig says, and rows that wait for the third"


def test_without_rows_there_is_no_part(store: Folder) -> None:
    with folder_of(store) as folder:
        assert send(folder, []) == []


def test_an_object_that_fails_ends_the_load_and_goes_with_those_that_were_sent(store: Folder) -> None:
    store.refused, store.seconds = "part-00003", 0.01
    taken = iter(ROWS * 100)
    said = r"writing medgen/names/7/part-00003\.txt: no answer"
    with pytest.raises(TransientError, match=said), folder_of(store) as folder:
        send(folder, taken)
    assert next(taken, None) is not None, "rows were taken that nobody would send"
    assert store.names("") == []


def test_rows_that_fail_to_come_leave_nothing(store: Folder) -> None:
    def rows() -> Iterator[bytes]:
        yield from ROWS
        raise ValueError("a file that ends too early")

    with pytest.raises(ValueError, match="ends too early"), folder_of(store) as folder:
        send(folder, rows())
    assert store.names("") == []


def test_nothing_is_sent_after_an_interrupt_that_ends_the_wait_for_the_last_parts(
    store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.seconds = 0.1
    shutdown, interrupts = ThreadPoolExecutor.shutdown, iter([KeyboardInterrupt])

    def interrupted(pool: ThreadPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for interrupt in interrupts:
            raise interrupt
        shutdown(pool, wait=wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", interrupted)
    with pytest.raises(KeyboardInterrupt), folder_of(store) as folder:
        send(folder)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("send_", "encode_"))] == []
    assert store.names("") == []


def test_what_dead_loads_left_is_swept_and_what_others_have_there_is_not(store: Folder) -> None:
    for load_id in (3, 5, 7):
        send(folder_of(store, load_id))
    store.put("medgen/names/loose", b"")
    folder_of(store).sweep([3, 4, 7])
    assert {name.rpartition("/")[0] for name in store.names("")} == {"medgen/names", "medgen/names/5", "medgen/names/7"}


def test_a_turn_is_chunks_of_a_certain_size_and_no_chunk_is_lost() -> None:
    assert list(turns([b"ab", b"cd", b"efghi", b"j"], 4)) == [[b"ab", b"cd"], [b"efghi"], [b"j"]]
