"""The configured policy files, loaded: each worker has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.policy.lua_host import INSTRUCTION_LIMIT, MEMORY_LIMIT, LuaPolicy
from mailwake.policy.policies import ConfiguredPolicy, Policies
from mailwake.policy.python_host import PythonPolicy
from mailwake.policy.verdict import PolicyError

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.config.schema import Settings
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import PolicyHost


def load_policies(settings: Settings, *, log: Logger, metrics: Metrics) -> Policies:
    """The policies in their order. Raises PolicyError, one line, for a file that cannot be used."""
    configured = [
        ConfiguredPolicy(
            load_policy(each.file, log=log, instruction_limit=each.instruction_limit, memory_limit=each.memory_limit),
            each.on_error,
            each.timeout,
        )
        for each in settings.policy
    ]
    return Policies(configured, log=log, metrics=metrics)


def load_policy(
    file: Path, *, log: Logger, instruction_limit: int = INSTRUCTION_LIMIT, memory_limit: int = MEMORY_LIMIT
) -> PolicyHost:
    """One policy by the ending of its name; PolicyError, one line, when it cannot be used. The limits are Lua's."""
    suffix = file.suffix.lower()
    if suffix == ".py":
        return PythonPolicy(file)
    if suffix == ".lua":
        return LuaPolicy(file, log=log, instruction_limit=instruction_limit, memory_limit=memory_limit)
    raise PolicyError(f"{file}: is no policy; name a file that ends in .py or .lua")
