import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from mailwake.config.load import Configuration, ConfigurationError, load
from mailwake.config.networks import parse_network
from mailwake.config.scopes import ScopedOptions
from mailwake.config.tracker_settings import TrackerListen
from mailwake.errors import SettingError

HASH = "$argon2id$v=19$m=19456,t=2,p=1$M27jkiwYWGfKXopwAshLJQ$OwK0h8WuUFrVJpKNIbIeH/ipGmEetCpeD8fMiLX+kkk"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file `mailwake.toml` in a directory that the test is in, so that messages name it so."""
    monkeypatch.chdir(tmp_path)
    return Path("mailwake.toml")


def problems(file: Path, text: str, **overrides: str) -> tuple[str, ...]:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, overrides)
    return caught.value.problems


def test_nothing_given_is_a_whole_configuration() -> None:
    configuration = load(None, host_name="node7")
    settings = configuration.settings
    assert settings.data_dir == Path("mailwake-data")
    assert settings.node_name == settings.esmtp_listener.hostname == "node7"
    assert list(settings.esmtp_listener.listen) == ["127.0.0.1:2525"]
    assert settings.tracker.listen == {"127.0.0.1:8080": TrackerListen()}
    assert settings.esmtp_listener.max_message_size == 31_457_280
    assert settings.relay.next_hop is None
    assert (settings.max_metadata_len, settings.max_tags, settings.max_tags_per_recipient) == (200, 100, 10)
    assert configuration.source("workers") == "default"


def test_every_kind_of_value(write: Path) -> None:
    write.write_text(
        f"""
        data_dir = "/var/lib/mailwake"
        workers = 2
        tracking_link_expiry = "30d"
        [esmtp_listener]
        relay_networks = ["10.0.0.0/8", "::1"]
        max_message_size = "10MB"
        idle_timeout = 1.5
        bare_newlines = "convert"
        [esmtp_listener.listen."LOCALHOST:02525".peer."::ffff:10.0.0.0/104"]
        open_tracking_enabled = true
        [accounts."shop@example.com"]
        password = "{HASH}"
        [spool]
        retry_schedule = ["1m", 90]
        [keys]
        current = 3
        [[keys.secrets]]
        id = 3
        secret = "{KEY}"
        """
    )
    settings = load(write).settings
    assert settings.data_dir == Path("/var/lib/mailwake")
    assert settings.tracking_link_expiry == 2_592_000
    assert settings.esmtp_listener.relay_networks == (parse_network("10.0.0.0/8"), parse_network("::1/128"))
    assert settings.esmtp_listener.max_message_size == 10_000_000
    assert settings.esmtp_listener.idle_timeout == 1.5
    assert settings.esmtp_listener.listen["localhost:2525"].peer["10.0.0.0/8"].open_tracking_enabled is True
    assert settings.accounts["shop@example.com"].customer_id is None
    assert list(settings.spool.retry_schedule) == [60, 90]
    assert settings.keys.secrets[0].secret == bytes(range(64))


def test_an_unknown_name_is_an_error_with_the_nearest_known_one(write: Path) -> None:
    assert problems(write, "[esmtp_listener]\n\nmax_mesage_size = 1\n") == (
        "mailwake.toml:3: esmtp_listener.max_mesage_size: unknown setting; did you mean 'max_message_size'?",
    )


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("[trackers]", "'tracker'"),
        ("max_message_size = 1", "'esmtp_listener.max_message_size'"),
        ("max_mesage_size = 1", "'esmtp_listener.max_message_size'"),
        ("[tracker]\ntracking_domain = 'x'", "'tracking_domain'"),
        ('[esmtp_listener.listen."127.0.0.1:25"]\nopen_traking_enabled = true', "'open_tracking_enabled'"),
    ],
)
def test_suggestions(write: Path, text: str, suggested: str) -> None:
    (problem,) = problems(write, text)
    assert problem.endswith(f"unknown setting; did you mean {suggested}?")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workers = -1", "mailwake.toml:1: workers: -1 cannot be used; give a whole number from 0 to 1024"),
        ("workers = true", "mailwake.toml:1: workers: true cannot be used; give a whole number from 0 to 1024"),
        ("workers = 2.0", "mailwake.toml:1: workers: 2.0 cannot be used; give a whole number from 0 to 1024"),
        ("trace_header = 1", "mailwake.toml:1: trace_header: 1 cannot be used; give true or false"),
        ("relay = 5", "mailwake.toml:1: relay: 5 cannot be used here; it is a table: write [relay]"),
        ("[[relay]]", "mailwake.toml:1: relay: [{}] cannot be used here; it is a table: write [relay]"),
        ("pathway = 'x'", 'mailwake.toml:1: pathway: "x" cannot be used here; write a table [pathway.NAME]'),
        (
            "[keys]\nsecrets = 'x'",
            'mailwake.toml:2: keys.secrets: "x" cannot be used here; write tables [[keys.secrets]]',
        ),
        (
            "[relay]\ntls = 'always'",
            'mailwake.toml:2: relay.tls: "always" cannot be used; give "none", "may", "must" or "verify"',
        ),
        (
            "tracking_domain = 'http://t.example.com/'",
            'mailwake.toml:1: tracking_domain: "http://t.example.com/" cannot be used; give a host, or host and port, '
            'like "track.example.com" (no scheme, no path)',
        ),
        (
            '[esmtp_listener.listen."2525"]',
            "mailwake.toml:1: esmtp_listener.listen.2525: cannot be used as a name here; give HOST:PORT, like "
            '"127.0.0.1:2525" or "[::1]:2525", or unix: and an absolute path of at most 107 octets, like '
            '"unix:/run/mailwake/smtp.sock"',
        ),
        (
            '[esmtp_listener.peer."10.0.0.1/8"]',
            'mailwake.toml:1: esmtp_listener.peer."10.0.0.1/8": cannot be used as a name here; give a network like '
            '"10.0.0.0/8" (host bits zero), or one IP address',
        ),
        (
            '[esmtp_listener.listen]\n"a:1" = {}\n"A:01" = {}',
            'mailwake.toml:3: esmtp_listener.listen."A:01": stands there twice, as another spelling '
            'of "a:1"; remove one',
        ),
        (
            "[accounts.shop]\ncustomer_id = '1'",
            "mailwake.toml:1: accounts.shop: has neither password nor certificates; `mailwake account hash` makes a "
            "password",
        ),
    ],
)
def test_what_does_not_fit(write: Path, text: str, problem: str) -> None:
    assert problems(write, text) == (problem,)


@pytest.mark.parametrize(
    "text",
    [
        "[accounts.x]\npassword = 'geheim123'",
        "[accounts.x]\npassword = '$argon2id$geheim123'",
        "[[keys.secrets]]\nid = 1\nsecret = 'geheim123'",
    ],
)
def test_secrets_never_stand_in_an_error(write: Path, text: str) -> None:
    assert "geheim123" not in " ".join(problems(write, text))


def test_a_key_that_is_not_random_is_refused(write: Path) -> None:
    (problem,) = problems(write, f"[[keys.secrets]]\nid = 1\nsecret = '{'A' * 86}=='")
    assert problem.startswith("mailwake.toml:3: keys.secrets.0.secret: the value cannot be used; give 64 random octets")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[esmtp_listener]\npathway = 'news'",
            "mailwake.toml:2: esmtp_listener.pathway: there is no [pathway.news]; add it",
        ),
        ("[pathway.a]\ngroup = 'b'", "mailwake.toml:2: pathway.a.group: there is no [pathway_group.b]; add it"),
        (
            "[pathway.newsletters]\n[esmtp_listener.peer.'::1']\npathway = 'newsletter'",
            'mailwake.toml:3: esmtp_listener.peer."::1/128".pathway: there is no [pathway.newsletter]; did you mean '
            "'newsletters'?",
        ),
        ("[esmtp_listener]\ntls_key = 'k'", "mailwake.toml:2: esmtp_listener.tls_key: is set without tls_certificate"),
        ("[esmtp_listener]\nauth_requires_tls = 'yes'", "mailwake.toml:2: esmtp_listener.auth_requires_tls: is"),
        (
            "[esmtp_listener.listen.'127.0.0.1:25']\nproxy_protocol = 'required'",
            'mailwake.toml:2: esmtp_listener.listen."127.0.0.1:25".proxy_protocol: is "required", but',
        ),
        (
            "[esmtp_listener.listen.':465']\ntls = 'implicit'",
            'mailwake.toml:2: esmtp_listener.listen.":465".tls: is "implicit", but there is no TLS without',
        ),
        (
            "[esmtp_listener]\ntls_client_certificates = 'ask'\ntls_certificate = 'c'",
            'mailwake.toml:2: esmtp_listener.tls_client_certificates: is "ask", but tls_client_ca is not set; set it',
        ),
        (
            f"[accounts.a]\ncertificates = ['{'0' * 64}']",
            "mailwake.toml:2: accounts.a.certificates: is set, but no client is asked for one; set",
        ),
        (
            f"[accounts.a]\ncertificates = ['{'ab' * 32}']\n[accounts.b]\ncertificates = ['{'AB:' * 31}AB']\n"
            "[esmtp_listener]\ntls_client_certificates = 'ask'\ntls_certificate = 'c'\ntls_client_ca = 'd'",
            f"mailwake.toml:4: accounts.b.certificates: {'ab' * 32} is also that of a",
        ),
        (
            "[esmtp_listener]\nrelay_networks = ['::/0']",
            "mailwake.toml:2: esmtp_listener.relay_networks: ::/0 is everybody, which makes an open relay",
        ),
        (
            "[esmtp_listener.listen.'0.0.0.0:25']\nprotocol = 'lmtp'",
            'mailwake.toml:2: esmtp_listener.listen."0.0.0.0:25".protocol: is "lmtp", which must not be spoken',
        ),
        ("[relay]\nusername = 'u'", "mailwake.toml:2: relay.username: is set without a password"),
        ("[relay]\npassword = 'p'", "mailwake.toml:2: relay.password: is set without username"),
        ("[relay]\nnext_hop = ':25'", "mailwake.toml:2: relay.next_hop: has no host"),
        ("[relay]\nnext_hop = 'a:0'", "mailwake.toml:2: relay.next_hop: has port 0"),
        ("[keys]\ncurrent = 1", "mailwake.toml:2: keys.current: there is no key 1 in [[keys.secrets]]"),
        (
            f"[[keys.secrets]]\nid = 1\nsecret = '{KEY}'\n[[keys.secrets]]\nid = 1\nsecret = '{KEY}'",
            "mailwake.toml:5: keys.secrets.1.id: 1 is used twice",
        ),
    ],
)
def test_what_contradicts_itself(write: Path, text: str, problem: str) -> None:
    (found,) = problems(write, text)
    assert found.startswith(problem)


def test_all_problems_are_found_and_the_text_is_one_line(write: Path) -> None:
    write.write_text("workers = 'x'\nwrokers = 1\n[relay]\ntls = 1\n")
    with pytest.raises(
        SettingError, match=r"unknown setting.* \(and 2 more: `mailwake config check` lists them\)$"
    ) as caught:
        load(write)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(write: Path) -> None:
    with pytest.raises(SettingError, match=r"^mailwake.toml: cannot be read: No such file"):
        load(write)
    write.write_bytes(b"a = '\xff'")
    with pytest.raises(SettingError, match=r"^mailwake.toml: is not UTF-8 at octet 5"):
        load(write)
    write.write_text("a = = 1")
    with pytest.raises(SettingError, match=r"^mailwake.toml: not TOML: .*line 1"):
        load(write)
    write.write_text("a = " + "[" * 100_000)
    with pytest.raises(SettingError, match=r"^mailwake.toml: not TOML"):
        load(write)


def test_the_command_line_wins_and_is_named(write: Path) -> None:
    write.write_text('workers = 1\n[relay]\ntls = "may"\n[esmtp_listener.listen."[::1]:25"]\n')
    configuration = load(
        write,
        {
            "workers": "3",
            "relay.tls": "none",
            "trace_header": "off",
            "tracker.trusted_proxies": "10.0.0.0/8, ::1",
            "spool.retry_schedule": '["1m", "2m"]',
            'esmtp_listener.listen."[::1]:025".tracking_domain': "t.example.com",
        },
    )
    settings = configuration.settings
    assert (settings.workers, settings.relay.tls, settings.trace_header) == (3, "none", False)
    assert [str(network) for network in settings.tracker.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert list(settings.spool.retry_schedule) == [60, 120]
    assert settings.esmtp_listener.listen["[::1]:25"].tracking_domain == "t.example.com"
    assert configuration.source("workers") == "command line"
    assert configuration.source("relay", "tls") == "command line"
    assert configuration.source("esmtp_listener", "listen", "[::1]:25") == "mailwake.toml:4"
    assert configuration.source("esmtp_listener", "listen", "[::1]:25", "tracking_domain") == "command line"


def test_addresses_to_listen_on_from_the_command_line_keep_their_tables(write: Path) -> None:
    write.write_text('[esmtp_listener.listen."127.0.0.1:25"]\ntracking_domain = "a"\n[esmtp_listener.listen."b:25"]\n')
    listen = load(write, {"esmtp_listener.listen": "127.0.0.1:25,:2525"}).settings.esmtp_listener.listen
    assert list(listen) == ["127.0.0.1:25", ":2525"]
    assert listen["127.0.0.1:25"].tracking_domain == "a"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("open_traking_enabled", "1", "open_traking_enabled: unknown setting; did you mean 'open_tracking_enabled'?"),
        ("relay.tsl", "none", "relay.tsl: unknown setting; did you mean 'tls'?"),
        ("relay", "none", "relay: is a table; name one of the settings in it"),
        ("pathway.x", "none", "pathway.x: is a table; name one of the settings in it"),
        ("workers.x", "1", "workers.x: has no settings of its own; did you mean 'workers'?"),
        ("keys.secrets", "1", "keys.secrets: can be given in the configuration file only"),
        ("a b", "1", 'a b: is not the name of a setting; quote addresses in it: esmtp_listener.peer."::1"'),
        ("esmtp_listener.listen", " , ", "esmtp_listener.listen: needs at least one address; give HOST:PORT"),
        ("workers", "many", 'workers: "many" cannot be used; give a whole number from 0 to 1024'),
        ("open_tracking_enabled", "maybe", 'open_tracking_enabled: "maybe" cannot be used; give true or false'),
        ("tracker.listen", "", "tracker.listen: needs at least one address; give HOST:PORT"),
    ],
)
def test_mistakes_on_the_command_line_name_the_flag(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {name: value})
    assert caught.value.problems[0].startswith(f"--set: {problem}")


def test_a_flag_of_its_own_is_named() -> None:
    with pytest.raises(SettingError, match=r'^--next-hop: relay\.next_hop: "mail" cannot be used; give HOST:PORT'):
        load(None, {"relay.next_hop": "mail"}, flags={"relay.next_hop": "--next-hop"})


def test_a_configuration_goes_to_other_processes_and_does_not_change() -> None:
    configuration = load(None, {"workers": "2"}, host_name="n")
    copied: Configuration = pickle.loads(pickle.dumps(configuration))
    assert copied == configuration
    with pytest.raises(FrozenInstanceError):
        configuration.settings.workers = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "address", ["unix:run/x", "unix:", "unix:/", f"unix:/{'x' * 107}", "unix:/a\\u0000b", "unix://"]
)
def test_what_is_no_path_of_a_socket(write: Path, address: str) -> None:
    (problem,) = problems(write, f'[esmtp_listener.listen."{address}"]')
    assert problem.startswith("mailwake.toml:1: esmtp_listener.listen.")
    assert 'or unix: and an absolute path of at most 107 octets, like "unix:/run/mailwake/smtp.sock"' in problem


def test_a_unix_socket_is_a_listen_scope_like_any_other(write: Path) -> None:
    write.write_text("[esmtp_listener.listen.'unix:/run/A b.sock']\nsocket_mode = '600'\npathway = 'p'\n[pathway.p]")
    configuration = load(write, host_name="n")
    assert configuration.settings.esmtp_listener.listen["unix:/run/A b.sock"].socket_mode == "600"
    assert ScopedOptions(configuration).resolve("unix:/run/A b.sock", "").pathway.value == "p"
