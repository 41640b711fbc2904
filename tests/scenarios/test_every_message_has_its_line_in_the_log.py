"""One line for each message, with the fields that docs/reference/log.md promises; later attempts have its queue id."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailwake.log_fields import EVERY_LINE
from mailwake.log_table import LOG

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

FIELDS = {event.name: {*event.fields, *EVERY_LINE} for area in LOG for event in area.events}
MESSAGE = b'Subject: x\r\nX-MSYS-API: {"campaign_id": "spring"}\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
TIMES = ("receive_ms", "policy_ms", "relay_ms", "total_ms")


def _lines(service: Mailwake, *events: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in lines if line["event"] in events]


def _line(service: Mailwake, event: str) -> dict[str, Any]:
    """The one line of this event, which has just the fields of the table, and times that add up."""
    wait_until(lambda: _lines(service, event), f"{event} is logged")
    (line,) = _lines(service, event)
    assert set(line) == FIELDS[event]
    if "total_ms" in line:
        assert all(line[name] >= 0 for name in TIMES)
        # Each is rounded by itself.
        assert line["receive_ms"] + line["policy_ms"] + line["relay_ms"] <= line["total_ms"] + 0.3
    return line


def _queue_id(client: smtplib.SMTP, recipients: list[str]) -> int:
    client.ehlo()
    assert client.mail("a@b.example")[0] == 250
    for recipient in recipients:
        assert client.rcpt(recipient)[0] == 250
    code, text = client.data(MESSAGE)
    assert code == 250
    found = re.match(rb"2\.0\.0 OK (\d+)", text)
    assert found
    return int(found[1])


def test_a_message_that_is_taken(start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]) -> None:
    sink = start_sink()
    service = start_mailwake("--workers", "1", "--next-hop", sink.address)
    recipients = [f"c{number}@d.example" for number in range(12)]
    with service.client() as client:
        queue_id = _queue_id(client, recipients)
    line = _line(service, "message")
    assert (line["level"], line["transmission"], line["worker"]) == ("info", queue_id, "smtp-0")
    assert (line["peer"], line["sender"], line["campaign"]) == ("127.0.0.1", "a@b.example", "spring")
    assert (line["recipients"], line["to"]) == (12, recipients[:10])
    assert line["size"] == len(MESSAGE)
    assert line["sent"] > 12 * (len(MESSAGE) - len(MESSAGE.split(b"\r\n")[1]))  # each has a Received field more
    assert (line["result"], line["outcome"], line["next_hop"]) == ("accepted", "delivered", sink.address)
    assert line["reply"].startswith(f"250 2.0.0 OK {queue_id}")
    assert line["next_hop_reply"].startswith("250 ")
    assert line["relay_ms"] > 0


@pytest.mark.parametrize(("option", "result", "code"), [("-r", "deferred", 450), ("-f", "refused", 500)])
def test_a_message_that_the_next_hop_does_not_take(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink], option: str, result: str, code: int
) -> None:
    service = start_mailwake("--workers", "1", "--next-hop", start_sink(option, ".").address)
    with service.client() as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("a@b.example", ["c@d.example"], MESSAGE)
    line = _line(service, "message")
    assert (line["result"], line["outcome"]) == (result, result)
    assert line["reply"].startswith(f"{refused.value.smtp_code} ")
    assert line["next_hop_reply"].startswith(str(code)[0])


def test_a_message_that_is_refused_before_the_next_hop_is_asked(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--workers", "1", "--demo")
    with service.client() as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("a@b.example", ["c@d.example"], b"X-MSYS-API: {]\r\n\r\nx\r\n")
    line = _line(service, "message refused")
    assert (line["level"], line["result"], line["to"]) == ("warning", "refused", ["c@d.example"])
    assert line["reply"].startswith(f"{refused.value.smtp_code} ")
    assert line["relay_ms"] == 0
    assert line["transmission"] > 0


def test_a_message_that_policy_throws_away(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> None:
    policy = tmp_path / "policy.py"
    policy.write_text(
        "from mailwake.policy import DONE\n\n\n"
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    message.discard('spam')\n"
        "    return DONE\n"
    )
    (tmp_path / "mailwake.toml").write_text(f'[[policy]]\nfile = "{policy}"\n')
    service = start_mailwake("--workers", "1", "--demo", "--config", str(tmp_path / "mailwake.toml"))
    assert service.send("a@b.example", ["c@d.example"], MESSAGE) == {}
    assert _line(service, "message discarded")["result"] == "discarded"
    assert _line(service, "copy discarded by policy")["reason"] == "spam"


def test_an_attempt_from_the_spool_has_the_queue_id_that_the_sender_got(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--workers", "1", "--next-hop", sink.address, "--set", "spool.acceptance=spool")
    with service.client() as client:
        queue_id = _queue_id(client, ["c@d.example"])
    assert (_line(service, "message")["outcome"], _line(service, "message")["transmission"]) == ("spooled", queue_id)
    line = _line(service, "tried")
    assert (line["transmission"], line["sender"], line["recipient"]) == (queue_id, "a@b.example", "c@d.example")
    assert (line["result"], line["next_hop"], line["attempts"]) == ("delivered", sink.address, 1)


def test_a_client_that_may_not_relay_is_seen(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--workers", "1", "--demo", "--set", 'esmtp_listener.relay_networks=["192.0.2.0/24"]')
    with service.client() as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("a@b.example", ["c@d.example"], MESSAGE)
    line = _line(service, "relaying refused")
    assert (line["peer"], line["sender"], line["recipient"]) == ("127.0.0.1", "a@b.example", "c@d.example")


def test_at_level_warning_mail_that_goes_well_leaves_no_line(start_mailwake: Callable[..., Mailwake]) -> None:
    service = start_mailwake("--workers", "1", "--demo", "--set", "log_level=warning")
    assert service.send("a@b.example", ["c@d.example"], MESSAGE) == {}
    wait_until(lambda: service.metric("mailwake_messages_total") == 1, "it is counted")
    assert service.log == ""
