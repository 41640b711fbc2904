"""A Django site with django-anymail's view for SparkPost's webhooks, as its documentation sets it up.

Run as a program: it says its port on its first line of output, and then each event that anymail signals, as JSON.
"""

from __future__ import annotations

import json
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django  # type: ignore[import-untyped]
from anymail.signals import tracking  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.urls import include, path  # type: ignore[import-untyped]

WEBHOOK_SECRET = "mailwake:correct horse"
URL = "/anymail/sparkpost/tracking/"

urlpatterns = [path("anymail/", include("anymail.urls"))]


def show(sender: object, event: object, esp_name: str, **more: object) -> None:
    """Print what an application's own receiver would get."""
    names = ("event_type", "message_id", "event_id", "recipient", "metadata", "tags", "click_url", "user_agent")
    fields = {name: getattr(event, name) for name in (*names, "reject_reason", "mta_response", "esp_event")}
    fields |= {"esp_name": esp_name, "timestamp": event.timestamp.isoformat()}  # type: ignore[attr-defined]
    print(json.dumps(fields), flush=True)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["anymail"],
        ANYMAIL={"WEBHOOK_SECRET": WEBHOOK_SECRET},
        SECRET_KEY="only for tests",
    )
    django.setup()
    tracking.connect(show)
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
