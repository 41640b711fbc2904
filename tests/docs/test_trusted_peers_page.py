"""The page about gateways: its settings load and mean what it says, its program encodes as the server decodes."""

import re
from pathlib import Path
from typing import Any

import pytest

from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.listener.arrivals import HEADER_OCTETS
from mailwake.listener.trusted_peer import DUMPED_VARIABLES
from mailwake.policy.context import MOST_OCTETS, MOST_VARIABLES
from mailwake.service.parts import AUTH_LINE_OCTETS
from mailwake.smtp.states import TRANSITIONS, State, Verb
from mailwake.smtp.trusted_commands import XCLIENT_ATTRIBUTES
from mailwake.smtp.xtext import decode_xtext

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "trusted-peers.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def scopes(tmp_path: Path, text: str) -> tuple[ScopedOptions, Any]:
    file = tmp_path / "mailwake.toml"
    file.write_text(text)
    configuration = load(file)
    return ScopedOptions(configuration), configuration.settings.esmtp_listener


def test_its_settings_are_settings(tmp_path: Path) -> None:
    trusted, balanced = blocks("toml")
    options, _ = scopes(tmp_path, trusted)
    assert options.resolve_connection("127.0.0.1:2525", "10.0.0.5").smtp_extensions.value
    assert not options.resolve_connection("127.0.0.1:2525", "10.0.0.6").smtp_extensions.value
    _, listener = scopes(tmp_path, balanced)
    (listen,) = listener.listen.values()
    assert (listen.proxy_protocol, len(listen.proxy_networks)) == ("required", 2)


@pytest.mark.parametrize("text", ["black friday", "a=b+c", "zoë", '{"a": 1}', "", "\r\n"])
def test_its_program_encodes_what_is_decoded(text: str) -> None:
    (program,) = blocks("python")
    found: dict[str, Any] = {}
    exec(program.split("with smtplib")[0], found)
    assert decode_xtext(found["xtext"](text)) == text


def test_its_figures_and_attributes_are_the_codes() -> None:
    for figure in (MOST_VARIABLES, MOST_OCTETS, AUTH_LINE_OCTETS):
        assert f"{figure:,}" in PAGE
    assert f"at most {DUMPED_VARIABLES} variables" in PAGE
    assert HEADER_OCTETS >= 536  # what the PROXY protocol's senders keep to
    assert all(f"`{attribute}`" in PAGE for attribute in XCLIENT_ATTRIBUTES)


def test_its_table_of_states_is_the_codes() -> None:
    possible = {verb: {state for state, legal in TRANSITIONS.items() if verb in legal} for verb in Verb}
    assert possible[Verb.XCLIENT] == {State.CONNECTED, State.READY}
    assert possible[Verb.XREMOTEIP] == {State.CONNECTED, State.READY, State.MAIL, State.RCPT}
    assert possible[Verb.XSETCONTEXT] == possible[Verb.XDUMPCONTEXT] == {State.READY, State.MAIL, State.RCPT}
