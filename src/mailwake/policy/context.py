"""Context variables: what policy, AUTH and trusted gateways know about a connection and a message; always strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MOST_VARIABLES = 10_000
"""In one context; a policy that sets more is in a loop."""
MOST_OCTETS = 1 << 20
"""Of all values of one context together, as a bound for what one message may cost."""


class ContextFull(MailwakeError):  # noqa: N818 - it names a state
    """A context that holds as many variables, or as much text, as it may."""


class Context:
    """One set of context variables: a connection's, or a message's copied for each recipient (3-policy, Phases)."""

    __slots__ = ("_size", "_sources", "_variables", "origin")

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._size = 0
        self.origin: Callable[[], str] | None = None
        """Says which line of which policy is running, where that is noted for each variable."""
        for name, value in (variables or {}).items():
            self.set(name, value)

    def get(self, name: str) -> str | None:
        """The variable's value, None when it is not set."""
        return self._variables.get(name)

    def set(self, name: str, value: str, source: str = "") -> None:
        """Set a variable; `source` says who did, for `explain`.

        TypeError for anything but text, as silent conversion would hide a policy's mistake; ContextFull.
        """
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"context variables are always strings; {name!r} was given a {type(value).__name__}")
        size = self._size + len(name) + len(value)
        if size > MOST_OCTETS or len(self._variables) >= MOST_VARIABLES:
            self._check_room(name, value)
        self._size = size
        self._variables[name] = value
        if source or self.origin is not None:
            self._sources[name] = source or (self.origin() if self.origin is not None else "")

    def _check_room(self, name: str, value: str) -> None:
        # What was counted includes values that were written over; here it is counted anew.
        others = sum(len(each) + len(text) for each, text in self._variables.items() if each != name)
        if others + len(name) + len(value) > MOST_OCTETS:
            raise ContextFull(
                f"context variables may hold {MOST_OCTETS} characters together; {name[:100]!r} is too much"
            )
        if len(self._variables) >= MOST_VARIABLES and name not in self._variables:
            raise ContextFull(f"there may be {MOST_VARIABLES} context variables; {name[:100]!r} is one too many")
        self._size = others

    def delete(self, name: str) -> bool:
        """Unset a variable; whether it was set."""
        self._sources.pop(name, None)
        return self._variables.pop(name, None) is not None

    def source(self, name: str) -> str:
        """Who set the variable, "" when nobody said so."""
        return self._sources.get(name, "")

    def copy(self) -> Context:
        """A copy of its own, so that one recipient's changes never reach another."""
        copied = Context()
        copied._variables = self._variables.copy()
        copied._sources = self._sources.copy()
        copied._size = self._size
        return copied

    def over(self, connection: Context) -> Mapping[str, str]:
        """The message's variables over those of its connection, as precedence.resolve takes them."""
        return {**connection._variables, **self._variables} if self._variables else connection._variables

    def clear(self) -> None:
        """Unset all variables."""
        self._variables.clear()
        self._sources.clear()
        self._size = 0

    def items(self) -> list[tuple[str, str]]:
        """Names and values in the order in which they were first set."""
        return list(self._variables.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __contains__(self, name: str) -> bool:
        return name in self._variables

    def __len__(self) -> int:
        return len(self._variables)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and other._variables == self._variables

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Context({self._variables!r})"
