"""When a request that failed is sent again, by urllib3's rules."""

import logging
import time
from datetime import UTC, datetime, timedelta

from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

_log = logging.getLogger(__name__)

_MAX_RETRY_AFTER_SECONDS = 300


class PoliteRetry(Retry):
    """Retry-After is honoured up to five minutes; urllib3's own limit is six hours (2.8). Nonsense is not honoured."""

    def parse_retry_after(self, retry_after: str) -> float:
        """As urllib3's, up to the limit."""
        try:
            return min(super().parse_retry_after(retry_after), _MAX_RETRY_AFTER_SECONDS)
        except (ValueError, OverflowError, InvalidHeader):
            return 0  # as if it were not there

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """As urllib3's, with a word of what failed and of when it goes on."""
        wish = self.get_retry_after(response) if response and self.respect_retry_after_header else None
        seconds = wish or self.get_backoff_time()
        if self.history:
            last = self.history[-1]
            _log.warning(
                "%s: try %d of %d failed (%s); the next begins at %s UTC",
                last.url,
                len(self.history),
                len(self.history) + int(self.total or 0) + 1,
                last.error or f"the server answered {last.status}",
                f"{datetime.now(UTC) + timedelta(seconds=seconds):%H:%M:%S}",
            )
        time.sleep(seconds)
