from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mailwake.cli import keys_commands, link_commands
from mailwake.errors import MailwakeError
from mailwake.links.keyring_file import KeyringFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    KeyringFile(tmp_path / "keys.json").load_or_create()
    return tmp_path


def link(*arguments: str) -> str:
    return CliRunner().invoke(link_commands.app, arguments, catch_exceptions=False).stdout


def keys(*arguments: str) -> str:
    return CliRunner().invoke(keys_commands.app, arguments, catch_exceptions=False).stdout


def a_link(data: Path, *more: str) -> str:
    options = ["--recipient", "jane@example.com", "--target", "https://example.org/?a=1&b=[x]", *more]
    return link("encode", "--data", str(data), *options).strip()


def decoded(data: Path, url: str) -> dict[str, Any]:
    fields = json.loads(link("decode", url, "--data", str(data), "--json"))
    assert isinstance(fields, dict)
    return fields


def test_what_is_encoded_is_decoded(data: Path) -> None:
    url = a_link(
        data,
        *("--name", "banner", "--customer", "acme", "--campaign", "spring", "--tag", "a", "--tag", "b"),
        *("--metadata", '{"plan": "gold"}', "--expires", "60", "--sub-path", "my app", "--scheme", "https"),
        *("--tracking-domain", "t.example.com"),
    )
    assert url.startswith("https://t.example.com/f/my_app/")
    fields = decoded(data, url)
    assert fields["target_link_url"] == "https://example.org/?a=1&b=[x]"
    assert fields["target_link_name"] == "banner"
    assert (fields["rcpt_to"], fields["customer_id"], fields["campaign_id"]) == ("jane@example.com", "acme", "spring")
    assert (fields["rcpt_tags"], fields["rcpt_meta"], fields["expired"]) == (["a", "b"], {"plan": "gold"}, False)
    assert fields["message_id"] == f"{int(fields['transmission_id']):016x}0000"


def test_a_bare_token_of_any_kind_is_understood(data: Path) -> None:
    assert decoded(data, a_link(data).rpartition("/")[2])["kind"] == "click"
    for kind in ("open", "initial_open", "amp_open"):
        url = link("encode", "--data", str(data), "--recipient", "a@b.c", "--kind", kind).strip()
        assert decoded(data, url)["kind"] == decoded(data, url.rpartition("/")[2])["kind"] == kind


def test_people_get_a_table_with_every_value_as_it_is(data: Path) -> None:
    table = link("decode", a_link(data), "--data", str(data))
    assert "https://example.org/?a=1&b=[x]" in table
    assert "jane@example.com" in table


def test_options_come_from_the_configuration(data: Path) -> None:
    config = data / "mailwake.toml"
    config.write_text(f'data_dir = "{data}"\ntracking_domain = "t.example.net"\nclick_tracking_scheme = "https"\n')
    url = link(
        "encode", "--config", str(config), "--recipient", "a@example.com", "--target", "http://example.org"
    ).strip()
    assert url.startswith("https://t.example.net/f/a/")
    assert json.loads(link("decode", url, "--config", str(config), "--json"))["rcpt_to"] == "a@example.com"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url[:-4] + "AAAA", "damaged or forged"),
        (lambda url: url.replace("/f/a/", "/q/"), "damaged or forged"),
        (lambda url: "short", "too short or too long"),
        (lambda url: url.rpartition("/")[2] + "?", "not base64url"),
        (lambda url: url.replace("/f/", "/x/"), "no tracked link"),
        (lambda url: "", "too short or too long"),
    ],
)
def test_what_is_no_link_of_ours_is_one_line(data: Path, change: Any, message: str) -> None:
    with pytest.raises(MailwakeError, match=message):
        link("decode", change(a_link(data)), "--data", str(data))


def test_links_of_other_keys_are_refused(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    KeyringFile(other / "keys.json").load_or_create()
    with pytest.raises(MailwakeError, match="damaged or forged"):
        link("decode", a_link(data), "--data", str(other))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipient", "a@b.c"], "--target: say where it leads"),
        (["--recipient", "a@b.c", "--kind", "open", "--target", "http://x"], "an open leads nowhere"),
        (["--recipient", "a@b.c", "--target", "http://x", "--metadata", "{"], "--metadata: not JSON"),
        (["--recipient", "a@b.c", "--target", "http://x", "--metadata", "[]"], "must be a JSON object"),
    ],
)
def test_contradictions_are_one_line(data: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(MailwakeError, match=message):
        link("encode", "--data", str(data), *arguments)


def test_without_keys_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MailwakeError, match="start the service once, or give --data"):
        link("decode", "T" * 60, "--data", str(tmp_path))
    with pytest.raises(MailwakeError, match="start the service once, or give --data"):
        keys("rotate", "--data", str(tmp_path))


def test_keys_are_listed_without_their_secrets_and_rotated(data: Path) -> None:
    old = a_link(data)
    secret = json.loads((data / "keys.json").read_text())["keys"][0]["secret"]
    assert keys("rotate", "--data", str(data)) == "key 2 seals new links; 2 keys open links\n"
    listed = keys("list", "--data", str(data), "--json")
    assert [(key["id"], key["current"]) for key in json.loads(listed)["keys"]] == [(1, False), (2, True)]
    assert secret not in listed + keys("list", "--data", str(data))
    assert decoded(data, old)["kind"] == "click"
    assert decoded(data, a_link(data))["kind"] == "click"


def test_keys_in_the_configuration_are_used_and_rotated_there(tmp_path: Path) -> None:
    config = tmp_path / "mailwake.toml"
    config.write_text(f'[[keys.secrets]]\nid = 7\nsecret = "{base64.b64encode(bytes(range(64))).decode()}"\n')
    listed = json.loads(keys("list", "--config", str(config), "--json"))
    assert listed == {"keys": [{"id": 7, "created": None, "current": True}]}
    with pytest.raises(MailwakeError, match="stand in the configuration"):
        keys("rotate", "--config", str(config))
