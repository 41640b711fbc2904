from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwake.config.load import Configuration, load
from mailwake.config.momentum_files import read_momentum
from mailwake.config.momentum_import import MomentumImport, convert
from mailwake.config.scopes import ScopedOptions

GOLDEN = Path(__file__).parent.parent / "golden" / "momentum"


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def converted(text: str) -> MomentumImport:
    Path("e.conf").write_text(text)
    return convert(read_momentum(Path("e.conf")))


def toml(text: str) -> str:
    """The tables of the conversion, without its head."""
    return converted(text).toml.split("\n", 1)[1].strip()


def left(text: str) -> list[str]:
    return [f"{place.line}: {what}" for place, what in converted(text).report.left_out]


def loaded(result: MomentumImport) -> Configuration:
    file = Path("mailwake.toml")
    file.write_text(result.toml, encoding="utf-8")
    return load(file, host_name="node")


def test_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    result = convert(read_momentum(Path("ecelerity.conf")))
    assert result.toml == Path("mailwake.toml").read_text(encoding="utf-8")
    assert "\n".join(result.report.lines()) + "\n" == Path("report.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("momentum", "expected"),
    [
        ("Open_Tracking_Enabled = yes", "open_tracking_enabled = true  # e.conf:1"),
        ('click_tracking_enabled = "FALSE"', "click_tracking_enabled = false  # e.conf:1"),
        ("open_tracking_scheme = HTTPS", 'open_tracking_scheme = "https"  # e.conf:1'),
        ("tracking_link_expiry = 90061", 'tracking_link_expiry = "90061s"  # e.conf:1'),
        ("initial_open_enabled = 0", "initial_open_enabled = false  # e.conf:1"),
        ('tracking_domain = "t.example.com:81"', 'tracking_domain = "t.example.com:81"  # e.conf:1'),
        ("engagement_tracker { max_metadata_len = 1000 }", "max_metadata_len = 1000  # e.conf:1"),
        (
            "ESMTP_Listener { Listen :25 {} listen *:25 { open_tracking_enabled = 1 } }",
            '[esmtp_listener]  # e.conf:1\n\n[esmtp_listener.listen."0.0.0.0:25"]  # e.conf:1\n'
            "open_tracking_enabled = true  # e.conf:1",
        ),
        (
            'ESMTP_Listener { Listen "[0:0:0:0:0:0:0:1]:25" { Peer "::FFFF:10.0.0.0/104" { pathway = a.b } } }\n'
            "Pathway a.b {}",
            '[esmtp_listener]  # e.conf:1\n\n[esmtp_listener.listen."[::1]:25"]  # e.conf:1\n\n'
            '[esmtp_listener.listen."[::1]:25".peer."10.0.0.0/8"]  # e.conf:1\npathway = "a.b"  # e.conf:1\n\n'
            '[pathway."a.b"]  # e.conf:2',
        ),
        ("Pathway_Group g { }", "[pathway_group.g]  # e.conf:1"),
    ],
)
def test_what_is_converted(momentum: str, expected: str) -> None:
    assert toml(momentum) == expected
    loaded(converted(momentum))


PEER = "ESMTP_Listener { Peer mx.example.com { open_tracking_enabled = true } }"
GROUPS = "Pathway_Group a { Pathway p {} }\nPathway_Group b { Pathway p { open_tracking_enabled = true } }"


@pytest.mark.parametrize(
    ("momentum", "beginning", "advice"),
    [
        (
            "tracking_domain = http://x",
            '1: tracking_domain: "http://x" cannot be used',
            "give a host, or host and port",
        ),
        ("open_tracking_enabled = maybe", '1: open_tracking_enabled: "maybe" cannot be used', "give true or false"),
        ("open_tracking_enabled = ( true )", "1: open_tracking_enabled: ( true ) cannot be used", "give one value"),
        ("tracking_link_expiry = -1", '1: tracking_link_expiry: "-1" is no whole number', "set it by hand"),
        ("engagement_tracker { max_metadata_len = 9999 }", '1: max_metadata_len: "9999" cannot be used', "to 4KiB"),
        (
            "\nESMTP_Listener { Listen 25 {} }",
            '2: Listen "25": "25" is no HOST:PORT',
            "192.0.2.1:25 or [2001:db8::1]:25",
        ),
        (
            "ESMTP_Listener { Listen /tmp/x {} }",
            '1: Listen "/tmp/x": write [esmtp_listener.listen."unix:/tmp/x"]',
            "may relay",
        ),
        (
            "ESMTP_Listener { Enable = no Listen :25 {} }",
            '1: Listen ":25": it is switched off (e.conf:1)',
            "take it in",
        ),
        (PEER, '1: Peer "mx.example.com": "mx.example.com" is no IP address', "give one, like 10.0.0.0/8"),
        ("ESMTP_Listener { Pathway = ( a ) }", "1: Pathway: ( a ) cannot be a name", "give a name of 1 to 100"),
        ("ESMTP_Listener { Pathway = a }", '1: pathway "a": no such Pathway was found', "an empty one is made"),
        (GROUPS, '2: Pathway "p": it is in group "a" already', "can be in one only"),
        ("ESMTP_Listener { AuthPlainParameters [ uri = x ] }", "1: AuthPlainParameters: ", "`mailwake account hash`"),
        ("scriptlet s { script a { source = msys.b }\nscript c { source = /d.lua } }", "2: script ", "in [[policy]]"),
        (
            "ESMTP_Listener { Proxy_Protocol = true }",
            '1: Proxy_Protocol = "true": set proxy_protocol',
            "proxy_networks",
        ),
        (
            "ESMTP_Listener { SMTP_Extensions = ( PIPELINING XCLIENT XREMOTEIP ) }",
            "1: SMTP_Extensions = ( PIPELINING XCLIENT XREMOTEIP ): who has XCLIENT and XREMOTEIP can pretend",
            "set smtp_extensions in the peers that need it",
        ),
        ("sieve { }", "1: sieve: policy is Python or Lua here", "`mailwake policy new`"),
        ("auth_ds { }", "1: auth_ds: senders who authenticate are [accounts.NAME] here", "`mailwake account hash`"),
        ("Gateway = 10.0.0.1", '1: Gateway = "10.0.0.1": mailwake has next hops for all mail', "set relay.next_hop"),
        (
            "Binding b { Domain d { tracking_domain = x } }",
            '1: tracking_domain = "x" in Domain "d": ',
            "in one of these",
        ),
        ("msg_gen { open_tracking_enabled = true }", "1: open_tracking_enabled = ", "over HTTP only"),
    ],
)
def test_what_is_left_out_says_what_to_do(momentum: str, beginning: str, advice: str) -> None:
    (line,) = left(momentum)
    assert line.startswith(beginning)
    assert advice in line
    loaded(converted(momentum))


def test_what_has_nothing_to_do_with_tracking_is_counted() -> None:
    result = converted(
        'Domain a {} domain "b" {} Binding "c" { Domain "d" {} } x = 1 ESMTP_Listener { Listen :1 { y = 1 } }'
        "ESMTP_Listener { Proxy_Protocol = false SMTP_Extensions = ( PIPELINING ) }"
        "scriptlet s { script boot { source = msys.boot } }"
    )
    assert list(result.report.lines())[:6] == [
        "Left out, as it has nothing to do with tracking:",
        "  Binding: 1 stanza",
        "  Domain: 2 stanzas",
        "  scriptlet: 1 stanza",
        "  options at the top: x",
        "  options in esmtp_listener: Proxy_Protocol, SMTP_Extensions",
    ]


ONE_LIST = "mailwake has one list for all addresses; add to esmtp_listener.relay_networks what may send everywhere"
NEVER = "mailwake is never an open relay; name the networks that may send in esmtp_listener.relay_networks"


@pytest.mark.parametrize(
    ("momentum", "networks", "lines"),
    [
        ("relay_hosts = ( 10.0.0.1/8 ::1 )", ["10.0.0.0/8", "::1/128"], []),
        ('relay_hosts = "10.0.0.1 10.0.0.2"', ["10.0.0.1/32", "10.0.0.2/32"], []),
        ("relay_hosts = ( 10.0.0.1 ) ESMTP_Listener { relay_hosts = ( 10.0.0.2 ) }", ["10.0.0.2/32"], []),
        ("ESMTP_Listener { relay_hosts = () }", [], []),
        (
            "ESMTP_Listener { relay_hosts = ( 10.0.0.2 ) Listen :25 { relay_hosts = ( 10.0.0.3 ) } }",
            ["10.0.0.3/32"],
            [],
        ),
        (
            "relay_hosts = ( 10.0.0.1 ) ESMTP_Listener { Listen :25 { relay_hosts = ( 10.0.0.3 ) } Listen :26 { } }",
            ["10.0.0.1/32"],
            [f"1: relay_hosts = ( 10.0.0.3 ): {ONE_LIST}"],
        ),
        (
            "relay_hosts = ( ::/0 10.0.0.1 x )",
            ["10.0.0.1/32"],
            [
                "1: relay_hosts: ::/0: ::/0 would let everybody send without AUTH; name the networks that may",
                '1: relay_hosts: x: "x" is no IP address or network; give one, like 10.0.0.0/8',
            ],
        ),
        ("ESMTP_Listener { Peer 10.0.0.0/8 { Open_Relay = true } }", ["10.0.0.0/8"], []),
        ("ESMTP_Listener { Listen :25 { Peer 10.0.0.0/8 { Open_Relay = true } } }", ["10.0.0.0/8"], []),
        (
            "relay_hosts = 10.0.0.1 ESMTP_Listener { Listen :1 { Peer 10.0.0.2 { open_relay = 1 } } Listen :2 {} }",
            ["10.0.0.1/32"],
            [f"1: open_relay in Peer 10.0.0.2/32: {ONE_LIST}"],
        ),
        (
            "relay_hosts = ( 10.0.0.1 ) ESMTP_Listener { open_relay = true Peer ::/0 { open_relay = true } }",
            ["10.0.0.1/32"],
            [f'1: open_relay = "true": {NEVER}'] * 2,
        ),
        ("relay_hosts = ( 10.0.0.1 ) ESMTP_Listener { open_relay = false }", ["10.0.0.1/32"], []),
        (
            "relay_hosts = 10.0.0.1 ESMTP_Listener { Peer 10.0.0.1 { open_relay = false } }",
            ["10.0.0.1/32"],
            ['1: open_relay = "false": relay_networks knows no exceptions; leave the network out there'],
        ),
        (
            "relay_hosts = 10.0.0.1 Pathway p { relay_hosts = 10.0.0.2 }",
            ["10.0.0.1/32"],
            [f'1: relay_hosts = "10.0.0.2": {ONE_LIST}'],
        ),
    ],
)
def test_who_may_send_without_auth(momentum: str, networks: list[str], lines: list[str]) -> None:
    result = converted(momentum)
    assert [str(each) for each in loaded(result).settings.esmtp_listener.relay_networks] == networks
    assert left(momentum) == lines


@pytest.mark.parametrize(
    ("momentum", "pair", "left_out"),
    [
        ("ESMTP_Listener { tls_certificate = a tls_key = b }", ("a", "b"), 0),
        ("ESMTP_Listener { Listen :1 { TLS_Certificate = file:///a TLS_Key = b } Listen :2 {} }", ("/a", "b"), 0),
        ("ESMTP_Listener { tls_certificate = a Listen :1 { tls_certificate = b tls_key = c } }", ("b", "c"), 1),
        ("ESMTP_Listener { Listen :1 { tls_certificate = a } Listen :2 { tls_certificate = b } }", ("a", None), 1),
        ("ESMTP_Listener { Listen :1 { tls_certificate = a } Listen :2 { tls_certificate = a } }", ("a", None), 0),
        ("tls_certificate = a tls_key = b ESMTP_Listener { Listen :1 { } }", (None, None), 2),
        ("ESMTP_Listener { tls_key = b Peer 10.0.0.1 { tls_certificate = a } }", (None, None), 2),
        ("ESMTP_Listener { tls_certificate = ( ) tls_key = b }", (None, None), 1),
    ],
)
def test_the_certificate(momentum: str, pair: tuple[str | None, str | None], left_out: int) -> None:
    listener = loaded(converted(momentum)).settings.esmtp_listener
    found = tuple(None if path is None else str(path) for path in (listener.tls_certificate, listener.tls_key))
    assert found == pair
    assert len(left(momentum)) == left_out


def test_variables_of_a_connection_that_tracking_reads_are_named() -> None:
    found = left("ESMTP_Listener { Peer 10.0.0.1 { context = [ smtpapi_open_tracking = 1 mine = 2 ] } Listen :1 {} }")
    assert found == [
        '1: context smtpapi_open_tracking = "1": variables of a connection are set by policy here: set it there'
    ]


def test_the_order_among_scopes_is_kept() -> None:
    """A pathway inside a group comes before one of its name at the top, and that before the group (pathway, manual)."""
    result = converted("""
        tracking_domain = global.example
        open_tracking_scheme = https
        ESMTP_Listener {
          Listen :25 { pathway = p Peer 10.0.0.0/8 { tracking_domain = peer.example } }
          Peer 10.1.0.0/16 { tracking_domain = wide.example tracking_link_expiry = 60 }
        }
        Pathway p { click_tracking_enabled = false tracking_link_expiry = 3600 }
        Pathway_Group g { click_tracking_scheme = https Pathway p { click_tracking_enabled = true } }
    """)
    scoped = ScopedOptions(loaded(result))
    inside, outside = scoped.resolve("0.0.0.0:25", "10.1.2.3"), scoped.resolve("0.0.0.0:25", "192.0.2.1")
    assert (inside.tracking_domain.value, outside.tracking_domain.value) == ("peer.example", "global.example")
    assert (inside.tracking_link_expiry.value, outside.tracking_link_expiry.value) == (60, 3600)
    assert inside.click_tracking_enabled.value is outside.click_tracking_enabled.value is True
    assert (inside.click_tracking_scheme.value, inside.open_tracking_scheme.value) == ("https", "https")


def test_notes_say_what_is_missing_before_it_can_serve() -> None:
    text = "\n".join(converted("smtpapi {} ESMTP_Listener { Listen :25 {} }").report.notes)
    assert "relay.next_hop" in text
    assert "tracking_domain" in text
    assert "smtpapi" not in text
    assert "no address" not in text
    assert "no smtpapi stanza" in "\n".join(converted("x = 1").report.notes)


_WORDS = st.sampled_from(
    ["true", "false", "https", "10.0.0.0/8", "10.0.0.1", "::1", ":25", "[*]:25", "*:025", "a", "b", "", "0", "9" * 30,
     "t.example.com:81", "é", '"', "\x7f", "\u2028", "http://x", "/tmp/x", "2001:db8::/32", "0.0.0.0/0", "x y"]
)  # fmt: skip
_OPTION_NAMES = st.sampled_from(
    ["open_tracking_enabled", "Click_Tracking_Enabled", "tracking_domain", "tracking_link_expiry", "pathway", "enable",
     "relay_hosts", "open_relay", "tls_certificate", "tls_key", "context", "max_metadata_len", "group"]
)  # fmt: skip
_STANZA_NAMES = st.sampled_from(
    [
        "ESMTP_Listener",
        "Listen",
        "Peer",
        "Pathway",
        "Pathway_Group",
        "engagement_tracker",
        "msg_gen",
        "smtpapi",
        "sieve",
    ]
)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


_VALUES = _WORDS.map(_quoted) | st.lists(_WORDS.map(_quoted), max_size=3).map(lambda words: f"( {' '.join(words)} )")
_OPTIONS = st.tuples(_OPTION_NAMES, _VALUES).map(" = ".join)
_TEXTS = st.recursive(
    _OPTIONS,
    lambda inner: st.tuples(_STANZA_NAMES, st.none() | _WORDS, st.lists(inner, max_size=4)).map(
        lambda stanza: f"{stanza[0]} {'' if stanza[1] is None else _quoted(stanza[1])} {{ {' '.join(stanza[2])} }}"
    ),
    max_leaves=10,
)


@settings(max_examples=300)
@given(st.lists(_TEXTS, max_size=5).map("\n".join))
def test_whatever_is_converted_loads(text: str) -> None:
    with TemporaryDirectory() as directory:
        source, target = Path(directory) / "e.conf", Path(directory) / "mailwake.toml"
        source.write_text(text, encoding="utf-8")
        result = convert(read_momentum(source))
        target.write_text(result.toml, encoding="utf-8")
        load(target, host_name="node")
        assert all(line.isprintable() for line in result.report.lines())
