import json
from pathlib import Path

import pytest
from tests.listener.certificates import make_certificate
from typer.testing import CliRunner, Result

from mailwake.cli.config_commands import app
from mailwake.errors import MailwakeError, SettingError

TEXT = """\
tracking_domain = "track.example.com"

[esmtp_listener.listen."127.0.0.1:2525"]
open_tracking_enabled = true

[esmtp_listener.listen."127.0.0.1:2525".peer."10.0.0.0/8"]
open_tracking_enabled = false
pathway = "news"

[pathway.news]
tracking_link_expiry = "30d"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("mailwake.toml").write_text(TEXT)
    return "mailwake.toml"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_says_which_value_applies_and_which_scope_it_came_from(file: str) -> None:
    shown = run("show", "--config", file, "--peer", "10.9.9.9", "--set", "click_tracking_scheme=https")
    assert shown == (
        "Mail from 10.9.9.9 to 127.0.0.1:2525:\n"
        "\n"
        "  open_tracking_enabled   false              peer 10.0.0.0/8 in listen 127.0.0.1:2525, mailwake.toml:7\n"
        "  click_tracking_enabled  false              default\n"
        "  initial_open_enabled    true               default\n"
        "  honeypot_link           false              default\n"
        "  open_tracking_scheme    http               default\n"
        "  click_tracking_scheme   https              global, command line\n"
        "  tracking_domain         track.example.com  global, mailwake.toml:1\n"
        "  tracking_link_expiry    30d                pathway news, mailwake.toml:11\n"
        "  list_unsubscribe        false              default\n"
        "  pathway                 news               peer 10.0.0.0/8 in listen 127.0.0.1:2525, mailwake.toml:8\n"
        "  smtp_extensions         []                 default\n"
        "  ehlo_discard            []                 default\n"
    )


def test_show_as_json(file: str) -> None:
    shown = json.loads(run("show", "--config", file, "--listener", "127.0.0.1:02525", "--pathway", "news", "--json"))
    assert shown["listener"] == "127.0.0.1:2525"
    assert shown["peer"] == "127.0.0.1"
    assert shown["options"]["tracking_link_expiry"] == {"value": 2592000, "source": "pathway news, mailwake.toml:11"}
    assert shown["options"]["pathway"] == {"value": "news", "source": "context pathway"}


def test_show_says_who_is_trusted_and_why(file: str) -> None:
    trusted = '["XCLIENT","XSETCONTEXT"]'
    shown = run("show", "--config", file, "--set", f"esmtp_listener.smtp_extensions={trusted}")
    assert '  smtp_extensions         ["XCLIENT", "XSETCONTEXT"]  esmtp_listener, command line\n' in shown


def test_show_without_a_file() -> None:
    assert "tracking_domain         localhost:8080  default\n" in run("show")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["--listener", "127.0.0.1:252"],
            "--listener: nothing listens on 127.0.0.1:252; did you mean '127.0.0.1:2525'?",
        ),
        (["--peer", "localhost"], "--peer: 'localhost' is no IP address"),
        (["--pathway", "new"], "--pathway: there is no [pathway.new]; did you mean 'news'?"),
        (["--set", "tracking_domain"], "--set: 'tracking_domain' is no NAME=VALUE"),
        (["--set", "traking_domain=x"], "--set: traking_domain: unknown setting; did you mean 'tracking_domain'?"),
    ],
)
def test_mistakes(file: str, arguments: list[str], problem: str) -> None:
    with pytest.raises(SettingError) as caught:
        run("show", "--config", file, *arguments)
    assert str(caught.value).startswith(problem)


def test_check_lists_every_problem(file: str) -> None:
    assert run("check", file) == "mailwake.toml: no problems found\n"
    Path(file).write_text("wrokers = 1\nlog_level = 'loud'\n")
    result = CliRunner().invoke(app, ["check", file])
    assert result.exit_code == 1
    assert result.stderr == (
        "mailwake.toml:1: wrokers: unknown setting; did you mean 'workers'?\n"
        'mailwake.toml:2: log_level: "loud" cannot be used; give "debug", "info", "warning" or "error"\n'
    )


def test_example_and_reference_are_printed() -> None:
    assert run("example") == (Path(__file__).parent.parent / "golden" / "config_example.toml").read_text(
        encoding="utf-8"
    )
    assert run("reference").startswith("# Settings\n")


GOLDEN = Path(__file__).parent.parent / "golden" / "momentum"


def import_(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", *arguments], catch_exceptions=False, env={"EC_CONF_SEARCH_PATH": ""})


def test_import_prints_the_configuration_and_reports_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    result = import_("ecelerity.conf")
    assert result.exit_code == 0
    assert result.stdout == (GOLDEN / "mailwake.toml").read_text(encoding="utf-8")
    assert result.stderr == (GOLDEN / "report.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("listener", "peer", "pathway", "expected"),
    [
        # listen :25 has nothing of its own; its peer names the pathway in the group; the listener has the rest
        ("0.0.0.0:25", "10.1.9.9", None, {
            "open_tracking_enabled": False, "click_tracking_enabled": True, "open_tracking_scheme": "http",
            "click_tracking_scheme": "https", "tracking_domain": "news.example.com:8443",
            "tracking_link_expiry": 2592000, "pathway": "news",
        }),
        # the listener's peer, for clients that the listen scope's does not hold
        ("0.0.0.0:25", "10.2.0.1", None, {
            "open_tracking_enabled": True, "click_tracking_enabled": False, "click_tracking_scheme": "http",
            "tracking_domain": "t.example.com",
        }),
        ("[::]:25", "2001:db8::1", None, {"open_tracking_enabled": True, "click_tracking_enabled": False}),
        ("127.0.0.1:2525", "127.0.0.1", None, {"open_tracking_scheme": "https", "pathway": "orders"}),
        ("127.0.0.1:2525", "127.0.0.1", "news", {"open_tracking_enabled": False, "click_tracking_scheme": "https"}),
    ],
)  # fmt: skip
def test_what_applies_after_an_import_is_what_applied_in_momentum(
    tmp_path: Path, listener: str, peer: str, pathway: str | None, expected: dict[str, object]
) -> None:
    output = str(tmp_path / "mailwake.toml")
    assert import_(str(GOLDEN / "ecelerity.conf"), "--output", output).exit_code == 0
    policy = ["--pathway", pathway] if pathway is not None else []
    shown = json.loads(run("show", "--config", output, "--listener", listener, "--peer", peer, *policy, "--json"))
    assert {name: shown["options"][name]["value"] for name in expected} == expected


def test_import_writes_a_file_and_overwrites_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ecelerity.conf").write_text('include "more.conf" open_tracking_enabled = true')
    Path("more.conf").write_text("click_tracking_enabled = true")
    result = import_("ecelerity.conf", "--output", "mailwake.toml")
    assert result.stdout.startswith("mailwake.toml: written; ")
    assert run("check", "mailwake.toml") == "mailwake.toml: no problems found\n"
    with pytest.raises(SettingError, match=r"^mailwake\.toml: is there already; name another file, or overwrite it"):
        import_("ecelerity.conf", "--output", "mailwake.toml")
    Path("ecelerity.conf").write_text('include "more.conf" open_tracking_enabled = false')
    import_("ecelerity.conf", "--output", "mailwake.toml", "--force")
    assert "open_tracking_enabled = false" in Path("mailwake.toml").read_text()
    with pytest.raises(SettingError, match=r"more\.conf: is one of the files that are converted"):
        import_("ecelerity.conf", "--output", "more.conf", "--force")
    with pytest.raises(SettingError, match=r"x/y\.toml: cannot be written: No such file or directory"):
        import_("ecelerity.conf", "--output", "x/y.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ESMTP_Listener {\n", "e.conf:2: expected } for the { of ESMTP_Listener of line 1, but the file ends"),
        ('include "no.conf"', "e.conf:1: includes 'no.conf', which is not there; bring the file, or pass over it with"),
        ("include e.conf", "e.conf:1: includes e.conf, from which it is included itself"),
        ("Domain a { x = 1 }", "e.conf: nothing in it is for mailwake: no listener, no pathway, no tracking option"),
        ("a {" * 1000, "e.conf:1: more than 50 brackets are open inside each other"),
    ],
)
def test_import_of_what_cannot_be_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.conf").write_text(text)
    with pytest.raises(SettingError) as caught:
        import_("e.conf")
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_import_looks_in_the_search_path_and_passes_over_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.conf").write_text('include "global.conf"\ninclude "no.conf"')
    Path("global").mkdir()
    Path("global/global.conf").write_text("open_tracking_enabled = true")
    result = import_("e.conf", "--search-path", "nowhere:global", "--skip-missing")
    assert "open_tracking_enabled = true  # global/global.conf:1\n" in result.stdout
    assert '  e.conf:2: include "no.conf": it is not there and was passed over\n' in result.stderr


def check(text: str) -> Result:
    Path("mailwake.toml").write_text(text)
    return CliRunner().invoke(app, ["check", "mailwake.toml"])


def test_check_reads_the_certificates(file: str, tmp_path: Path) -> None:
    make_certificate("mx.example").write(tmp_path)
    make_certificate("mx.example").write(tmp_path, "other-")
    listener = '[esmtp_listener]\ntls_certificate = "certificate.pem"\ntls_key = '
    assert check(f'{listener}"key.pem"').stdout == "mailwake.toml: no problems found\n"
    for key, said in (("other-key.pem", "is not that of the first certificate"), ("none.pem", "cannot read none.pem")):
        result = check(f'{listener}"{key}"')
        assert result.exit_code == 1
        assert isinstance(result.exception, MailwakeError)
        assert said in str(result.exception)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[relay]\nusername = "u"\npassword_file = "none"', "relay.password_file: cannot read a password from "),
        (
            '[relay]\ntls_ca_file = "none.pem"',
            "tls_ca_file: cannot use none.pem: No such file or directory; name a PEM",
        ),
        ('[[policy]]\nfile = "none.py"', "none.py: there is no such policy file; name one that exists"),
        (
            '[esmtp_listener.listen."unix:/run/s"]\nsocket_group = "no such group"',
            "socket_group: there is no group 'no such group' on this machine; make it, or name another",
        ),
        (
            '[tracker.listen."127.0.0.1:8443"]\ntls = "on"\n'
            '[tracking_domains."links.example.com"]\ntls_certificate = "none.pem"',
            'tracking_domains."links.example.com".tls_certificate: cannot read none.pem',
        ),
        ('[tracker]\nnot_found_page = "none.html"', "tracker.not_found_page: "),
    ],
)
def test_check_tries_every_file_and_group_that_the_start_needs(file: str, text: str, said: str) -> None:
    result = check(text.replace("[relay]", '[relay]\nnext_hop = "hop.example:25"'))
    assert result.exit_code == 1
    assert isinstance(result.exception, MailwakeError)
    assert said in str(result.exception)


def test_check_warns_of_what_is_hardly_meant(file: str, tmp_path: Path) -> None:
    made = make_certificate("mx.example", days=(-9, -2))
    made.write(tmp_path)
    result = check('[esmtp_listener]\ntls_certificate = "certificate.pem"\ntls_key = "key.pem"')
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: TLS: the certificate in certificate.pem has expired, on "
        f"{made.certificate.not_valid_after_utc:%Y-%m-%d at %H:%M} UTC; renew it\n"
    )
    result = check('[esmtp_listener]\nrelay_networks = ["10.0.0.0/8", "128.0.0.0/1"]')
    assert (result.exit_code, result.stderr.count("warning: ")) == (0, 1)
    assert "128.0.0.0/1 is very wide" in result.stderr
    result = check("".join(f'[esmtp_listener.listen."{each}"]\nsocket_mode = "600"\n' for each in (":25", "unix:/x")))
    assert (result.exit_code, result.stderr.count("warning: ")) == (0, 1)
    assert '":25".socket_mode: is for Unix sockets only' in result.stderr
    stored = "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$tHT7GLqp0uYbiB009MeIHnMuEMZ86kx0jgBpq5vxo84"
    account = f'[accounts.a]\npassword = "{stored}"\n'
    addresses = ":25", "127.0.0.1:25", "[::1]:25", "localhost:25", "unix:/run/smtp.sock"
    result = check(account + "".join(f'[esmtp_listener.listen."{each}"]\n' for each in addresses))
    assert (result.exit_code, result.stderr.count("warning: ")) == (0, 1)
    assert "accounts can log in at :25 from this machine only" in result.stderr


def test_check_refuses_everybody_as_relay_network(file: str) -> None:
    for network in ("0.0.0.0/0", "::/0"):
        result = check(f'[esmtp_listener]\nrelay_networks = ["{network}"]')
        assert result.exit_code == 1
        assert f"mailwake.toml:2: esmtp_listener.relay_networks: {network} is everybody" in result.stderr


def test_check_warns_of_an_api_that_others_reach_in_clear(file: str) -> None:
    result = check('[api]\nlisten = ["127.0.0.1:8090", "[::1]:8090", "0.0.0.0:8090"]')
    assert (result.exit_code, result.stderr.count("warning: ")) == (0, 1)
    assert "api.listen: 0.0.0.0:8090 is in clear" in result.stderr
