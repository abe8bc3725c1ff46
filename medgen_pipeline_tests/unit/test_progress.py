"""What a long load says of itself."""

import logging
from itertools import count

import pytest

from medgen_pipeline.loading.progress import Progress


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_long_load_says_every_few_seconds_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "medgen_pipeline")
    seconds, rows = count(), count(250_000, 250_000)
    progress = Progress("names", lambda: float(next(seconds)))
    chunks = [b"%d" % number for number in range(16)]
    assert list(progress.counted(iter(chunks), lambda: next(rows), 16_000_000)) == chunks
    assert lines(caplog) == [
        f"names: staged {millions} of about 16.0 million rows" for millions in ("0.2", "0.5", "0.8")
    ]
    progress.phase("comparing with production")
    assert lines(caplog)[-1] == "names: comparing with production"


def test_a_short_load_says_nothing_and_one_of_unknown_length_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "medgen_pipeline")
    now = 0.0
    progress = Progress("names", lambda: now)
    assert list(progress.counted([b"row"], lambda: 1, 0)) == [b"row"]
    progress.phase("publishing")
    assert lines(caplog) == []
    now = 5.0
    list(progress.counted([b"row"], lambda: 1_500_000, 0))
    assert lines(caplog) == ["names: staged 1.5 million rows"]
