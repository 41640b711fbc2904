"""Log lines: one each, whatever a client has put into a value."""

from __future__ import annotations

import json

import pytest

from mailwake.events.privacy import RecipientHash
from mailwake.logs import make_logger

HOSTILE = 'a\nb\r\n{"level":"error"} \x1b[31m\x9b2J\u2028\x00\x7f"'


@pytest.mark.parametrize("value", [HOSTILE, HOSTILE.replace(" ", ""), "\x1b]0;title\x07"])
def test_a_value_for_people_is_one_line_without_controls(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_logger("human", "info").info("AUTH refused", account=value)
    shown = capsys.readouterr().err
    assert shown.endswith("\n")
    assert shown[:-1].isprintable()


def test_a_value_in_json_is_one_line_and_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    make_logger("json", "info").info("AUTH refused", account=HOSTILE)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert not {character for character in shown[:-1] if character < " " or character == "\x7f"} - {"\x7f"}
    assert json.loads(shown)["account"] == HOSTILE


def test_with_hidden_recipients_no_line_names_one(capsys: pytest.CaptureFixture[str]) -> None:
    hashing = RecipientHash(bytes(32))
    log = make_logger("json", "info", hidden=hashing)
    log.info(
        "message",
        to=["ann@example.org", "Bob@example.org"],
        recipient="ann@example.org",
        sender="bounces+ann=example.org@list.example",
        reply="250 2.0.0 OK (next hop: 250 <ann@example.org> taken)",
        reason="<bob@example.org> is full",
        size=7,
    )
    line = json.loads(capsys.readouterr().err)
    assert line["to"] == [hashing.hashed("ann@example.org"), hashing.hashed("bob@example.org")]
    assert line["size"] == 7
    said = json.dumps(line).lower()
    assert "ann@" not in said
    assert "ann=" not in said
    assert "bob@" not in said
