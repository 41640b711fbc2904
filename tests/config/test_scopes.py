from pathlib import Path

import pytest

from mailwake.config.load import ConfigurationError, load
from mailwake.config.scopes import ScopedOptions
from mailwake.smtp.extensions import Extension

LISTEN = "127.0.0.1:2525"

# One option in every scope, most specific first: taking them away from the top shows the order.
SCOPES = [
    ('[esmtp_listener.listen."127.0.0.1:2525".peer."10.1.0.0/16"]', "peer 10.1.0.0/16 in listen 127.0.0.1:2525"),
    ('[esmtp_listener.listen."127.0.0.1:2525".peer."10.0.0.0/8"]', "peer 10.0.0.0/8 in listen 127.0.0.1:2525"),
    ('[esmtp_listener.listen."127.0.0.1:2525"]', "listen 127.0.0.1:2525"),
    ('[esmtp_listener.peer."10.1.2.3"]', "peer 10.1.2.3/32 in esmtp_listener"),
    ('[esmtp_listener.peer."10.1.0.0/16"]', "peer 10.1.0.0/16 in esmtp_listener"),
    ("[pathway.news]", "pathway news"),
    ("[pathway_group.marketing]", "pathway_group marketing"),
    ("[esmtp_listener]", "esmtp_listener"),
    ("", "global"),
]
REFERENCES = {
    '[esmtp_listener.listen."127.0.0.1:2525"]': 'pathway = "news"',
    "[pathway.news]": 'group = "marketing"',
    "[pathway_group.marketing]": "",
}


def scoped(tmp_path: Path, text: str, **overrides: str) -> ScopedOptions:
    file = tmp_path / "mailwake.toml"
    file.write_text(text)
    return ScopedOptions(load(file, overrides))


@pytest.mark.parametrize("first", range(len(SCOPES)))
def test_the_most_specific_scope_that_has_a_value_wins(tmp_path: Path, first: int) -> None:
    tables = {"": "", **REFERENCES}
    for number, (header, _) in enumerate(SCOPES[first:], first):
        tables[header] = f'{tables.get(header, "")}\ntracking_domain = "d{number}"'
    text = "\n".join(f"{header}\n{content}" for header, content in tables.items())
    option = scoped(tmp_path, text).resolve(LISTEN, "10.1.2.3").tracking_domain
    assert option.value == f"d{first}"
    line = 1 + text.splitlines().index(f'tracking_domain = "d{first}"')
    assert option.source == f"{SCOPES[first][1]}, {tmp_path}/mailwake.toml:{line}"


def test_each_option_is_chosen_by_itself(tmp_path: Path) -> None:
    options = scoped(
        tmp_path,
        """
        tracking_link_expiry = 60
        tracking_domain = "global"
        [esmtp_listener]
        click_tracking_scheme = "https"
        [esmtp_listener.peer."10.0.0.0/8"]
        click_tracking_enabled = false
        tracking_domain = "peer"
        [esmtp_listener.listen."127.0.0.1:2525"]
        click_tracking_enabled = true
        """,
    ).resolve(LISTEN, "10.0.0.1")
    assert options.click_tracking_enabled.value is True
    assert options.tracking_domain.value == "peer"
    assert options.click_tracking_scheme.value == "https"
    assert options.tracking_link_expiry.value == 60
    assert options.open_tracking_scheme == ("http", "default")


def test_the_defaults() -> None:
    options = ScopedOptions(load(None)).resolve(LISTEN, "127.0.0.1")
    assert [(name, option.value, option.source) for name, option in options.items()] == [
        ("open_tracking_enabled", False, "default"),
        ("click_tracking_enabled", False, "default"),
        ("initial_open_enabled", True, "default"),
        ("honeypot_link", False, "default"),
        ("open_tracking_scheme", "http", "default"),
        ("click_tracking_scheme", "http", "default"),
        ("tracking_domain", "localhost:8080", "default"),
        ("tracking_link_expiry", 31_536_000, "default"),
        ("list_unsubscribe", False, "default"),
        ("pathway", None, "default"),
        ("relay", None, "default"),
    ]


def test_a_value_of_false_is_a_value(tmp_path: Path) -> None:
    text = 'open_tracking_enabled = true\n[esmtp_listener.peer."10.0.0.0/8"]\nopen_tracking_enabled = false\n'
    assert scoped(tmp_path, text).resolve(LISTEN, "10.0.0.1").open_tracking_enabled.value is False


def test_the_command_line_is_the_global_scope(tmp_path: Path) -> None:
    text = (
        'tracking_domain = "file"\nopen_tracking_scheme = "https"\n[esmtp_listener]\nopen_tracking_scheme = "https"\n'
    )
    options = scoped(tmp_path, text, tracking_domain="flag", open_tracking_scheme="http").resolve(LISTEN, "::1")
    assert options.tracking_domain == ("flag", "global, command line")
    assert options.open_tracking_scheme.value == "https", "a scope of the file is more specific than a global flag"


PATHWAYS = """
[esmtp_listener]
pathway = "listener"
[esmtp_listener.peer."10.0.0.0/8"]
pathway = "outer"
[esmtp_listener.peer."10.1.0.0/16"]
[esmtp_listener.listen."127.0.0.1:2525"]
[esmtp_listener.listen."127.0.0.1:2526"]
pathway = "listen"
[esmtp_listener.listen."127.0.0.1:2526".peer."10.1.0.0/16"]
pathway = "inner"
[pathway.inner]
[pathway.listen]
tracking_domain = "listen"
[pathway.outer]
[pathway.listener]
[pathway.policy]
tracking_domain = "policy"
"""


@pytest.mark.parametrize(
    ("listener", "peer", "pathway"),
    [
        ("127.0.0.1:2526", "10.1.0.1", "inner"),
        ("127.0.0.1:2526", "10.2.0.1", "listen"),
        ("127.0.0.1:2525", "10.1.0.1", "outer"),
        ("127.0.0.1:2525", "192.0.2.1", "listener"),
        ("[::1]:9", "192.0.2.1", "listener"),
    ],
)
def test_the_pathway_is_the_one_that_the_most_specific_scope_names(
    tmp_path: Path, listener: str, peer: str, pathway: str
) -> None:
    assert scoped(tmp_path, PATHWAYS).resolve(listener, peer).pathway.value == pathway


def test_a_pathway_set_by_policy_wins_and_an_unknown_one_has_no_options(tmp_path: Path) -> None:
    options = scoped(tmp_path, PATHWAYS)
    assert options.resolve("127.0.0.1:2526", "10.2.0.1").tracking_domain.value == "listen"
    named = options.resolve("127.0.0.1:2526", "10.2.0.1", "policy")
    assert named.tracking_domain.value == "policy"
    assert named.pathway == ("policy", "context pathway")
    unknown = options.resolve("127.0.0.1:2526", "10.2.0.1", "nowhere")
    assert unknown.tracking_domain == ("localhost:8080", "default")
    assert unknown.pathway.value == "nowhere"


def test_results_are_shared_by_all_clients_of_the_same_scopes(tmp_path: Path) -> None:
    options = scoped(tmp_path, PATHWAYS)
    first = options.resolve("127.0.0.1:2525", "10.2.0.1")
    assert options.resolve("127.0.0.1:2525", "::ffff:10.3.0.1") is first
    assert options.resolve("127.0.0.1:02525", "10.3.0.1") is first
    assert options.resolve("127.0.0.1:2526", "10.2.0.1") is not first


def test_pathways_that_policy_invents_do_not_fill_the_memory(tmp_path: Path) -> None:
    options = scoped(tmp_path, PATHWAYS)
    for number in range(50):
        options.resolve(LISTEN, "10.2.0.1", f"invented-{number}")
    assert len(options._resolved) == 0


def test_a_client_without_an_ip_address_is_no_peer(tmp_path: Path) -> None:
    text = '[esmtp_listener.peer."0.0.0.0/0"]\nopen_tracking_enabled = true\n'
    options = scoped(tmp_path, text)
    assert options.resolve(LISTEN, "192.0.2.1").open_tracking_enabled.value is True
    assert options.resolve(LISTEN, "").open_tracking_enabled.value is False


def test_listeners_are_found_by_any_spelling(tmp_path: Path) -> None:
    options = scoped(tmp_path, '[esmtp_listener.listen."[::1]:25"]\n')
    assert options.listeners == ["[::1]:25"]
    assert options.find_listener("[::1]:025") == "[::1]:25"
    assert options.find_listener("[::2]:25") is None


# --- what a client's address alone decides


@pytest.mark.parametrize("first", range(6))
def test_the_most_specific_scope_says_who_is_trusted(tmp_path: Path, first: int) -> None:
    by_address = [scope for scope in SCOPES if scope[0].startswith("[esmtp_listener")]
    names = ["XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT", "XCLIENT", "XREMOTEIP"]
    tables = [f'{header}\nsmtp_extensions = ["{names[number]}"]' for number, (header, _) in enumerate(by_address)]
    resolved = scoped(tmp_path, "\n".join(tables[first:])).resolve_connection(LISTEN, "10.1.2.3")
    assert resolved.smtp_extensions == ((names[first],), f"{by_address[first][1]}, {tmp_path}/mailwake.toml:2")


def test_a_more_specific_scope_can_take_trust_away(tmp_path: Path) -> None:
    text = """
        [esmtp_listener.peer."10.0.0.0/8"]
        smtp_extensions = ["XCLIENT", "XSETCONTEXT"]
        [esmtp_listener.peer."10.9.0.0/16"]
        smtp_extensions = []
        """
    options = scoped(tmp_path, text)
    assert options.resolve_connection(LISTEN, "10.1.0.1").smtp_extensions.value == ("XCLIENT", "XSETCONTEXT")
    assert options.resolve_connection(LISTEN, "10.9.0.1").smtp_extensions.value == ()
    assert options.resolve_connection(LISTEN, "192.0.2.1").smtp_extensions == ((), "default")
    assert options.resolve_connection(LISTEN, "unknown").smtp_extensions.value == ()


def test_extensions_are_discarded_by_scope(tmp_path: Path) -> None:
    text = """
        [esmtp_listener]
        ehlo_discard = ["DSN", "CHUNKING"]
        [esmtp_listener.peer."10.0.0.0/8"]
        ehlo_discard = ["SMTPUTF8"]
        """
    options = scoped(tmp_path, text)
    assert options.resolve_connection(LISTEN, "10.1.0.1").ehlo_discard.value == ("SMTPUTF8",)
    assert options.resolve_connection(LISTEN, "192.0.2.1").ehlo_discard.value == ("DSN", "CHUNKING")
    assert dict(scoped(tmp_path, "").resolve_connection(LISTEN, "::1").items()) == {
        "smtp_extensions": ((), "default"),
        "ehlo_discard": ((), "default"),
    }


def test_what_may_be_discarded_is_what_there_is(tmp_path: Path) -> None:
    names = [each for each in Extension if each is not Extension.ENHANCEDSTATUSCODES]
    text = f"esmtp_listener.ehlo_discard = {[str(each) for each in names]}"
    assert scoped(tmp_path, text).resolve_connection(LISTEN, "::1").ehlo_discard.value == tuple(names)
    with pytest.raises(ConfigurationError, match="each item"):
        scoped(tmp_path, 'esmtp_listener.ehlo_discard = ["ENHANCEDSTATUSCODES"]')


@pytest.mark.parametrize("where", ["", "[pathway.news]", "[pathway_group.marketing]"])
def test_trust_is_given_to_addresses_only(tmp_path: Path, where: str) -> None:
    with pytest.raises(ConfigurationError, match="smtp_extensions: unknown setting; did you mean 'esmtp_listener"):
        scoped(tmp_path, f'{where}\nsmtp_extensions = ["XCLIENT"]')
