"""What a User-Agent tells, and that the native accelerator reads it."""

from __future__ import annotations

import pytest
from tests.enrichment.bench import AGENTS


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ("", "", "", "", "", False)),
        ("Mozilla/5.0", ("Other", "", "Other", "Other", "", False)),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.4.1 Mobile/15E148 Safari/604.1",
            ("Mobile Safari", "Apple", "iPhone", "iOS", "17.4.1", True),
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
            "Mobile Safari/537.36",
            ("Chrome Mobile", "Samsung", "Samsung SM-S918B", "Android", "14", True),
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
            "Safari/537.36",
            ("Chrome", "", "Other", "Windows", "10", False),
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            ("Mobile Safari UI/WKWebView", "Apple", "iPad", "iOS", "17.0", True),
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            ("Apple Mail", "Apple", "Mac", "Mac OS X", "10.15.7", False),
        ),
    ],
)
def test_what_the_text_tells(text: str, facts: tuple[object, ...]) -> None:
    assert tuple(AGENTS.facts(text).values()) == facts


@pytest.mark.parametrize("text", ["\x00", "(" * 512, "Mozilla/5.0 (" + "\U0001f600" * 200, "a" * 100_000])
def test_no_text_is_too_strange(text: str) -> None:
    assert AGENTS.facts(text)["is_mobile"] is False


def test_the_native_accelerator_does_the_work() -> None:
    import ua_parser_rs

    assert type(AGENTS._parse.__self__.resolver.ua) is ua_parser_rs.UserAgentExtractor  # type: ignore[attr-defined]
