"""Context variables: what policy, AUTH and trusted gateways know about a connection and a message; always strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Context:
    """One set of context variables: a connection's, or a message's copied for each recipient (3-policy, Phases)."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables: dict[str, str] = {}
        for name, value in (variables or {}).items():
            self.set(name, value)

    def get(self, name: str) -> str | None:
        """The variable's value, None when it is not set."""
        return self._variables.get(name)

    def set(self, name: str, value: str) -> None:
        """Set a variable; TypeError for anything but text, as silent conversion would hide a policy's mistake."""
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"context variables are always strings; {name!r} was given a {type(value).__name__}")
        self._variables[name] = value

    def delete(self, name: str) -> bool:
        """Unset a variable; whether it was set."""
        return self._variables.pop(name, None) is not None

    def copy(self) -> Context:
        """A copy of its own, so that one recipient's changes never reach another."""
        copied = Context()
        copied._variables = self._variables.copy()
        return copied

    def over(self, connection: Context) -> Mapping[str, str]:
        """The message's variables over those of its connection, as precedence.resolve takes them."""
        return {**connection._variables, **self._variables} if self._variables else connection._variables

    def __contains__(self, name: str) -> bool:
        return name in self._variables

    def __len__(self) -> int:
        return len(self._variables)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and other._variables == self._variables

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Context({self._variables!r})"
