"""A policy file in Lua, as for Momentum: a module whose functions have the names of the phases."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from mailwake.policy.lua_api import LuaApi
from mailwake.policy.lua_runtime import LuaLimits, LuaRuntime
from mailwake.policy.lua_source import plain_lua
from mailwake.policy.phases import PHASES, Phase
from mailwake.policy.verdict import CONT, DONE, PolicyError, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.logs import Logger
    from mailwake.policy.validation import Question

INSTRUCTION_LIMIT = 1_000_000
MEMORY_LIMIT = 64 << 20

_CONT, _DONE, _NONSENSE, _ERROR = 1, 2, 0, -1
_LETTERS = {"message": "m", "accept": "a", "context": "c"}
# Momentum calls these besides; they are for queues, which are the mail server's behind us.
_OF_MOMENTUM = ("validate_set_binding", "validate_rcptto_list", "validate_rcptto_list_final")
_NEVER_CALLED = ("validate_dealloc",)


class LuaPolicyError(PolicyError):
    """A script that failed: the text names script, line and phase, `where` script and line."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self.where = where


class LuaPolicy:
    """One script in a runtime of its own, loaded once a worker; its globals last as long as the worker.

    A script that ran out of memory begins anew at the next question, since nothing can be said of what it kept.
    """

    def __init__(
        self,
        path: Path,
        *,
        log: Logger,
        instruction_limit: int = INSTRUCTION_LIMIT,
        memory_limit: int = MEMORY_LIMIT,
        implementation: str = "",
    ) -> None:
        """Load the script. Raises PolicyError, one line with file and line number, for one that cannot be used.

        `instruction_limit` is for each call, `memory_limit` in octets; `implementation` is one of lupa's runtimes.
        """
        self.name = path.name
        self._path = path
        self._log = log
        self._limits = LuaLimits(instruction_limit, memory_limit)
        self._implementation = implementation
        self._source = _read(path)
        self._phase = "load"
        self._functions: dict[Phase, Callable[..., Any]] = {}
        self._load()
        self.phases = frozenset(self._functions)

    def ask(self, question: Question) -> Verdict:
        """CONT or DONE, as the script's function for the phase returned. Raises PolicyError."""
        if self._is_spent or self._runtime.is_full():
            self._load()
        if question.context.tracing:
            question.context.origin = self._origin
        self._phase = question.phase
        self._api.ask_about(question)
        try:
            return self._answer(question)
        finally:
            self._api.ask_about(None)

    def where(self, error: BaseException) -> str:
        """The line of the script in which an error came up, as `policy.lua:7`."""
        return error.where if isinstance(error, LuaPolicyError) else self.name

    def _answer(self, question: Question) -> Verdict:
        argument = question.argument.encode("utf-8", "surrogateescape")
        try:
            answer = self._functions[question.phase](argument, question.context.tracing)
        except Exception as error:  # Lua has given up, or what stands between: nothing can be said of its state
            self._is_spent = True
            answer = _ERROR, str(error).encode(), self.name.encode()
        if answer == _CONT:
            return CONT
        if answer == _DONE:
            return DONE
        raise self._error(question.phase, *answer)

    def _error(self, phase: str, kind: int, text: bytes, where: bytes = b"", *out_of_memory: bool) -> LuaPolicyError:
        said = text.decode("utf-8", "replace")
        if kind == _NONSENSE:
            wanted = "return msys.core.VALIDATE_CONT or msys.core.VALIDATE_DONE"
            return LuaPolicyError(f"{self.name}: {phase} returned {said}; {wanted}", self.name)
        self._is_spent = self._is_spent or any(out_of_memory)
        line, said = self._line(said, where.decode("utf-8", "replace"))
        return LuaPolicyError(f"{line}: {phase}: {said}", line)

    def _line(self, said: str, where: str) -> tuple[str, str]:
        """Where an error is and what it says: Lua writes the line that is to blame before the message, where it can."""
        first, colon, rest = said.removeprefix(f"{self.name}:").partition(": ")
        if said.startswith(f"{self.name}:") and colon and first.isdigit():
            return f"{self.name}:{first}", rest
        return where or self.name, said

    def _load(self) -> None:
        self._api = LuaApi(self._print, lambda: self._runtime.room())
        self._runtime = LuaRuntime(self.name, self._limits, self._api.functions(), self._implementation)
        self._is_spent = False
        try:
            well, text, *where = self._runtime.host[b"load"](plain_lua(self._source).encode("latin-1"))
        except self._runtime.error as error:
            well, text, where = False, str(error).encode(), []
        if not well:
            line, said = self._line(text.decode("utf-8", "replace"), (where or [b""])[0].decode())
            raise PolicyError(f"{self._path.parent / line}: {said}; correct the policy")
        self._functions = self._entries(sorted(text.decode("utf-8", "replace").split()))

    def _entries(self, names: list[str]) -> dict[Phase, Callable[..., Any]]:
        for name in names:
            self._check_name(name)
        entries: dict[Phase, Callable[..., Any]] = {}
        for phase, facts in PHASES.items():
            if phase in names:
                order = "".join(_LETTERS.get(argument, "s") for argument in facts.arguments)
                entries[phase] = self._runtime.host[b"entry"](phase.encode(), order.encode())
        if not entries:
            raise PolicyError(f"{self._path}: has no function for any phase; the phases are {', '.join(Phase)}")
        return entries

    def _check_name(self, name: str) -> None:
        if name in _OF_MOMENTUM or name.startswith("core_"):
            raise PolicyError(f"{self._path}: mailwake does not call {name}; the phases are {', '.join(Phase)}")
        if name.startswith("validate_") and name not in Phase._value2member_map_ and name not in _NEVER_CALLED:
            near = difflib.get_close_matches(name, list(Phase), 1)
            advice = f"; did you mean {near[0]}?" if near else f"; the phases are {', '.join(Phase)}"
            raise PolicyError(f"{self._path}: {name} is no phase{advice}")

    def _origin(self) -> str:
        return self._api.line or self.name

    def _print(self, text: str) -> None:
        self._log.info("policy says", policy=self.name, phase=str(self._phase), text=text)


def _read(path: Path) -> str:
    """The script; Latin-1, since Lua's strings are bytes."""
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    except FileNotFoundError:
        raise PolicyError(f"{path}: there is no such policy file; name one that exists") from None
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}; mend the rights") from None
