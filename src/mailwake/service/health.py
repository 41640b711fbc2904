"""/healthz and /metrics on a port of their own, answered by the supervisor for all its workers."""

from __future__ import annotations

import json
import threading
import time
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from mailwake.metrics import export

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping

    from mailwake.metrics import Series


PAUSE_SECONDS = 1.0
"""How long a pause waits for answers that were begun."""


class _QuietHandler(WSGIRequestHandler):
    timeout = 10  # a client that sends nothing must not keep its thread

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's own name
        """Say nothing: scrapes are not news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.answering: set[threading.Thread] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, in a thread that `answering` shows for so long."""
        self.answering.add(threading.current_thread())
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.answering.discard(threading.current_thread())


class HealthServer:
    """Answers `GET /healthz` (200 when every worker runs, else 503, as JSON) and `GET /metrics` (Prometheus text)."""

    def __init__(
        self,
        listening: socket.socket,
        health: Callable[[], tuple[bool, dict[str, Any]]],
        read_totals: Callable[[], Mapping[Series, float]],
    ) -> None:
        registry = CollectorRegistry()
        export(registry, read_totals)
        self._metrics_app = make_wsgi_app(registry)
        self._health = health
        self._server = _Server(listening.getsockname()[:2], _QuietHandler, bind_and_activate=False)
        self._server.socket.close()
        listening.setblocking(True)
        self._server.socket = listening
        self._server.server_name, self._server.server_port = listening.getsockname()[:2]
        self._server.setup_environ()
        self._server.set_app(self._answer)
        self._thread = self._make_thread()

    def start(self) -> None:
        """Begin to answer, in a thread."""
        self._thread.start()

    def pause(self) -> None:
        """Answer what has been asked, and let further connections wait in the socket's queue."""
        self._server.shutdown()
        deadline = time.monotonic() + PAUSE_SECONDS
        for thread in list(self._server.answering):
            thread.join(max(0.0, deadline - time.monotonic()))

    def resume(self) -> None:
        """Answer again after a pause."""
        self._thread = self._make_thread()
        self._thread.start()

    def _make_thread(self) -> threading.Thread:
        return threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def close(self) -> None:
        """Stop answering and close the socket."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return [b""]
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics_app(environ, start_response)
            return metrics
        if path != "/healthz":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"mailwake: /healthz and /metrics are here\n"]
        healthy, facts = self._health()
        status = "200 OK" if healthy else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [json.dumps(facts).encode() + b"\n"]
