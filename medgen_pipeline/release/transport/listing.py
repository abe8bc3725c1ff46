"""Index pages of web servers, as Apache and nginx write them."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

# Each pattern takes time in proportion to the text, whatever it is: what can be repeated ends at the sign that the
# pattern begins with.
_LINK = re.compile(r"<a(?=\s)", re.IGNORECASE)
_HREF = re.compile(r"\shref=[\"'](?P<href>[^\"'?]+)[\"']", re.IGNORECASE)
_END_OF_LINK = re.compile(r"</a>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_TIME_OF_DAY = re.compile(r"\b\d\d:\d\d")


def listed_files(page: str) -> Iterator[tuple[str, str]]:
    """The files of an index page and the text behind each link.

    Only that the text holds a time of day is asked of it: whatever else it is, it changes when the file does.
    """
    for link in _LINK.split(page)[1:]:
        inside, _, rest = link.partition(">")
        found = _HREF.search(inside)
        behind = _END_OF_LINK.split(rest.partition("\n")[0], maxsplit=1)
        if found is None or len(behind) < 2:
            continue
        name = unquote(found["href"]).rsplit("/", 1)[-1]
        text = " ".join(_TAG.sub(" ", behind[1]).split())
        if name:
            yield name, text if _TIME_OF_DAY.search(text) else ""
