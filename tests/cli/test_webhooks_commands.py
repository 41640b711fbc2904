"""`mailwake webhooks` on the files of a node, as it is used beside the service and without it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benchmarks.webhook_receiver import running_receiver
from tests.feed.conftest import payloads
from typer.testing import CliRunner

from mailwake.cli.webhooks_commands import app
from mailwake.errors import MailwakeError, SettingError
from mailwake.feed.contract import BEGINNING, Position
from mailwake.feed.reader import FeedReader
from mailwake.feed.writer import FeedWriter
from mailwake.service.data_directory import DataDirectory
from mailwake.webhooks.batch import Batch
from mailwake.webhooks.batch_table import BatchTable
from mailwake.webhooks.database import WebhooksDatabase
from mailwake.webhooks.posting import Answer
from mailwake.webhooks.subscription_table import SubscriptionTable
from mailwake.webhooks.webhook import EventFilter, Webhook

NOW = 1_790_000_000.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOWHERE = "http://127.0.0.1:1025/"


@pytest.fixture
def node(tmp_path: Path) -> list[str]:
    """The options that name a node with two webhooks, of which one has delivered a batch and given another one up."""
    data = DataDirectory(tmp_path / "data")
    data.path.mkdir()
    with closing(FeedWriter(data.feed)) as writer:
        writer.append(payloads(range(6)), {})
    positions = [each.position for each in FeedReader(data.feed).read(BEGINNING).events]
    with closing(WebhooksDatabase(data.webhooks)) as database:
        subscriptions, batches = SubscriptionTable(database), BatchTable(database)
        for name, active in (("crm", True), ("other", False)):
            webhook = Webhook(
                id=f"id-{name}",
                name=name,
                target="http://127.0.0.1:1025/",
                events=("click",),
                active=active,
                signing_secret=SECRET,
            )
            subscriptions.add(webhook, BEGINNING, NOW)
        _end(batches, subscriptions, Batch("one", BEGINNING, positions[2], EventFilter(("click",)), 3, NOW), 200)
        _end(batches, subscriptions, Batch("two", positions[2], positions[5], EventFilter(("click",)), 3, NOW), 500)
    config = tmp_path / "m.toml"
    config.write_text('[webhook_delivery]\nallow_http = true\nallow_private_targets = ["127.0.0.0/8"]\n')
    return ["--config", str(config), "--data", str(data.path)]


def _end(batches: BatchTable, subscriptions: SubscriptionTable, batch: Batch, status: int) -> None:
    assert batches.form(subscriptions.get("id-crm"), batch)
    end = batches.delivered if status == 200 else batches.give_up
    assert end("id-crm", batch, Answer(status, seconds=0.25), NOW + 60)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*arguments, "--json").splitlines()]


def place(node: list[str], webhook_id: str = "id-crm") -> Position:
    with closing(WebhooksDatabase(DataDirectory(Path(node[-1])).webhooks)) as database:
        return SubscriptionTable(database).get(webhook_id).position


def test_list(node: list[str]) -> None:
    shown = run("list", *node)
    assert [line.split()[0] for line in shown.splitlines()] == ["name", "crm", "other"]
    assert " failing " in shown
    assert " off " in shown
    assert [each["name"] for each in rows("list", *node)] == ["crm", "other"]


def test_show_has_the_secret_only_when_it_is_asked_for(node: list[str]) -> None:
    assert SECRET not in run("show", "crm", *node)
    assert json.loads(run("show", "id-crm", "--secret", *node))["signing_secret"] == SECRET


def test_status_and_dead_letters(node: list[str]) -> None:
    found = rows("status", "crm", *node)
    assert [(each["batch_id"], each["state"], each["response_code"], each["latency"]) for each in found] == [
        ("two", "dead", 500, 250),
        ("one", "delivered", 200, 250),
    ]
    assert len(rows("status", "crm", "--limit", "1", *node)) == 1
    (dead,) = rows("dead-letters", "crm", *node)
    assert (dead["batch_id"], dead["events_available"]) == ("two", 3)
    assert "two" in run("dead-letters", "crm", *node)


def test_replay_of_dead_letters(node: list[str]) -> None:
    with pytest.raises(MailwakeError, match="no dead letter one"):
        run("replay", "crm", "one", *node)
    assert run("replay", "crm", "two", *node) == "1 dead letter is sent again\n"
    assert rows("dead-letters", "crm", *node)[0]["state"] == "waiting"
    assert run("replay", "crm", *node) == "0 dead letters are sent again\n"


def test_replay_from_a_time(node: list[str]) -> None:
    assert (
        run("replay", "crm", "--from", "2026-09-01", *node) == "everything since 2026-09-01T00:00:00Z is sent again\n"
    )
    assert place(node) == Position(1, 0)
    assert run("replay", "crm", "--from", "1h", *node).startswith("everything since 20")
    assert place(node) == Position(1, 0)  # it has not got what came before that: a replay passes over nothing
    assert run("replay", "crm", "--from", "0s", *node).startswith("all that waited is passed over")
    assert place(node) > Position(1, 0)
    for arguments, said in (
        (["--from", "soon"], "--from: 'soon' cannot be used; give a time like"),
        (["two", "--from", "2h"], "batches and --from contradict each other"),
    ):
        with pytest.raises(SettingError, match=said):
            run("replay", "crm", *arguments, *node)


def test_drop(node: list[str]) -> None:
    for arguments in ([], ["two", "--all"]):
        with pytest.raises(SettingError, match="name the dead letters to forget, or give --all"):
            run("drop", "crm", *arguments, *node)
    assert run("drop", "crm", "--all", *node) == "1 dead letter is forgotten\n"
    assert rows("dead-letters", "crm", *node) == []


def test_test_asks_the_target(node: list[str]) -> None:
    with pytest.raises(MailwakeError, match=r"POST to webhook target URL failed: .*cannot be connected to"):
        run("test", "crm", *node)
    with running_receiver() as (port, received):
        with closing(WebhooksDatabase(DataDirectory(Path(node[-1])).webhooks)) as database:
            table = SubscriptionTable(database)
            webhook = table.get("id-crm").webhook
            table.replace(msgspec.structs.replace(webhook, target=f"http://127.0.0.1:{port}/events"))
        assert run("test", "crm", *node).startswith("200\n")
        assert len(received.batches) == 1


def test_rotate_and_delete(node: list[str]) -> None:
    secret = run("rotate-secret", "crm", *node).strip()
    assert secret.startswith("whsec_")
    assert json.loads(run("show", "crm", "--secret", *node))["signing_secret"] == secret != SECRET
    run("delete", "crm", *node)
    with pytest.raises(MailwakeError, match="there is no webhook crm; there are: other"):
        run("show", "crm", *node)


def test_a_name_that_two_webhooks_have(node: list[str]) -> None:
    with closing(WebhooksDatabase(DataDirectory(Path(node[-1])).webhooks)) as database:
        SubscriptionTable(database).add(
            Webhook(id="id-2", name="crm", target="https://x/", events=("click",)), BEGINNING, NOW
        )
    with pytest.raises(MailwakeError, match="2 webhooks are named crm; give the id of one of them: id-2, id-crm"):
        run("show", "crm", *node)


def test_a_directory_without_webhooks(tmp_path: Path) -> None:
    with pytest.raises(MailwakeError, match="has no webhooks yet"):
        run("list", "--data", str(tmp_path))
