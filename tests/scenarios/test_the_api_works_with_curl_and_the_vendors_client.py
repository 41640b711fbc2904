"""The API of a real service: a key is made beside it, a webhook by curl, and SparkPost's own clients find their way."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.conftest import PATIENCE, Mailwake, wait_until

pytestmark = pytest.mark.scenario

CONFIGURATION = """
[webhook_delivery]
allow_http = true
allow_private_targets = ["127.0.0.0/8"]
"""

MESSAGE = (
    b"From: shop@shop.example\r\nSubject: spring\r\nContent-Type: text/plain\r\n"
    b'X-MSYS-API: {"campaign_id": "spring"}\r\n\r\nhello\r\n'
)

VENDORS_CLIENT = """
const [, , origin, key, target] = process.argv;
const counted = async (client) => {
  const metrics = 'metrics/deliverability';
  const qs = { from: '2024-01-01T00:00', metrics: 'count_injected,count_accepted,count_unique_confirmed_opened' };
  const series = await client.get({ uri: `${metrics}/time-series`, qs: { ...qs, precision: 'month' } });
  return {
    all: (await client.get({ uri: metrics, qs })).results,
    campaigns: (await client.get({ uri: `${metrics}/campaign`, qs: { ...qs, limit: 5 } })).results,
    links: (await client.get({ uri: `${metrics}/link-name`, qs: { ...qs, metrics: 'count_clicked' } })).results,
    last: series.results.pop().count_injected,
    wrong: await client.get({ uri: metrics, qs: { ...qs, metrics: 'x' } }).catch((error) => error.statusCode),
  };
};
const client = new (require('sparkpost'))(key, { origin });
(async () => {
  const made = await client.webhooks.create({ name: 'node', target, events: ['injection'], auth_token: 't' });
  const id = made.results.id;
  const seen = {
    listed: (await client.webhooks.list({ timezone: 'America/New_York' })).results.map((each) => each.name),
    got: (await client.webhooks.get(id)).results.target,
    updated: (await client.webhooks.update(id, { name: 'renamed' })).results.id === id,
    validated: (await client.webhooks.validate(id, { message: { msys: {} } })).results.response.status,
    status: (await client.webhooks.getBatchStatus(id, { limit: 10 })).results.length,
    groups: Object.keys((await client.webhooks.getDocumentation()).results),
    samples: (await client.webhooks.getSamples({ events: 'bounce,click' })).results.length,
    found: (await client.events.searchMessage({ campaigns: ['spring'], events: ['injection'], per_page: 10 })).results,
    counted: await counted(client),
  };
  await client.webhooks.delete(id);
  seen.gone = await client.webhooks.get(id).catch((error) => [error.statusCode, error.errors]);
  seen.wrong = await client.webhooks.create({ name: 'x' }).catch((error) => [error.statusCode, error.errors]);
  console.log(JSON.stringify(seen));
})().catch((error) => {
  console.error(error.statusCode, JSON.stringify(error.errors), error.message);
  process.exit(1);
});
"""


class Receiver:
    """A webhook's target that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                batch = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.events += [fields for each in batch for fields in each["msys"].values()]
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def service(start_mailwake: Callable[..., Mailwake], tmp_path: Path) -> Mailwake:
    (tmp_path / "mailwake.toml").write_text(CONFIGURATION)
    return start_mailwake("--demo", "--config", str(tmp_path / "mailwake.toml"))


def origin(service: Mailwake) -> str:
    found = re.search(r"API on (http://[\d.:]+)/api/", "".join(service.output))
    assert found, service.output
    return found[1]


def apikey(service: Mailwake, *arguments: str) -> str:
    command = [sys.executable, "-m", "mailwake", "apikey", *arguments, "--data", str(service.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.strip()


def curl(service: Mailwake, path: str, *arguments: str) -> tuple[int, Any]:
    command = ["curl", "-sS", "-w", "\n%{http_code}", *arguments, origin(service) + path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body) if body else None


def test_from_no_key_to_a_webhook_that_gets_events_and_outlives_a_reload(service: Mailwake, receiver: Receiver) -> None:
    assert "no key yet: mailwake apikey create NAME" in "".join(service.output)
    with urllib.request.urlopen(origin(service) + "/api/", timeout=PATIENCE) as page:
        assert b"<h1>mailwake: HTTP API</h1>" in page.read()
    status, body = curl(service, "/api/v1/webhooks")
    assert status == 401
    assert "`mailwake apikey create NAME` makes one" in body["errors"][0]["description"]

    key = apikey(service, "create", "shop", "--scope", "webhooks", "--scope", "read")
    headers = ("-H", f"Authorization: {key}", "-H", "Content-Type: application/json")
    webhook = {"name": "crm", "target": receiver.url, "events": ["injection", "delivery"], "batch_seconds": 0}
    status, made = curl(service, "/api/v1/webhooks", *headers, "-d", json.dumps(webhook))
    assert status == 200, made

    service.send("shop@shop.example", ["ann@example.org"], MESSAGE)
    wait_until(lambda: len(receiver.events) == 2, "the webhook has both events")
    assert [each["type"] for each in receiver.events] == ["injection", "delivery"]

    def found() -> Any:
        return curl(service, "/api/v1/events/message?recipients=ann@example.org", "-u", f"{key}:")[1]["results"]

    wait_until(lambda: len(found()) == 2, "both can be searched")
    assert {each["event_id"] for each in found()} == {each["event_id"] for each in receiver.events}

    command = [sys.executable, "-m", "mailwake", "report", "--by", "campaign", "--json", "--data", str(service.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    (row,) = json.loads(done.stdout)["results"]
    assert (row["campaign_id"], row["count_targeted"], row["count_accepted"]) == ("spring", 1, 1)

    _examples_of_the_guide(service, receiver)

    assert service.process is not None
    os.kill(service.process.pid, signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in service.log, "it has reloaded")
    wait_until(
        lambda: len(curl(service, "/api/v1/webhooks", *headers)[1].get("results", ())) == 2, "they are there again"
    )

    apikey(service, "revoke", "shop")
    assert curl(service, "/api/v1/webhooks", *headers)[0] == 401
    assert service.metric("mailwake_api_requests_total") >= 5


def _examples_of_the_guide(service: Mailwake, receiver: Receiver) -> None:
    """Every command of docs/api.md's examples does what it says."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = [
        textwrap.dedent(re.split(r"\n\n(?! )", page.partition(f"## {title}\n\n")[2], maxsplit=1)[0])
        for title in ("Examples", "Metrics")
    ]
    _, *commands = "\n".join(blocks).splitlines()
    script = "\n".join(commands).replace("http://127.0.0.1:8090", origin(service))
    script = script.replace("https://crm.example.com/events", receiver.url)
    environment = {**os.environ, "KEY": apikey(service, "create", "guide", "--scope", "admin")}
    done = subprocess.run(
        ["bash", "-eu", "-c", script], capture_output=True, text=True, timeout=PATIENCE, env=environment, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 7
    assert [answer for answer in answers if "results" not in answer] == []


def test_sparkposts_clients_work_unchanged(service: Mailwake, receiver: Receiver, tmp_path: Path) -> None:
    modules = _node_client(tmp_path)
    key = apikey(service, "create", "node", "--scope", "webhooks", "--scope", "read")
    service.send("shop@shop.example", ["ann@example.org"], MESSAGE)
    wait_until(
        lambda: curl(service, "/api/v1/events/message", "-u", f"{key}:")[1].get("total_count") == 2,
        "it can be searched",
    )
    program = tmp_path / "client.js"
    program.write_text(VENDORS_CLIENT)
    environment = {**os.environ, "NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"}
    done = subprocess.run(
        ["node", str(program), origin(service), key, receiver.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    (found,) = seen.pop("found")
    assert (found["type"], found["rcpt_to"], found["campaign_id"]) == ("injection", "ann@example.org", "spring")
    (_, missing), (_, wrong) = seen.pop("gone"), seen.pop("wrong")
    assert [each["code"] for each in (*missing, *wrong)] == ["1600", "1400"]
    _python_client(service, key)
    numbers = {"count_injected": 1, "count_accepted": 1, "count_unique_confirmed_opened": 0}
    assert seen.pop("counted") == {
        "all": [numbers],
        "campaigns": [{"campaign_id": "spring", **numbers}],
        "links": [],
        "last": 1,
        "wrong": 400,
    }
    assert seen == {
        "listed": ["node"],
        "got": receiver.url,
        "updated": True,
        "validated": 200,
        "status": 0,
        "groups": ["message_event", "track_event", "unsubscribe_event"],
        "samples": 2,
    }


def _node_client(tmp_path: Path) -> Path:
    """The directory of node's modules with `sparkpost`: the one that is named, or one that npm fills."""
    named = os.environ.get("MAILWAKE_NODE_MODULES")
    if named:
        return Path(named)
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NODE OR NPM IS ABSENT: SparkPost's client for node is not tried")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "sparkpost@2.1.4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"NPM CANNOT INSTALL sparkpost@2.1.4: SparkPost's client is not tried: {done.stderr[-200:]}")
    return tmp_path / "node_modules"


def _python_client(service: Mailwake, key: str) -> None:
    """It has no webhooks and no events; names of campaigns and domains, and what it makes of an error, can be tried."""
    sparkpost = pytest.importorskip("sparkpost")
    pytest.importorskip("requests")
    metrics = sparkpost.metrics.Metrics(origin(service) + "/api/v1", key)
    assert (metrics.campaigns.list(), metrics.domains.list(params={"match": "ORG"})) == (["spring"], ["example.org"])
    client = sparkpost.SparkPost("mwk_wrong")
    client.templates.base_uri = origin(service) + "/api/v1"  # it knows https alone
    with pytest.raises(sparkpost.exceptions.SparkPostAPIException) as caught:
        client.templates.list()
    assert caught.value.status == 404
    assert "invalid URI Code: 1101" in caught.value.errors[0]
