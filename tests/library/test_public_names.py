"""What others build on: a change here is a change of the library's version (semantic versioning)."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields

import mailwake


def test_exported_names() -> None:
    assert sorted(mailwake.__all__) == [
        *("Key", "Keyring", "KeyringError", "RewriteSettings", "SkippedPart", "TrackError", "TrackSettings"),
        *("TrackedLink", "TrackedMessage", "__version__", "read_keys", "track"),
    ]
    assert all(getattr(mailwake, name) is not None for name in mailwake.__all__)
    assert set(mailwake.__all__) <= set(dir(mailwake))


def test_signatures() -> None:
    assert list(inspect.signature(mailwake.track).parameters) == ["message", "recipient", "settings", "keys"]
    assert list(inspect.signature(mailwake.read_keys).parameters) == ["path"]


def test_fields_with_their_defaults() -> None:
    assert {each.name: each.default for each in fields(mailwake.TrackSettings) if each.name not in ("metadata",)} == {
        "tracking_domain": fields(mailwake.TrackSettings)[0].default,
        "open_tracking": True,
        "click_tracking": True,
        "initial_open": True,
        "honeypot_link": False,
        "open_tracking_scheme": "https",
        "click_tracking_scheme": "https",
        "tracking_link_expiry": 31_536_000,
        "list_unsubscribe": False,
        "campaign_id": None,
        "tags": (),
        "customer_id": None,
        "click_tracking_include_metadata": True,
        "max_metadata_len": 200,
        "rewriting": mailwake.RewriteSettings(),
        "sent": None,
        "transmission_id": None,
        "recipient_index": 0,
    }
    assert {each.name: each.default for each in fields(mailwake.RewriteSettings)} == {
        "text_click_tracking": True,
        "text_click_limit": None,
        "open_pixel": "body",
        "track_mso": True,
        "tracked_link_text": "track",
        "on_signed": "skip",
    }
    assert [each.name for each in fields(mailwake.TrackedMessage)] == [
        *("content", "links", "skipped", "transmission_id", "message_id"),
    ]
    assert [each.name for each in fields(mailwake.TrackedLink)] == [
        *("part", "line", "target", "name", "unsubscribe", "tracked", "reason", "url", "text_is_url"),
    ]
    assert mailwake.SkippedPart._fields == ("where", "reason")


def test_an_unknown_name_is_an_ordinary_error() -> None:
    assert not hasattr(mailwake, "no_such_name")


def test_importing_the_package_costs_next_to_nothing() -> None:
    program = "import sys, mailwake; print([m for m in sys.modules if m.startswith('mailwake.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
