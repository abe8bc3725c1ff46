"""URLs that may hold a password, as users write them: taken apart here before anything else looks at them.

In a URL, ``@ : / ? # %`` in a password end it early: what follows moves into the host, the port, the path or the
fragment, and from there into messages. So whatever cannot be told from such a password is refused, and nothing of the
value is repeated.
"""

import re
from urllib.parse import SplitResult, urlsplit

_FORM = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"((?P<user>[^/?#@\[\]\s\x00-\x1f]*)@)?(?P<hosts>[^/?#@\s\x00-\x1f]*)"
    r"(?P<rest>([/?][^#\x00-\x1f\x7f]*)?)",
    re.IGNORECASE,
)
_HOST = re.compile(r"(\[[0-9a-f:.]+(%25[\w.-]+)?\]|[^:\[\]]*)(:(?P<port>\d{0,5}))?", re.IGNORECASE | re.ASCII)
_BAD_PERCENT = re.compile(r"%(?![0-9a-f]{2})|%00", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//|$)", re.IGNORECASE)


def split_url(text: str, name: str) -> SplitResult:
    """Take a URL apart.

    Args:
        text: The URL. Before the path it may name several hosts, as libpq's may.
        name: What it is, for the message, such as ``the DSN``.

    Raises:
        ValueError: It is none, or a password in it may have gone astray. Nothing of ``text`` is in the message.
    """
    found = _FORM.fullmatch(text)
    try:
        if found and not _BAD_PERCENT.search(text) and not _is_astray(found["user"], found["hosts"], found["rest"]):
            return _split(found) if "," in found["hosts"] else urlsplit(text)
    except ValueError:  # it quotes the URL
        found = None
    raise ValueError(
        f"{name} is not a valid connection URI. Expected the form SCHEME://USER:PASSWORD@HOST:PORT/PATH with special "
        "characters percent-encoded. Percent-encode the password: @ is %40, : is %3A, / is %2F, ? is %3F, # is %23 and "
        "% is %25, in user and path too."
    )


def _split(found: re.Match[str]) -> SplitResult:
    """By hand: several hosts of which one is an IPv6 address are a URL to libpq, and none to some Pythons' urlsplit."""
    user = found["user"]
    path, _, query = found["rest"].partition("?")
    netloc = found["hosts"] if user is None else f"{user}@{found['hosts']}"
    return SplitResult(found["scheme"].lower(), netloc, path, query, "")


def _is_astray(user: str | None, hosts: str, rest: str) -> bool:
    """Whether a part of a password may stand behind its place."""
    ports = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if not all(port and int(port["port"] or 0) <= 0xFFFF for port in ports):
        return True
    return "@" in rest and bool(user is not None or hosts)


def scheme_of(text: str) -> str:
    """The scheme of a URL in small letters; empty where there is none, for then it may be part of a password."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""
