"""A webhook's target that remembers what it got, in order, and refuses some of it at first."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """Batches in the order in which they were taken: batch id and events, flat; and how many posts were refused."""

    batches: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    refused: int = 0

    def events(self) -> list[dict[str, Any]]:
        """Every event the first time it came, in the order of its coming."""
        seen: dict[str, dict[str, Any]] = {}
        for _, events in list(self.batches):
            for event in events:
                seen.setdefault(event["event_id"], event)
        return list(seen.values())

    def contents(self) -> dict[str, set[tuple[str, ...]]]:
        """What came under each batch id: once, or the same again."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for batch_id, events in list(self.batches):
            found.setdefault(batch_id, set()).add(tuple(event["event_id"] for event in events))
        return found

    def targets(self) -> dict[str, set[str]]:
        """The ids of the events that came for each click's target."""
        found: dict[str, set[str]] = {}
        for _, events in list(self.batches):
            for event in events:
                if event["type"] == "click":
                    found.setdefault(event["target_link_url"], set()).add(event["event_id"])
        return found


@contextmanager
def running_receiver(*, refuse_every: int = 0) -> Iterator[tuple[int, Received]]:
    """A receiver on a port of its own; each `refuse_every`th post gets 503 without being taken."""
    received = Received()
    server = _server(received, refuse_every)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(received: Received, refuse_every: int) -> ThreadingHTTPServer:
    lock = threading.Lock()
    count = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal count
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                count += 1
                refuses = refuse_every and count % refuse_every == 0
                if refuses:
                    received.refused += 1
                else:
                    batch = [next(iter(each["msys"].values())) for each in json.loads(body) if each["msys"]]
                    received.batches.append((self.headers["x-messagesystems-batch-id"], batch))
            self.send_response(503 if refuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's own name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def webhook_settings(port: int) -> str:
    """The configuration of a webhook that goes there, quickly."""
    return f"""
[webhook_delivery]
allow_http = true
allow_private_targets = ["127.0.0.0/8"]
batch_size = 500
batch_seconds = 0.2
retry_schedule = [0.2]

[webhooks.receiver]
target = "http://127.0.0.1:{port}/"
"""


@dataclass
class Delivered:
    """How what a receiver got compares with what was answered and with the feed; all must be 0 or true."""

    clicks_missing: int
    ids_doubled: int
    batches_changed: int
    in_order: bool

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, disordered, changed between two tries, or doubled under another id."""
        return not (self.clicks_missing or self.ids_doubled or self.batches_changed) and self.in_order


def compare(received: Received, redirected: list[str], feed_ids: list[str]) -> Delivered:
    """`redirected` are the targets of answered clicks, `feed_ids` the event ids of the whole feed in order."""
    targets = received.targets()
    return Delivered(
        clicks_missing=sum(target not in targets for target in redirected),
        ids_doubled=sum(len(ids) > 1 for ids in targets.values()),
        batches_changed=sum(len(each) > 1 for each in received.contents().values()),
        in_order=[event["event_id"] for event in received.events()] == feed_ids,
    )
