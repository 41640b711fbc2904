"""nginx with oauth2-proxy in front of the dashboard, as docs/recipes/dashboard-log-in.md says; who gets to see what."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.scenarios.conftest import Mailwake, _free_port, wait_until

from .page import Recipe
from .test_nginx_before_the_tracker import NGINX, nginx

pytestmark = pytest.mark.scenario

TLS = "  ssl_certificate /etc/ssl/mail.example.com.pem;\n  ssl_certificate_key /etc/ssl/private/mail.example.com.key;\n"


class _StandIn(BaseHTTPRequestHandler):
    """Answers nginx as oauth2-proxy does; the session is the name and the groups in a cookie."""

    def do_GET(self) -> None:  # the library's name
        session = re.search(r"session=([^;:]*):?([^;]*)", self.headers.get("Cookie", ""))
        name, groups = (session[1], session[2]) if session else ("", "")
        self.send_response((202 if name else 401) if self.path == "/oauth2/auth" else 200)
        if name:
            self.send_header("X-Auth-Request-Email", name)
            self.send_header("X-Auth-Request-Groups", groups)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def oauth2_proxy() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _StandIn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_whom_the_identity_provider_knows(tmp_path: Path, oauth2_proxy: int) -> None:
    if NGINX is None:
        pytest.skip("NGINX IS ABSENT: apt-get install nginx-light")
    port, api = _free_port(), _free_port()
    changed = {"127.0.0.1:4180": f"127.0.0.1:{oauth2_proxy}", "127.0.0.1:8090": f"127.0.0.1:{api}", TLS: ""}
    recipe = Recipe(
        "dashboard-log-in.md",
        "nginx and oauth2-proxy",
        {**changed, "listen 443 ssl": f"listen 127.0.0.1:{port}", "mail.example.com": "_"},
    )
    file = tmp_path / "mailwake.toml"
    file.write_text(recipe.file("/etc/mailwake/mailwake.toml"))
    service = Mailwake(tmp_path, "--config", str(file), "--role", "collector")
    service.addresses = ["--admin", "127.0.0.1:0"]
    service.start()
    try:
        with nginx(tmp_path, recipe.file("/etc/nginx/conf.d/mailwake-dashboard.conf"), port, status=302):
            _everybody_gets_what_is_theirs(f"http://127.0.0.1:{port}")
        direct = httpx.get(f"http://127.0.0.1:{api}/dashboard", headers={"X-Forwarded-User": "x"}, trust_env=False)
        assert direct.status_code == 403  # no customer is named, though this machine is trusted
    finally:
        service.stop()
    assert recipe.all_used()


def _everybody_gets_what_is_theirs(url: str) -> None:
    def page(session: str, **headers: str) -> httpx.Response:
        fields = {"Cookie": f"session={session}", **{name.replace("_", "-"): each for name, each in headers.items()}}
        return httpx.get(f"{url}/dashboard", headers=fields, trust_env=False)

    wait_until(lambda: page("ann:mailwake-staff").status_code != 503, "the store is open")
    assert "all customers" in page("ann@example.com:mailwake-staff").text
    assert "ann@example.com" in page("ann@example.com:mailwake-staff").text
    assert "customer 42" in page("eve@shop.example:others,mailwake-customer-42").text
    assert "customer 42" in page("eve@shop.example:mailwake-staff,mailwake-customer-42").text
    pretended = page("eve@shop.example:mailwake-customer-42", X_Forwarded_User="root", X_Forwarded_Customer="*").text
    assert "customer 42" in pretended
    assert "root" not in pretended
    unknown = page("joe@example.com:others")
    assert unknown.status_code == 403
    assert "does not say whose data joe@example.com may see" in unknown.text
    nobody = page("", X_Forwarded_User="root", X_Forwarded_Customer="*")
    assert nobody.status_code == 302
    assert nobody.headers["location"].endswith(f"/oauth2/sign_in?rd={url}/dashboard")
    _a_form_gets_through(url)


def _a_form_gets_through(url: str) -> None:
    """Its token, its cookie, and the origin that an older browser names."""
    with httpx.Client(base_url=url, cookies={"session": "ann:mailwake-staff"}, trust_env=False) as browser:
        form = dict(
            re.findall(r'<input type="hidden" name="(form_token)" value="([^"]*)">', browser.get("/dashboard").text)
        )
        for origin, status in ((url, 303), ("http://evil.example", 403)):
            answer = browser.post("/dashboard/theme", data={**form, "theme": "dark"}, headers={"origin": origin})
            assert answer.status_code == status
