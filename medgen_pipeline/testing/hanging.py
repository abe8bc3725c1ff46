"""A load whose process hangs while it has the lock: others wait for it, or take over once its lease runs out."""

import os
import signal
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import pytest

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import LoaderFactory, TableBusyError
from medgen_pipeline.testing.backend import Backend
from medgen_pipeline.testing.loads import NAMES, RELEASES, A, B, C, D, compared, load, undone
from medgen_pipeline.testing.processes import PROCESSES, process_of
from medgen_pipeline.testing.tiers import Behaviour

_PATIENCE_SECONDS = 120


class HangingContract(Behaviour):
    """Both kinds of lock."""

    def test_a_load_that_hangs_is_waited_for_or_was_taken_over_and_publishes_nothing(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A])
        leased = backend.new_loader().capabilities.leased_lock
        ours, theirs = PROCESSES.Pipe(duplex=False)
        process = process_of(load_and_hang, backend, theirs)
        process.start()
        theirs.close()
        try:
            assert ours.poll(_PATIENCE_SECONDS)
            assert ours.recv() == "compared"
            if leased:
                load(backend.new_loader(), NAMES, [A, C], RELEASES[2])
            else:
                with pytest.raises(TableBusyError):
                    load(backend.new_loader(lock_timeout_seconds=0.5), NAMES, [A, C], RELEASES[2])
            os.kill(process.pid or 0, signal.SIGCONT)
            assert ours.poll(_PATIENCE_SECONDS)
            said = ours.recv()
        finally:
            process.kill()
            process.join()
            ours.close()
        if leased:
            assert "another load" in said
            assert backend.production(NAMES) == Counter([A, C])
            assert undone(backend, NAMES, Counter([A, C]), RELEASES[2]) == Counter([A])
            assert backend.statuses() == ["succeeded", "abandoned", "succeeded"]
        else:
            assert said == "published"
            assert backend.production(NAMES) == Counter([A, B])
        load(backend.new_loader(), NAMES, [D], RELEASES[3])
        assert backend.production(NAMES) == Counter([D])
        assert backend.leftovers([NAMES]) == []


def load_and_hang(dsn: str, settings: Mapping[str, Any], pipe: Connection) -> None:
    """Load into names, stop before publishing, and say what became of it once this process goes on."""
    with LoaderFactory.create_loader(dsn, settings) as loader:
        counts = compared(loader, NAMES, [A, B], RELEASES[1])
        pipe.send("compared")
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            loader.apply_changes(NAMES, counts.mode)
        except MedgenError as error:
            pipe.send(str(error))
        else:
            pipe.send("published")
