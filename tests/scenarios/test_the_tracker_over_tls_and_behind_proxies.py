"""The real tracker over TLS and behind real clients' PROXY headers: openssl and curl as operators use them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.listener.certificates import make_certificate

from .conftest import PATIENCE, Mailwake, wait_until
from .tracked_links import click_path

pytestmark = pytest.mark.scenario

TRACKER = """
[tracker]
tls_certificate = "{0}/default-certificate.pem"
tls_key = "{0}/default-key.pem"
not_found_page = "{0}/lost.html"

[tracker.listen."127.0.0.1:0"]
tls = "on"
{1}

[tracking_domains."links.example.com"]
tls_certificate = "{0}/links-certificate.pem"
tls_key = "{0}/links-key.pem"

[tracking_domains."gone.example.com"]
serve = false
"""


class Secured(Mailwake):
    """A tracker whose only address speaks HTTPS."""

    def __init__(self, directory: Path, more: str = "") -> None:
        make_certificate("default.example", days=(-80, 10)).write(directory, "default-")
        make_certificate("links.example.com").write(directory, "links-")
        (directory / "lost.html").write_text("<h1>Lost</h1>\n")
        (directory / "mailwake.toml").write_text(TRACKER.format(directory, more))
        super().__init__(directory, "--config", str(directory / "mailwake.toml"), "--role", "tracker", "--workers", "1")
        self.directory = directory
        self.addresses = ["--admin", "127.0.0.1:0"]

    @property
    def tracker(self) -> tuple[str, int]:
        return self._address(r"tracker on https://([\d.]+):(\d+)")

    def subject(self, name: str) -> str:
        """Whose certificate `openssl s_client` sees."""
        host, port = self.tracker
        command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", name, "-alpn", "h2,http/1.1"]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert "ALPN protocol: http/1.1" in done.stdout, done.stdout + done.stderr
        return re.search(r"subject=\s*(?:CN\s*=\s*)(\S+)", done.stdout)[1]  # type: ignore[index]

    def curl(self, url_host: str, path: str, *options: str) -> str:
        host, port = self.tracker
        command = ["curl", "-sS", "-i", "-k", "--max-time", "30", "--resolve", f"{url_host}:{port}:{host}", *options]
        done = subprocess.run(
            [*command, f"https://{url_host}:{port}{path}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout


@pytest.fixture(autouse=True)
def _programs() -> None:
    for program in ("openssl", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program.upper()} IS ABSENT: apt-get install {program}")


def test_each_domain_has_its_certificate_and_renewal_needs_nobody(tmp_path: Path) -> None:
    service = Secured(tmp_path)
    service.start()
    try:
        assert service.subject("links.example.com") == "links.example.com"
        assert service.subject("whatever.example") == "default.example"
        assert "default-certificate.pem expires on" in service.log
        assert service.curl("links.example.com", "/f/a/cut").endswith("\n\n<h1>Lost</h1>\n")
        assert service.curl("links.example.com", "/robots.txt").endswith("Disallow: /\n")
        assert service.curl("gone.example.com", "/robots.txt").startswith("HTTP/1.1 404 ")
        make_certificate("renewed.example").write(tmp_path, "links-")
        wait_until(lambda: '"certificate loaded anew"' in service.log, "the worker has seen it")
        assert service.subject("links.example.com") == "renewed.example"
        (tmp_path / "links-certificate.pem").write_text("nothing")
        wait_until(lambda: "certificate cannot be used, the one in use stays" in service.log, "it is said")
        assert service.subject("links.example.com") == "renewed.example"
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration not reloaded" in service.log, "a reload with it is refused")
        assert service.subject("links.example.com") == "renewed.example"
        make_certificate("again.example").write(tmp_path, "links-")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: '"configuration reloaded"' in service.log, "the reload is accepted")
        wait_until(lambda: service.subject("links.example.com") == "again.example", "the new worker serves")
    finally:
        service.stop()


def test_a_load_balancer_says_who_the_client_is_before_tls(tmp_path: Path) -> None:
    service = Secured(tmp_path, 'proxy_protocol = "required"\nproxy_networks = ["127.0.0.0/8"]')
    service.start()
    try:
        path = click_path(service.data, "https://shop.example/")
        answer = service.curl("links.example.com", path, "--haproxy-protocol", "--interface", "127.0.0.9")
        assert "\nlocation: https://shop.example/\n" in answer.replace("\r", "")
        (event,) = service.events()
        assert (event["type"], event["ip_address"]) == ("click", "127.0.0.9")
        assert service.curl("links.example.com", "/robots.txt") == ""
        wait_until(lambda: service.metric("mailwake_tracker_connections_dropped_total") == 1, "it is counted")
    finally:
        service.stop()
