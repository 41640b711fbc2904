"""A Lua runtime with limits: LuaJIT where lupa has it, else Lua 5.1 or 5.4; nothing of Python or the machine in it.

Memory needs care. `max_memory` makes an allocation fail, which is an error in Lua where Lua code runs, but ends the
process where Python pushes a value. So the limit that a script meets is checked by lua_sandbox.lua, every thousand
instructions and before each call into Python, and `max_memory` stands a reserve above it, for single large allocations.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from mailwake.policy.lua_source import plain_lua

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

RUNTIMES = ("luajit21", "lua51", "lua54")
"""Of lupa, the first that is there is used; Momentum's own is LuaJIT 2, whose language is that of 5.1."""
RESERVE = 16 << 20
"""Octets between the limit and where allocations fail."""
_LEAST_SECONDS = 0.25
_SECONDS = 1e-7  # for each instruction of the limit: many times what one takes
_TICK = 1000  # instructions between two looks at the limits


class LuaLimits:
    """What one call of a script may use."""

    def __init__(self, instructions: int, memory: int) -> None:
        self.instructions = instructions
        self.memory = memory
        """Octets, with what the script keeps from call to call."""
        self.seconds = max(_LEAST_SECONDS, instructions * _SECONDS)
        """Of processor time, for calls into Lua's library, which take one instruction however long they run."""


class LuaRuntime:
    """One script's runtime: the sandbox and Momentum's API are loaded, the script is not."""

    def __init__(
        self, name: str, limits: LuaLimits, functions: dict[bytes, Callable[..., Any]], implementation: str = ""
    ) -> None:
        self._module = _module(implementation) if implementation else _preferred()
        self._limits = limits
        self._lua = self._module.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
            max_memory=limits.memory + RESERVE,
        )
        settings = {
            b"name": name.encode(),
            b"instructions": limits.instructions,
            b"ticks": max(1, limits.instructions // _TICK),
            b"tick": min(_TICK, limits.instructions),
            b"seconds": limits.seconds,
            b"memory": limits.memory,
            b"kilobytes": limits.memory / 1024,
            b"translate": _translated,
        }
        table = self._lua.table_from(settings)
        sandbox = self._lua.execute(_source("lua_sandbox.lua"), table)
        self.host = self._lua.execute(_source("lua_momentum.lua"), sandbox, self._lua.table_from(functions), table)
        self.error: type[Exception] = self._module.LuaError
        """What a call raises when Lua itself gives up."""

    def room(self) -> int:
        """Octets that Python may push at once: what is free, without the last of the reserve."""
        return self._limits.memory + RESERVE - (1 << 20) - self._used()

    def is_full(self) -> bool:
        """Whether the script keeps more than its limit, even when its garbage is collected."""
        if self._used() <= self._limits.memory:
            return False
        self._lua.gccollect()
        return self._used() > self._limits.memory

    def _used(self) -> int:
        return int(self._lua.get_memory_used())


@cache
def _preferred() -> ModuleType:
    for name in RUNTIMES:
        try:
            return _module(name)
        except ImportError:
            continue
    raise ImportError(f"lupa has none of {', '.join(RUNTIMES)}")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"lupa.{name}")


@cache
def _source(name: str) -> bytes:
    return resources.files("mailwake.policy").joinpath(name).read_bytes()


def _no_attributes(_object: object, _name: object, _is_setting: bool) -> str:  # noqa: FBT001 - lupa's signature
    raise AttributeError("Python is out of reach")


def _translated(source: bytes) -> bytes:
    return plain_lua(source.decode("latin-1")).encode("latin-1")
