"""nginx in front of the tracker, as docs/recipes/tracker-proxies.md says; whom the events name."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.scenarios.conftest import PATIENCE, Mailwake, _free_port, wait_until
from tests.scenarios.tracked_links import click_path

from .page import Recipe

pytestmark = pytest.mark.scenario

PAGE = "tracker-proxies.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
NGINX_CONF = """
daemon off;
pid {0}/nginx.pid;
error_log {0}/nginx-error.log;
user root;
events {{}}
http {{
  access_log off;
  client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0};
  include {0}/mailwake.conf;
}}
"""


@pytest.fixture(autouse=True)
def _nginx() -> None:
    if NGINX is None:
        pytest.skip("NGINX IS ABSENT: apt-get install nginx-light")


@contextmanager
def nginx(directory: Path, configuration: str, port: int, *, status: int = 200) -> Iterator[None]:
    """Nginx with this configuration, once it answers with `status` what anybody may ask."""
    assert NGINX is not None
    (directory / "mailwake.conf").write_text(configuration)
    (directory / "nginx.conf").write_text(NGINX_CONF.format(directory))
    command = [NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf")]
    with (directory / "nginx.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or _ask(port, "/robots.txt")[0] == status, "nginx answers")
        assert process.poll() is None, (directory / "nginx.out").read_text()
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
    assert b"emerg" not in (directory / "nginx.out").read_bytes()


def _ask(port: int, path: str, **fields: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=("127.0.0.9", 0))
    with closing(connection):
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in fields.items()})
            answer = connection.getresponse()
        except OSError:
            return 0, ""
        return answer.status, answer.getheader("Location") or ""


def _start(directory: Path, configuration: str) -> Mailwake:
    file = directory / "mailwake.toml"
    file.write_text(configuration)
    service = Mailwake(directory, "--config", str(file), "--role", "tracker")
    service.addresses = ["--admin", "127.0.0.1:0"]
    return service.start()


def _clicks_name_the_person(service: Mailwake, port: int) -> None:
    path = click_path(service.data, "https://shop.example/")
    assert _ask(port, path) == (302, "https://shop.example/")
    spoofed = {"X_Forwarded_For": "203.0.113.1", "Forwarded": "for=203.0.113.2"}
    assert _ask(port, path, **spoofed) == (302, "https://shop.example/")
    assert [event["ip_address"] for event in service.events()] == ["127.0.0.9", "127.0.0.9"]


def test_over_a_unix_socket(tmp_path: Path) -> None:
    port, path = _free_port(), str(tmp_path / "t.sock")
    changed = {"/run/mailwake/tracker.sock": path, "listen 80": f"listen 127.0.0.1:{port}", "links.example.com": "_"}
    recipe = Recipe(PAGE, "nginx over a Unix socket", {**changed, 'socket_group = "www-data"\n': ""})
    service = _start(tmp_path, recipe.file("/etc/mailwake/mailwake.toml"))
    try:
        with nginx(tmp_path, recipe.file("/etc/nginx/conf.d/mailwake.conf"), port):
            _clicks_name_the_person(service, port)
    finally:
        service.stop()
    assert recipe.all_used()


def test_over_tcp(tmp_path: Path) -> None:
    port = _free_port()
    recipe = Recipe(PAGE, "nginx over TCP", {"192.0.2.10:8080": "127.0.0.1:0", "192.0.2.1": "127.0.0.1"})
    service = _start(tmp_path, recipe.file("/etc/mailwake/mailwake.toml"))
    host, tracker_port = service.tracker
    before = {"unix:/run/mailwake/tracker.sock": f"{host}:{tracker_port}", "listen 80": f"listen 127.0.0.1:{port}"}
    of_nginx = Recipe(PAGE, "nginx over a Unix socket", {**before, "links.example.com": "_"})
    try:
        with nginx(tmp_path, of_nginx.file("/etc/nginx/conf.d/mailwake.conf"), port):
            _clicks_name_the_person(service, port)
    finally:
        service.stop()


def test_the_configuration_for_haproxy_is_one(tmp_path: Path) -> None:
    recipe = Recipe(PAGE, "HAProxy with the PROXY protocol", {})
    file = tmp_path / "mailwake.toml"
    file.write_text(recipe.file("/etc/mailwake/mailwake.toml"))
    from mailwake.config.load import load

    assert load(file).settings.tracker.listen["192.0.2.10:8443"].proxy_protocol == "required"
