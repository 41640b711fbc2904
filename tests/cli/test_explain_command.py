from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailwake.cli.main import make_app

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "first-message.eml"


def _explain(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(make_app(), ["explain", *arguments, "--rcpt", "bob@example.org"])
    return done.exit_code, done.output


def test_each_setting_names_the_source_that_decided_it(tmp_path: Path) -> None:
    configuration = tmp_path / "mailwake.toml"
    configuration.write_text(
        'tracking_domain = "t.global.example"\n[esmtp_listener.listen."127.0.0.1:2525".peer."10.0.0.0/8"]\n'
        'click_tracking_scheme = "https"\n'
    )
    context = ["--context", "smtpapi_campaign_id=policy", "--context", "mo_customer_id=42"]
    status, said = _explain(str(EXAMPLE), "--json", "--config", str(configuration), "--peer", "10.1.2.3", *context)
    assert status == 0
    settings = json.loads(said)["settings"]
    by_hand = "set by the command line"
    assert settings["campaign_id"] == {"value": "policy", "source": f"context smtpapi_campaign_id, {by_hand}"}
    assert settings["customer_id"] == {"value": "42", "source": f"context mo_customer_id, {by_hand}"}
    assert settings["tags"] == {"value": ["news", "demo"], "source": "X-MSYS-API tags"}
    assert settings["tracking_domain"]["value"] == "t.global.example"
    assert "mailwake.toml:1" in settings["tracking_domain"]["source"]
    assert settings["click_tracking_scheme"]["value"] == "https"
    assert "peer 10.0.0.0/8 in listen 127.0.0.1:2525" in settings["click_tracking_scheme"]["source"]
    assert settings["open_tracking_scheme"] == {"value": "http", "source": "default"}


def test_the_route_is_told_with_who_decided_it(tmp_path: Path) -> None:
    configuration = tmp_path / "mailwake.toml"
    configuration.write_text(
        '[relays.bulk]\nnext_hop = "b:25"\n[pathway.news]\nrelay = "bulk"\n[customers.42]\nrelay = "bulk"'
    )
    cases = [
        ([], "default", "default"),
        (["mo_customer_id=42"], "bulk", "customer 42"),
        (["pathway=news"], "bulk", f"pathway news, {configuration}:4"),
        (["mailwake_relay=bulk"], "bulk", "context mailwake_relay, set by the command line"),
    ]
    for context, route, source in cases:
        flags = [part for variable in context for part in ("--context", variable)]
        _, said = _explain(str(EXAMPLE), "--json", "--config", str(configuration), *flags)
        assert json.loads(said)["settings"]["relay"] == {"value": route, "source": source}
    status, said = _explain(str(EXAMPLE), "--config", str(configuration), "--context", "mailwake_relay=x")
    assert (status, said.splitlines()[1]) == (
        1,
        "because: context variable mailwake_relay is 'x': there is no such relay",
    )


def test_each_link_has_its_fate() -> None:
    _, said = _explain(str(EXAMPLE), "--json")
    links = json.loads(said)["links"]
    fates = [(link["part"], link["target"], link["tracked"], link["reason"]) for link in links]
    assert ("html", "https://www.example.org/first?from=html&lang=en", True, "") in fates
    assert ("html", "mailto:anna@shop.example", False, "scheme mailto") in fates
    assert [link["unsubscribe"] for link in links].count(True) == 2


def test_the_difference_is_shown_and_can_be_left_out() -> None:
    _, said = _explain(str(EXAMPLE))
    assert '-   "campaign_id" : "weekend", "tags" : ["news", "demo"],' in said
    assert "+three things to read: http://localhost:8080/f/a/" in said
    _, short = _explain(str(EXAMPLE), "--no-diff")
    assert "http://localhost:8080/f/a/" not in short
    assert "tracked as 'first story'" in short


def test_a_refusal_says_the_exact_reply(tmp_path: Path) -> None:
    message = tmp_path / "bad.eml"
    message.write_bytes(b'X-MSYS-API: {"metadata" : 1}\r\n\r\ntext\r\n')
    status, said = _explain(str(message))
    assert status == 1
    assert said.startswith("refused: 550 5.6.0 X-MSYS-API 'metadata' must be of type 'json object'")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["absent.eml"], "absent.eml: cannot be read"),
        ([str(EXAMPLE), "--context", "nonsense"], "NAME=VALUE"),
        ([str(EXAMPLE), "--set", "open_trackin_enabled=1"], "did you mean"),
    ],
)
def test_what_cannot_be_explained_is_one_line(arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(make_app(), ["explain", *arguments, "--rcpt", "a@b.example"])
    assert expected in str(done.exception)
    assert done.exit_code == 1


def test_the_same_message_is_explained_and_relayed_alike() -> None:
    """What explain calls tracked is what the flow tracks, for both use one preparation."""
    _, said = _explain(str(EXAMPLE), "--json")
    found = json.loads(said)
    tracked = sum(link["tracked"] for link in found["links"])
    added = "\n".join(line for line in found["diff"] if line.startswith("+"))
    assert added.count("/f/a/") == tracked


REWRITING = (
    b'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true}}\r\n'
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nhttps://www.example.org/1 https://www.example.org/2\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n"
    b'<body><a href="https://www.example.org/3">www.example.org</a>{{open_pixel()}}'
    b'<!--[if mso]><a href="https://www.example.org/4">x</a><![endif]--></body>\r\n--b--\r\n'
)


@pytest.mark.parametrize(
    ("setting", "tracked"),
    [
        ("text_click_tracking=true", ["1", "2", "3", "4"]),
        ("text_click_tracking=false", ["3", "4"]),
        ("text_click_limit=1", ["1", "3", "4"]),
        ("track_mso=false", ["1", "2", "3"]),
        ("tracked_link_text=skip", ["1", "2", "4"]),
    ],
)
def test_what_a_site_may_choose_about_rewriting(tmp_path: Path, setting: str, tracked: list[str]) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(REWRITING)
    _, said = _explain(str(message), "--json", "--set", setting)
    links = json.loads(said)["links"]
    assert [link["target"][-1] for link in links if link["tracked"]] == tracked


def test_the_pixel_stands_where_the_sender_wants_it(tmp_path: Path) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(REWRITING)
    _, said = _explain(str(message), "--set", "open_pixel=macro")
    assert "{{open_pixel()}}" not in "".join(line for line in said.splitlines() if line.startswith("+"))
    assert said.count("/q/") == 1
    assert said.count("/o/") == 0


def test_a_link_whose_text_is_a_url_is_warned_of(tmp_path: Path) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(REWRITING)
    _, said = _explain(str(message), "--no-diff")
    assert said.count("may take for phishing") == 1
    _, said = _explain(str(message), "--json")
    assert [link["text_is_url"] for link in json.loads(said)["links"]] == [False, False, True, False]


def test_a_message_that_arrives_signed(tmp_path: Path) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(b"DKIM-Signature: v=1; d=shop.example; b=x\r\n" + REWRITING)
    _, said = _explain(str(message), "--no-diff")
    assert "note: message with DKIM-Signature of shop.example: signed on arrival: tracking would break that" in said
    assert "on_signed, because the message arrived signed" in said
    _, said = _explain(str(message), "--no-diff", "--set", "on_signed=track")
    assert "note: message with DKIM-Signature of shop.example: that signature fails once the body has changed" in said
    assert "tracked as" in said
    _, said = _explain(str(message), "--json", "--set", "on_signed=track")
    assert json.loads(said)["broken_signatures"] == ["DKIM-Signature of shop.example"]


def test_links_are_not_called_tracked_where_clicks_are_off(tmp_path: Path) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(REWRITING)
    _, said = _explain(str(message), "--json", "--context", "smtpapi_click_tracking=0")
    links = json.loads(said)["links"]
    assert {link["reason"] for link in links} == {"click tracking is off"}
    assert not any(link["tracked"] for link in links)


POLICY = """
from mailwake.policy import CONT, refuse
def validate_auth(user, accept, context):
    context.connection.set("mo_customer_id", "customer of " + user)
def validate_mailfrom(sender, accept, context):
    if sender == "spam@shop.example":
        return refuse(550, "5.7.1 not from you")
def validate_data_spool_each_rcpt(message, accept, context):
    context.set("smtpapi_campaign_id", "for " + message.rcptto)
    if "sink" in message.rcptto:
        message.discard("a sink")
"""


PASSWORD = 'password = "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$tHT7GLqp0uYbiB009MeIHnMuEMZ86kx0jgBpq5vxo84"\n'


def test_an_account_has_its_own_customer_and_that_customers_route(tmp_path: Path) -> None:
    (tmp_path / "mailwake.toml").write_text(
        f'[accounts.shop]\ncustomer_id = "42"\n{PASSWORD}'
        '[relays.fast]\nnext_hop = "127.0.0.1:26"\n[customers."42"]\nrelay = "fast"\n'
    )
    configured = ("--json", "--config", str(tmp_path / "mailwake.toml"))
    status, said = _explain(str(EXAMPLE), *configured, "--account", "shop")
    assert status == 0
    settings = json.loads(said)["settings"]
    assert settings["customer_id"]["value"] == "42"
    assert settings["relay"] == {"value": "fast", "source": "customer 42"}
    done = CliRunner().invoke(make_app(), ["explain", str(EXAMPLE), *configured, "--rcpt", "b@b", "--account", "shpo"])
    assert done.exit_code == 1
    assert str(done.exception) == "--account: there is no [accounts.shpo] in the configuration; it has: shop"


def test_a_listener_that_there_is_not_is_an_error() -> None:
    done = CliRunner().invoke(make_app(), ["explain", str(EXAMPLE), "--rcpt", "b@b", "--listener", "127.0.0.1:9"])
    assert done.exit_code == 1
    assert str(done.exception) == "--listener: nothing listens on 127.0.0.1:9; configured: 127.0.0.1:2525"


def test_policies_are_really_asked_and_named(tmp_path: Path) -> None:
    (tmp_path / "policy.py").write_text(POLICY)
    (tmp_path / "mailwake.toml").write_text(f'[[policy]]\nfile = "{tmp_path}/policy.py"\n[accounts.acme]\n{PASSWORD}')
    configured = ("--config", str(tmp_path / "mailwake.toml"))
    status, said = _explain(str(EXAMPLE), "--json", *configured, "--account", "acme")
    assert status == 0
    settings = json.loads(said)["settings"]
    campaign = {"value": "for bob@example.org", "source": "context smtpapi_campaign_id, set by policy.py:9"}
    assert settings["campaign_id"] == campaign
    assert settings["customer_id"] == {
        "value": "customer of acme",
        "source": "context mo_customer_id, set by policy.py:4",
    }
    status, said = _explain(str(EXAMPLE), *configured, "--sender", "spam@shop.example")
    assert status == 1
    assert said == "refused: 550 5.7.1 not from you\nbecause: policy in validate_mailfrom: 550 5.7.1 not from you\n"
    done = CliRunner().invoke(make_app(), ["explain", str(EXAMPLE), *configured, "--rcpt", "sink@example.org"])
    assert "because: policy takes the message and throws it away: a sink" in done.output


def test_a_policy_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mailwake.toml").write_text(f'[[policy]]\nfile = "{tmp_path}/absent.py"\n')
    done = CliRunner().invoke(
        make_app(), ["explain", str(EXAMPLE), "--rcpt", "a@b.example", "--config", str(tmp_path / "mailwake.toml")]
    )
    assert "there is no such policy file" in str(done.exception)


@pytest.mark.parametrize(
    ("header", "settings", "decided", "added"),
    [
        ("", ["list_unsubscribe=true"], (True, "global, command line"), True),
        ("", [], (False, "default"), False),
        (
            "List-Unsubscribe: <https://shop.example/leave>\r\n",
            ["list_unsubscribe=true"],
            (False, "List-Unsubscribe, which the message has"),
            False,
        ),
        (
            "DKIM-Signature: v=1; d=shop.example\r\n",
            ["list_unsubscribe=true"],
            (False, "on_signed, because the message arrived signed"),
            False,
        ),
    ],
)
def test_a_list_unsubscribe_is_shown_with_who_decided_it(
    tmp_path: Path, header: str, settings: list[str], decided: tuple[bool, str], *, added: bool
) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(f"{header}Subject: x\r\n\r\nHello\r\n".encode())
    flags = [part for setting in settings for part in ("--set", setting)]
    _, said = _explain(str(message), "--json", *flags)
    shown = json.loads(said)
    assert (shown["settings"]["list_unsubscribe"]["value"], shown["settings"]["list_unsubscribe"]["source"]) == decided
    assert any(line.startswith("+List-Unsubscribe: <https://localhost:8080/u/") for line in shown["diff"]) is added
    assert ("+List-Unsubscribe-Post: List-Unsubscribe=One-Click" in shown["diff"]) is added
