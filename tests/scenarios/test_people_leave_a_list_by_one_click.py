"""swaks → mailwake → smtp-sink, then curl as a mailbox provider posts: the event is in `mailwake events tail`."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

ANN = "ann@people.example"
PAGE = b'<form method="post"><button name="List-Unsubscribe" value="One-Click">Abbestellen</button></form>\n'


def _swaks(service: Mailwake, *header: str) -> None:
    host, port = service.smtp
    command = ["swaks", "--server", f"{host}:{port}", "--from", "news@list.example", "--to", ANN, "--silent", "2"]
    for field in header:
        command += ["--add-header", field]
    subprocess.run(command, timeout=PATIENCE, check=True)


def _curl(service: Mailwake, url: str, *options: str) -> tuple[int, str]:
    """Status and body; the https of the link is the proxy's in front of mailwake, which is not there."""
    parts = urlsplit(url)
    host, port = service.tracker
    command = ["curl", "-s", "-w", "\n%{http_code}", "-H", f"Host: {parts.netloc}", *options]
    command.append(f"http://{host}:{port}{parts.path}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    body, _, code = done.stdout.rpartition("\n")
    return int(code), body


def test_one_click_leaves_the_list_and_looking_does_not(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink], tmp_path: Path
) -> None:
    sink = start_sink()
    page = tmp_path / "page.html"
    page.write_bytes(PAGE)
    config = tmp_path / "mailwake.toml"
    config.write_text(
        'list_unsubscribe = true\ntracking_domain = "links.example"\n'
        f'[tracking_domains."links.example"]\nunsubscribe_mailto = "leave@list.example"\nunsubscribe_page = "{page}"\n'
    )
    service = start_mailwake("--config", str(config), "--next-hop", sink.address, "--workers", "1")
    _swaks(service, 'X-MSYS-API: {"campaign_id": "spring"}')
    _swaks(service, "List-Unsubscribe: <https://list.example/mine>", "Subject: own")
    wait_until(lambda: len(sink.messages()) == 2, "both copies are at the sink")
    copies = [content.decode() for _, content in sink.messages()]
    (own,) = [copy for copy in copies if "Subject: own" in copy]
    assert own.count("List-Unsubscribe") == 1
    copies.remove(own)
    header = re.search(
        r"^List-Unsubscribe: <(https://links\.example/u/[^>]+)>,\n\t<mailto:leave@list\.example\?subject=unsubscribe>\n"
        r"List-Unsubscribe-Post: List-Unsubscribe=One-Click$",
        copies[0],
        re.MULTILINE,
    )
    assert header, copies[0]
    url = header[1]

    assert _curl(service, url) == (200, PAGE.decode())
    assert _curl(service, url, "--data", "something=else")[0] == 400
    assert _curl(service, url[:-4], "--data", "List-Unsubscribe=One-Click")[0] == 404
    assert _curl(service, url, "--data", "List-Unsubscribe=One-Click")[0] == 200
    assert _curl(service, url, "--form", "List-Unsubscribe=One-Click")[0] == 200

    events = wait_until(lambda: found if len(found := service.events()) >= 6 else None, "all is recorded")
    assert Counter(event["type"] for event in events) == {"injection": 2, "delivery": 2, "list_unsubscribe": 2}
    event = next(event for event in events if event["type"] == "list_unsubscribe")
    assert (event["rcpt_to"], event["campaign_id"], event["ip_address"]) == (ANN, "spring", "127.0.0.1")
    assert event["user_agent"].startswith("curl/")
    assert event["message_id"] in [each["message_id"] for each in events if each["type"] == "injection"]
    assert service.stop() == 0


def test_a_page_that_unsubscribes_nobody_is_said_before_anything_starts(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>Please write to us</p>")
    domain = f'tracking_domains."links.example".unsubscribe_page={page}'
    service = Mailwake(tmp_path, "--demo", "--set", domain)
    with pytest.raises(AssertionError):
        service.start()
    assert service.exited
    assert "page.html unsubscribes nobody: put <form method" in service.log
    assert "Traceback" not in service.log
