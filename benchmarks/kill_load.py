"""Kill -9 of every worker and of the collector in mid-load, again and again, with a ledger at every end.

    benchmarks/kill [--kills 50] [--workers 2] [--seconds 2]

Senders and clickers never repeat anything, so that the books must balance exactly: every message that got its 250 has
each of its copies at the sink or in the spool exactly once, every click that got its 302 has its event in the feed, and
a webhook's target, which refuses every seventh post, gets every event of the feed at least once, in the feed's order,
each under one id. Needs smtp-sink (Debian's postfix, installed, or unpacked with MAILWAKE_POSTFIX naming the folder).
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.kill_run import Load, balance, kill
from benchmarks.machine import children, describe_machine
from benchmarks.newsletter import newsletter
from benchmarks.sink import running_sink
from benchmarks.webhook_receiver import Received, compare, running_receiver, webhook_settings

from mailwake.events.model import Event, EventType
from mailwake.feed.contract import BEGINNING
from mailwake.feed.reader import FeedReader
from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import TokenCodec
from mailwake.spool.sqlite_spool import SqliteSpool


def address(said: str, pattern: str) -> tuple[str, int]:
    found = re.search(pattern, said)
    assert found, said
    return found[1], int(found[2])


def healthy(admin: tuple[str, int]) -> bool:
    try:
        connection = http.client.HTTPConnection(*admin, timeout=10)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="load between two kills")
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)  # smtp-sink may run as another user
        (directory / "dump").mkdir()
        dump, data = directory / "dump" / "messages", directory / "data"
        with running_sink(dump) as port, running_receiver(refuse_every=7) as (receiver_port, received):
            (directory / "mailwake.toml").write_text(webhook_settings(receiver_port))
            return run(arguments, port, received, dump, data)


def run(arguments: argparse.Namespace, sink_port: int, received: Received, dump: Path, data: Path) -> int:
    command = [sys.executable, "-m", "mailwake", "serve", "--smtp", "127.0.0.1:0", "--tracker", "127.0.0.1:0"]
    command += ["--admin", "127.0.0.1:0", "--next-hop", f"127.0.0.1:{sink_port}", "--data", str(data)]
    command += ["--workers", str(arguments.workers), "--api", "127.0.0.1:0"]
    command += ["--config", str(data.parent / "mailwake.toml")]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "data in" in line:
            break
    smtp, tracker = address(said, r"SMTP on ([\d.]+):(\d+)"), address(said, r"tracker on http://([\d.]+):(\d+)")
    admin = address(said, r"metrics on http://([\d.]+):(\d+)")
    codec = TokenCodec(KeyringFile(data / "keys.json").load())
    content = newsletter()
    load = Load(smtp, tracker, codec, lambda number: b"X-Number: " + number.encode() + b"\r\n" + content)
    load.start()
    try:
        for count in range(1, arguments.kills + 1):
            time.sleep(arguments.seconds)
            pids = children(process.pid)
            kill(pids)
            while len(set(children(process.pid)) - set(pids)) < len(pids) or not healthy(admin):
                time.sleep(0.05)
            ledger = load.ledger
            print(
                f"kill {count}: {len(pids)} workers; so far {len(ledger.accepted)} copies accepted, "
                f"{len(ledger.redirected)} clicks redirected, {ledger.cut_off} cut off, "
                f"{len(received.events())} events at the webhook",
                flush=True,
            )
        load.stop()
        wait_for_the_rest(received, load.ledger.redirected)
    finally:
        load.stop()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    at_sink = [r.decode() for r in re.findall(rb"(?m)^X-Rcpt-Args: <([^>]*)>", dump.read_bytes())]
    spool = SqliteSpool(data / "spool.sqlite3")
    waiting = [entry.recipient for entry in spool.list()]
    spool.close()
    events = all_events(data / "feed")
    targets = [event.target_link_url for event in events if event.type is EventType.CLICK]
    books = balance(load, at_sink, waiting, targets)
    last = received.events()[-1]["event_id"]
    ids = [str(event.event_id) for event in events]
    delivered = compare(received, load.ledger.redirected, ids[: ids.index(last) + 1])
    posts = {"batches": len(received.batches), "refused": received.refused, "events": len(received.events())}
    print(json.dumps({"sink": len(at_sink), "spool": len(waiting), "click events": len(targets), "webhook": posts}))
    print(books)
    print(delivered)
    clean = books.clean and delivered.clean and len(set(ids)) == len(ids)
    print("nothing lost, nothing doubled, all in order" if clean else "THE BOOKS DO NOT BALANCE")
    return 0 if clean else 1


def wait_for_the_rest(received: Received, redirected: list[str], patience: float = 120.0) -> None:
    """Return when every answered click has come to the webhook, or when patience is at its end."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        targets = received.targets()
        if all(target in targets for target in redirected):
            return
        time.sleep(0.2)


def all_events(feed: Path) -> list[Event]:
    """Every event of the feed, in order."""
    reader, position, events = FeedReader(feed), BEGINNING, list[Event]()
    while True:
        page = reader.read(position)
        events += [each.event for each in page.events]
        position = page.position
        if not page.more:
            return events


if __name__ == "__main__":
    sys.exit(main())
