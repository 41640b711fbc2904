import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailwake.cli.config_commands import app
from mailwake.errors import SettingError

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
        "  open_tracking_scheme    http               default\n"
        "  click_tracking_scheme   https              global, command line\n"
        "  tracking_domain         track.example.com  global, mailwake.toml:1\n"
        "  tracking_link_expiry    30d                pathway news, mailwake.toml:11\n"
        "  pathway                 news               peer 10.0.0.0/8 in listen 127.0.0.1:2525, mailwake.toml:8\n"
    )


def test_show_as_json(file: str) -> None:
    shown = json.loads(run("show", "--config", file, "--listener", "127.0.0.1:02525", "--pathway", "news", "--json"))
    assert shown["listener"] == "127.0.0.1:2525"
    assert shown["peer"] == "127.0.0.1"
    assert shown["options"]["tracking_link_expiry"] == {"value": 2592000, "source": "pathway news, mailwake.toml:11"}
    assert shown["options"]["pathway"] == {"value": "news", "source": "context pathway"}


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
