"""A message with text, AMP and HTML parts: each kind of part has events of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

AMP = (
    b'<!doctype html>\r\n<html \xe2\x9a\xa14email data-css-strict><head><meta charset="utf-8">'
    b'<script async src="https://cdn.ampproject.org/v0.js"></script>'
    b"<style amp4email-boilerplate>body{visibility:hidden}</style></head>\r\n<body>\r\n"
    b'<a href="https://www.example.org/amp" data-msys-linkname="amp link">go</a>\r\n'
    b'<template type="amp-mustache"><a href="https://www.example.org/{{id}}">{{name}}</a></template>\r\n'
    b'<a href="https://www.example.org/leave" data-msys-unsubscribe="1">leave</a></body></html>\r\n'
)
MESSAGE = (
    b"Subject: three parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhttps://www.example.org/text\r\n"
    b"--b\r\nContent-Type: text/x-amp-html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + AMP + b"--b\r\n"
    b'Content-Type: text/html; charset=utf-8\r\n\r\n<body><a href="https://www.example.org/html">go</a></body>\r\n--b--\r\n'
)
SETTINGS = ("open_tracking_enabled=true", "click_tracking_enabled=true")


def _copy(service: Mailwake, sink: Sink) -> bytes:
    assert service.send("news@sender.example", ["ann@example.org"], MESSAGE) == {}
    wait_until(sink.messages, "the copy is at the sink")
    ((_, content),) = sink.messages()
    return content


def test_amp_events(start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]) -> None:
    sink = start_sink()
    options = [
        f"--set={setting}" for setting in (*SETTINGS, "open_tracking_scheme=https", "click_tracking_scheme=https")
    ]
    service = start_mailwake("--next-hop", sink.address, *options)
    content = _copy(service, sink)
    text, amp, html = content.split(b"\n--b\n")[1:]
    assert len(re.findall(rb'<amp-img src="https://[^"]*" alt="" width="1" height="1"></amp-img>', amp)) == 2
    assert b"<img" not in amp
    assert b"amp-img" not in html
    assert b'href="https://www.example.org/{{id}}"' in amp  # what only the reader's program can fill in
    for part in (text, amp, html):
        for path in re.findall(rb"https://localhost:8080(/[fqo]/[^\s\"]*)", part):
            assert service.get(path.decode())[0] in (200, 302)
    engagement = [event for event in service.events() if event["type"] not in ("injection", "delivery")]
    assert Counter(event["type"] for event in engagement) == {
        "click": 2,
        "open": 1,
        "initial_open": 1,
        "amp_click": 1,
        "amp_open": 1,
        "amp_initial_open": 1,
        "link_unsubscribe": 1,
    }
    (click,) = (event for event in engagement if event["type"] == "amp_click")
    assert (click["target_link_url"], click["target_link_name"]) == ("https://www.example.org/amp", "amp link")
    assert all(event["amp_enabled"] for event in service.events() if event["type"] == "injection")


def test_without_https_amp_parts_get_no_image(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()
    service = start_mailwake("--next-hop", sink.address, *(f"--set={setting}" for setting in SETTINGS))
    content = _copy(service, sink)
    assert b"amp-img" not in content
    assert content.count(b"<img") == 2
    assert content.count(b"/f/a/") == 4
