"""A link that logs a browser in, once: for somebody who sits at the machine and has started the service themselves.

The session is begun here, by the form that everybody uses, and its cookies are handed to the first browser that asks
for a path nobody can guess. Cookies belong to a host, whatever the port, so the dashboard takes them.
"""

from __future__ import annotations

import hmac
import re
import secrets
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from mailwake.dashboard.own_paths import HOME, LOG_IN
from mailwake.dashboard.sessions import TOKEN_FIELD
from mailwake.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(rf'name="{TOKEN_FIELD}" value="([^"]*)"')
_USED = "This link has been used. Log in with the key at {}\n"


@contextmanager
def log_in_link(service: str, key: str) -> Iterator[str]:
    """A link to the dashboard of a service (`http://HOST:PORT`), good for one browser while this lasts."""
    cookies = log_in(service, key)
    path = "/" + secrets.token_urlsafe(24)
    host = urlsplit(service).hostname or "127.0.0.1"
    is_ipv6 = ":" in host

    class Once(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if not hmac.compare_digest(self.path.encode(), path.encode()):
                self.send_error(404)
            elif not cookies:
                self._say(410, _USED.format(service + HOME).encode())
            else:
                self.send_response(303)
                while cookies:
                    self.send_header("Set-Cookie", cookies.pop())
                self.send_header("Location", service + HOME)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(HTTPServer):
        address_family = socket.AF_INET6 if is_ipv6 else socket.AF_INET

    with Server((host, 0), Once) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://{f'[{host}]' if is_ipv6 else host}:{server.server_port}{path}"
        finally:
            server.shutdown()
            serving.join()


def log_in(service: str, key: str) -> list[str]:
    """The cookies of a session, as the service sets them."""
    try:
        with httpx.Client(base_url=service, trust_env=False, timeout=30) as client:
            form = client.get(LOG_IN).raise_for_status()
            token = _TOKEN.search(form.text)
            done = client.post(LOG_IN, data={"key": key, TOKEN_FIELD: token[1] if token else ""})
    except httpx.HTTPError as error:
        raise StartupError(f"the dashboard at {service}{HOME} does not answer: {error}") from None
    cookies = [*form.headers.get_list("set-cookie"), *done.headers.get_list("set-cookie")]
    if done.status_code != httpx.codes.SEE_OTHER or not cookies:
        raise StartupError(f"the dashboard at {service}{HOME} takes no log-in: it answers {done.status_code}")
    return cookies
