"""The Django example with real Django, a real mail server, and a real tracker that answers its links."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.scenarios.conftest import Mailwake, Sink, start_mailwake, start_sink, wait_until

__all__ = ["start_mailwake", "start_sink"]

pytestmark = pytest.mark.scenario
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "django"

SITE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from django.conf import settings
settings.configure(
    EMAIL_BACKEND="mailwake_backend.EmailBackend", EMAIL_HOST="127.0.0.1", EMAIL_PORT=int(sys.argv[2]),
    MAILWAKE=json.loads(sys.argv[3]),
)
from django.core.mail import EmailMultiAlternatives, get_connection
header = {"X-MSYS-API": json.dumps({"campaign_id": "spring", "tags": ["news"], "metadata": {"n": "ü" * 60}})}
message = EmailMultiAlternatives(
    "Grüße", "https://www.example.org/text", "news@shop.example", ["ann@example.org"], bcc=["Bob@example.org"],
    headers=header, attachments=[("a.bin", bytes(range(256)), "application/octet-stream")],
)
message.attach_alternative('<p>Schön: <a href="https://www.example.org/html?a=1&amp;b=2">here</a></p>', "text/html")
print("sent", get_connection(fail_silently=len(sys.argv) > 4).send_messages([message]))
"""


def send(port: int, options: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SITE, str(EXAMPLE), str(port), json.dumps(options), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(autouse=True)
def _needs_django() -> None:
    if importlib.util.find_spec("django") is None:
        pytest.skip("DJANGO IS ABSENT: the example is not checked; pip install -e '.[dev]'")


def test_a_site_sends_and_a_click_comes_back(
    start_mailwake: Callable[..., Mailwake],  # the fixture itself
    start_sink: Callable[..., Sink],
) -> None:
    tracker, sink = start_mailwake("--role", "tracker"), start_sink()
    options = {
        "keys": str(tracker.data / "keys.json"),
        "tracking_domain": "{}:{}".format(*tracker.tracker),
        "click_tracking_scheme": "http",
        "open_tracking_scheme": "http",
    }
    done = send(sink.port, options)
    assert (done.stdout, done.stderr) == ("sent 1\n", "")
    wait_until(lambda: len(sink.messages()) == 2, "both copies are at the mail server")
    copies = dict(sink.messages())
    assert set(copies) == {"ann@example.org", "Bob@example.org"}
    for content in copies.values():
        assert b"X-MSYS-API" not in content
        assert b"bob" not in content.lower()
    html = copies["Bob@example.org"].partition(b"text/html")[2].replace(b"=\n", b"").replace(b"=3D", b"=")
    link, pixel = (re.search(rb'"http://[^/"]*(/%b/[^"]*)"' % family, html) for family in (b"f/a", b"q"))
    assert link
    assert pixel
    status, headers, _ = tracker.get(link[1].decode())
    assert (status, headers["location"]) == (302, "https://www.example.org/html?a=1&b=2")
    assert tracker.get(pixel[1].decode())[0] == 200
    click, opened = tracker.events()
    assert (click["type"], opened["type"]) == ("click", "open")
    for event in (click, opened):
        assert (event["raw_rcpt_to"], event["campaign_id"], event["rcpt_tags"]) == (
            "Bob@example.org",
            "spring",
            ["news"],
        )
        assert event["rcpt_meta"] == {"n": "ü" * 60}
    assert click["message_id"] == opened["message_id"]


def test_a_server_that_takes_nobody_is_djangos_own_error(start_sink: Callable[..., Sink], tmp_path: Path) -> None:
    from mailwake.links.keyring_file import KeyringFile

    KeyringFile(tmp_path / "keys.json").load_or_create()
    options = {"keys": str(tmp_path / "keys.json"), "tracking_domain": "links.example.com"}
    refusing = start_sink("-r", "RCPT")
    assert "SMTPRecipientsRefused" in send(refusing.port, options).stderr
    assert send(refusing.port, options, "silently").stdout == "sent 0\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tracking_domain": "links.example.com"}, "'keys'"),
        ({"keys": "absent.json", "tracking_domain": "links.example.com"}, "there are no keys yet"),
        ({"keys": "absent.json", "trackin_domain": "x"}, "keys"),
    ],
)
def test_bad_settings_say_where(options: dict[str, str], said: str) -> None:
    stderr = send(1, options).stderr
    assert "ImproperlyConfigured: MAILWAKE in the settings: " in stderr
    assert said in stderr
