"""What the page about webhooks tells receivers to write does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mailwake.webhooks.posting import FAILURES
from mailwake.webhooks.signature import new_secret, signature_headers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET, OTHER = new_secret(), new_secret()
BODY = '[{"msys":{"track_event":{"subject":"Grüße"}}}]'.encode()
NOW = int(time.time())


def snippet(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


CASES = [
    (signature_headers("b1", NOW, BODY, [SECRET]), BODY, True),
    (signature_headers("b1", NOW, BODY, [OTHER, SECRET]), BODY, True),
    (signature_headers("b1", NOW, BODY, [OTHER]), BODY, False),
    (signature_headers("b1", NOW, BODY, [SECRET]), BODY + b" ", False),
    ({**signature_headers("b1", NOW, BODY, [SECRET]), "webhook-id": "b2"}, BODY, False),
    (signature_headers("b1", NOW - 400, BODY, [SECRET]), BODY, False),
]


def test_the_python_function_tells_ours_from_others() -> None:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)
    for headers, body, ours in CASES:
        assert names["is_mailwake"](SECRET, headers, body) is ours


def test_the_node_function_tells_ours_from_others() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    calls = [{"headers": headers, "body": body.decode()} for headers, body, _ in CASES]
    program = (
        snippet("javascript")
        + f"for (const each of {json.dumps(calls)})\n"
        + f"  console.log(isMailwake({json.dumps(SECRET)}, each.headers, Buffer.from(each.body)));\n"
    )
    done = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["true" if ours else "false" for _, _, ours in CASES]


def test_the_page_has_every_failure_code() -> None:
    assert set(re.findall(r"^\|[^|]*\| `([a-z_]+)` \|", PAGE, re.MULTILINE)) - {"failure_code"} == set(FAILURES)
