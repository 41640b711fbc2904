"""What is asked of a target's URL before anything is connected to: scheme, host, port, no password in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailwake.config.kinds import is_host

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST = 2048
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_FIRST_FREE_PORT = 1024
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class UrlRules:
    """Which URLs targets and token servers may have; `ports` empty: 80, 443 and all from 1024 up."""

    allow_http: bool = False
    ports: Collection[int] = ()

    def objection(self, url: str) -> str | None:
        """What is wrong with the URL, with what to do; None when it may be used."""
        if len(url) > _LONGEST or not _PRINTABLE.fullmatch(url):
            return f"must be a URL of at most {_LONGEST} ASCII characters without spaces; encode others"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "is no URL; write one like https://example.com/events"
        if parts.scheme not in _USUAL_PORTS:
            return "must begin with https:// or http://"
        if parts.scheme == "http" and not self.allow_http:
            return "must begin with https://, or set allow_http in [webhook_delivery]"
        if "@" in parts.netloc:
            return "must not have a name or password in it; use auth_type basic"
        if parts.fragment or "#" in url:
            return "must not have a fragment (#…)"
        bare = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
        if not is_host(bare.removesuffix(":")):
            return "has no usable host name"
        return self._port_objection(_USUAL_PORTS[parts.scheme] if port is None else port)

    def _port_objection(self, port: int) -> str | None:
        allowed = port in self.ports if self.ports else port in _USUAL_PORTS.values() or port >= _FIRST_FREE_PORT
        return None if allowed else f"has port {port}, which is not allowed; see ports in [webhook_delivery]"


def without_secrets(url: str) -> str:
    """Scheme, host and port, for log lines: paths and queries of webhooks often are their password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
