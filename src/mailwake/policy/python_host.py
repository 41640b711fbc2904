"""A policy file in Python: a plain module with a function for each phase that it cares about, sync or async."""

from __future__ import annotations

import difflib
import inspect
import sys
import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mailwake.policy.phases import PHASES, Phase
from mailwake.policy.verdict import PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.policy.validation import Question

_PREFIX = "validate_"


class PythonPolicy:
    """One module; it is loaded once a worker, and its module-level state is that worker's own."""

    def __init__(self, path: Path) -> None:
        """Load the file. Raises PolicyError, one line with file and line number, for one that cannot be used."""
        self.name = path.name
        self._file = str(path)
        module = _loaded(path)
        self._functions = {
            phase: (function, PHASES[phase].arguments) for phase, function in _functions(path, module).items()
        }
        self.phases = frozenset(self._functions)

    def ask(self, question: Question) -> Any:
        """What the phase's function returns, or the awaitable of an async one; raises whatever it raises."""
        function, arguments = self._functions[question.phase]
        if question.context.tracing:
            question.context.origin = self._origin
        values = question.values
        return function(*[values[name] for name in arguments])

    def where(self, error: BaseException) -> str:
        """The line of this file in which an error came up, as `policy.py:7`."""
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self._file]
        return f"{self.name}:{lines[-1]}" if lines else self.name

    def _origin(self) -> str:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != self._file:
            frame = frame.f_back  # type: ignore[assignment]  # None at the end of the stack
        return f"{self.name}:{frame.f_lineno}" if frame is not None else self.name


def _loaded(path: Path) -> ModuleType:
    # Compiled anew each time: Python's own cache goes by whole seconds, and a reload may come sooner after an edit.
    module = ModuleType(f"mailwake_policy_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # as dataclasses in it expect
    try:
        code = compile(path.read_bytes(), str(path), "exec")
        exec(code, vars(module))  # noqa: S102  # it is the operator's own program
    except FileNotFoundError:
        raise PolicyError(f"{path}: there is no such policy file; name one that exists") from None
    except SyntaxError as error:
        raise PolicyError(f"{path}:{error.lineno}: {error.msg}; correct the policy") from None
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}; mend the rights") from None
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = f":{frames[-1].lineno}" if frames else ""
        raise PolicyError(f"{path}{line}: {type(error).__name__}: {error}; correct the policy") from error
    return module


def _functions(path: Path, module: ModuleType) -> dict[Phase, Callable[..., Any]]:
    found: dict[Phase, Callable[..., Any]] = {}
    for name, value in vars(module).items():
        if not name.startswith(_PREFIX) or not callable(value):
            continue
        try:
            phase = Phase(name)
        except ValueError:
            near = difflib.get_close_matches(name, list(Phase), 1, 0.8)
            advice = f"; did you mean {near[0]}?" if near else f"; the phases are {', '.join(Phase)}"
            raise PolicyError(f"{path}: {name} is no phase{advice}") from None
        _check_arguments(path, name, value, PHASES[phase].arguments)
        found[phase] = value
    if not found:
        raise PolicyError(f"{path}: has no function for any phase; the phases are {', '.join(Phase)}")
    return found


def _check_arguments(path: Path, name: str, function: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    try:
        inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError):
        wanted = f"{name}({', '.join(arguments)})"
        line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        raise PolicyError(f"{path}:{line}: must take these arguments: {wanted}") from None
