"""Policies in the real service: what they decide is in the copies; what they do wrong loses no message."""

from __future__ import annotations

import smtplib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PATIENCE, Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

LUA = """
require("msys.core");
require("msys.extended.message");
local mod = {};
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_campaign_id", "for " .. msg:routing_domain());
  if msg:header("X-Loop")[1] then while true do end end
  if msg:header("X-Raise")[1] then error("went wrong") end
  if msg:header("X-Metadata")[1] then
    msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_metadata", "{broken");
  end
  return msys.core.VALIDATE_CONT;
end
msys.registerModule("scenario", mod);
"""
PYTHON = """
from mailwake.policy import CONT, refuse
async def validate_mailfrom(sender, accept, context):
    if sender.startswith("spam"):
        return refuse(550, "5.7.1 not from you")
def validate_data_spool_each_rcpt(message, accept, context):
    context.set("smtpapi_click_tracking", "1")
    if message.header("X-Many"):
        for number in range(20_000):
            context.set(f"v{number}", "x")
"""
BODY = 'Content-Type: text/html\r\n\r\n<a href="https://www.example.org/">x</a>\r\n'


def configured(directory: Path, next_hop: str) -> Path:
    (directory / "policy.lua").write_text(LUA)
    (directory / "policy.py").write_text(PYTHON)
    file = directory / "mailwake.toml"
    policies = "".join(f'[[policy]]\nfile = "{directory}/{name}"\n' for name in ("policy.lua", "policy.py"))
    file.write_text(f'workers = 1\n{policies}\n[relay]\nnext_hop = "{next_hop}"\n')
    return file


def test_policies_in_two_languages(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink], tmp_path: Path
) -> None:
    sink = start_sink()
    service = start_mailwake("--config", str(configured(tmp_path, sink.address)))
    with service.client() as client:
        assert client.sendmail("news@sender.example", ["ann@a.example", "bob@b.example"], BODY) == {}
        wait_until(lambda: len(sink.messages()) == 2, "both copies are at the sink")
        for header, code, text in (
            ("X-Loop: 1", 451, b"4.3.0 Policy failed"),
            ("X-Raise: 1", 451, b"4.3.0 Policy failed"),
            ("X-Many: 1", 451, b"4.3.0 Policy failed"),
            ("X-Metadata: 1", 550, b"5.6.0 smtpapi_metadata context must be of type 'json object'"),
        ):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("news@sender.example", ["ann@a.example"], f"{header}\r\n{BODY}")
            assert refused.value.smtp_code == code
            said = refused.value.smtp_error
            assert isinstance(said, bytes)
            assert said.startswith(text)
        with pytest.raises(smtplib.SMTPSenderRefused) as sender:
            client.sendmail("spam@sender.example", ["ann@a.example"], BODY)
        assert (sender.value.smtp_code, sender.value.smtp_error) == (550, b"5.7.1 not from you")
        assert client.sendmail("news@sender.example", ["cy@c.example"], BODY) == {}  # the connection has not noticed
    wait_until(lambda: len(sink.messages()) == 3, "the last copy is at the sink")
    assert all(b"/f/a/" in content for _, content in sink.messages())
    campaigns = {event["rcpt_to"]: event["campaign_id"] for event in service.events() if event["type"] == "delivery"}
    assert campaigns == {
        "ann@a.example": "for a.example",
        "bob@b.example": "for b.example",
        "cy@c.example": "for c.example",
    }
    assert "policy.lua:7" in service.log
    assert "went wrong" in service.log
    assert "policy.py:10" in service.log
    wait_until(lambda: service.metric("mailwake_policy_errors_total") == 3, "the errors are counted")
    assert service.metric("mailwake_policy_refusals_total") >= 1


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("policy.lua", "function mod:x(\n", "policy.lua:"),
        ("policy.py", "def validate_data(message accept):\n", "policy.py:1: "),
        ("policy.py", "def validate_dat(message, accept, context): pass\n", "did you mean validate_data?"),
        ("policy.txt", "", "name a file that ends in .py or .lua"),
    ],
)
def test_a_policy_that_cannot_be_loaded_is_one_line_at_start(tmp_path: Path, name: str, source: str, said: str) -> None:
    (tmp_path / name).write_text(source)
    (tmp_path / "mailwake.toml").write_text(f'[[policy]]\nfile = "{tmp_path}/{name}"\n')
    command = [sys.executable, "-m", "mailwake", "serve", "--demo", "--config", str(tmp_path / "mailwake.toml")]
    command += [
        "--data",
        str(tmp_path / "data"),
        "--smtp",
        "127.0.0.1:0",
        "--tracker",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
