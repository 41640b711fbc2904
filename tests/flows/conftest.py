"""Message flows to begin with, with and without a policy; each is stopped when its test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mailwake.policy.policies import ConfiguredPolicy
from mailwake.policy.python_host import PythonPolicy

from .message_harness import MessageHarness

Begin = Callable[..., Awaitable[MessageHarness]]
BeginWithPolicy = Callable[..., Awaitable[MessageHarness]]
HEAD = "from mailwake.policy import CONT, DONE, refuse\n"


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Start a harness; the arguments are settings."""
    started: list[MessageHarness] = []

    async def start(**overrides: str) -> MessageHarness:
        harness = MessageHarness(tmp_path, overrides)
        await harness.start()
        started.append(harness)
        return harness

    yield start
    for each in started:
        await each.stop()


@pytest.fixture
async def begin_with_policy(tmp_path: Path) -> AsyncIterator[BeginWithPolicy]:
    """Start a harness whose policy is this source behind HEAD; further arguments are settings."""
    started: list[MessageHarness] = []

    async def start(source: str, **overrides: str) -> MessageHarness:
        harness = MessageHarness(tmp_path, {"trace_header": "false", **overrides})
        path = tmp_path / "policy.py"
        path.write_text(HEAD + source)
        harness.policy_hosts.append(ConfiguredPolicy(PythonPolicy(path)))
        await harness.start()
        started.append(harness)
        return harness

    yield start
    for each in started:
        await each.stop()
