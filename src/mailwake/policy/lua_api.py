"""What a Lua script's calls come down to: functions of bytes and numbers that never raise; lua_momentum.lua calls them.

Lua strings are bytes, so that what stands in a message reaches a script and comes back without loss. Context variables
are text: UTF-8 both ways. A function that can fail returns the reason as bytes, where it otherwise returns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mailwake.errors import MailwakeError
from mailwake.policy.context import ContextFull
from mailwake.policy.lua_text import decoded_value, encoded_value, text_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.policy.context import Context
    from mailwake.policy.message_view import HeaderMode, Message
    from mailwake.policy.validation import Question

_MESSAGE = 1  # as in lua_momentum.lua: ECMESS_CTX_MESS and VCTX_MESS
_MOST_OCTETS_IN_A_VALUE = 100_000
_PARTS = ("all", "localpart", "user", "detail", "domain", "name")


class LuaApi:
    """Answers a script about one question after the other; `line` is where its last call stood, while tracing."""

    def __init__(self, printed: Callable[[str], None], room: Callable[[], int]) -> None:
        self._printed = printed
        self._room = room
        """Octets that may be handed to the script yet."""
        self._question: Question | None = None
        self._found: Sequence[bytes] = ()
        self.line = ""

    def ask_about(self, question: Question | None) -> None:
        """From now on answer about this question; None between questions, so that nothing of a message is kept."""
        self._question = question
        self._found = ()

    def functions(self) -> dict[bytes, Callable[..., Any]]:
        """Everything that Lua may call, by its name there."""
        names = (
            "context_get context_set context_delete found header set_header address_header text fact size discard "
            "set_code disconnect accept print"
        )
        own = {"print": self.print_}
        return {name.encode(): own.get(name) or getattr(self, name) for name in names.split()}

    # Context variables

    def context_get(self, which: int, name: bytes) -> bytes | None:
        """A variable's value; None when it is not set."""
        context = self._context(which)
        value = None if context is None else context.get(name.decode("utf-8", "replace"))
        return None if value is None else value.encode("utf-8", "replace")

    def context_set(self, which: int, name: bytes, value: bytes, line: bytes | None) -> bytes | None:
        """Set a variable."""
        context = self._context(which)
        if context is None:
            return b"there is no message yet, only the connection's variables can be set: use VCTX_CONN"
        try:
            if line is not None:
                self.line = line.decode("utf-8", "replace")
            self._asked.context.set_in(context, name.decode(), value.decode())
        except UnicodeDecodeError:
            return b"context variables are text in UTF-8; name or value of '%b' is not" % name[:100]
        except ContextFull as error:
            return _reason(error)
        return None

    def context_delete(self, which: int, name: bytes) -> int:
        """1 when the variable was set, else 0."""
        context = self._context(which)
        return int(context is not None and context.delete(name.decode("utf-8", "replace")))

    # The message

    def found(self, index: int) -> bytes:
        """One more of what `header`, `address_header` or `text` found; the first has the number 1."""
        return self._found[int(index) - 1]

    def header(self, name: bytes) -> tuple[int | None, bytes | None]:
        """How many values the fields of that name have, and the first."""
        return self._all([decoded_value(value) for value in self._message.header_octets(_latin(name))])

    def set_header(self, name: bytes, value: bytes, mode: bytes) -> bytes | None:
        """Change the header; "" as the value takes the field away, as in Momentum."""
        if len(value) > _MOST_OCTETS_IN_A_VALUE:
            return b"the value of a header field may have %d bytes" % _MOST_OCTETS_IN_A_VALUE
        chosen = cast("HeaderMode", mode.decode() if value else "delete")
        try:
            self._message.set_header(_latin(name), encoded_value(value), chosen)
        except ValueError as error:
            return _reason(error)
        return None

    def address_header(self, name: bytes, part: bytes) -> tuple[int | None, bytes | None]:
        """How many addresses the fields of that name have, and this part of the first."""
        wanted = _latin(part)
        if wanted not in _PARTS:
            return None, f"an address has no {wanted[:40]!r}; its parts are {', '.join(_PARTS)}".encode()
        addresses = self._message.address_header(_latin(name))
        return self._all([_part(display, address, wanted).encode("utf-8", "replace") for display, address in addresses])

    def text(self) -> tuple[int | None, bytes | None]:
        """How many text parts the message has, and the first."""
        return self._all(text_parts(self._message.content))

    def fact(self, name: bytes) -> bytes:
        """What the envelope says: an attribute of the message that is text."""
        message = self._asked.message
        return b"" if message is None else str(getattr(message, name.decode())).encode("utf-8", "surrogateescape")

    def size(self) -> int:
        """Octets of the message, as it is now."""
        return self._message.size

    def discard(self, reason: bytes) -> None:
        """Accept the message and throw it away."""
        self._message.discard(reason.decode("utf-8", "replace"))

    # The reply, the client, the log

    def set_code(self, code: float, text: bytes | None) -> bytes | None:
        """Refuse with this code."""
        return self._refuse(self._asked.context.set_code, code, text)

    def disconnect(self, code: float | None, text: bytes | None) -> bytes | None:
        """Refuse, and close the connection after it."""
        return self._refuse(self._asked.context.disconnect, code, text)

    def accept(self, name: bytes) -> bytes | int | bool:
        """What is known of the client, by the fields of `Accept` and Momentum's `remote_addr` and `local_addr`."""
        accept = self._asked.accept
        if name == b"remote_addr":
            return f"{accept.remote_ip}:{accept.remote_port}".encode()
        value = accept.listener if name == b"local_addr" else getattr(accept, name.decode())
        return value.encode("utf-8", "replace") if isinstance(value, str) else value

    def print_(self, text: bytes) -> None:
        """A line in the log."""
        self._printed(text.decode("utf-8", "backslashreplace"))

    def _refuse(self, refuse: Callable[..., None], code: float | None, text: bytes | None) -> bytes | None:
        given = {"code": code, "text": None if text is None else text.decode("utf-8", "replace")}
        try:
            refuse(**{name: value for name, value in given.items() if value is not None})
        except (MailwakeError, ValueError) as error:
            return _reason(error)
        return None

    def _all(self, found: Sequence[bytes]) -> tuple[int | None, bytes | None]:
        size = sum(map(len, found))
        if size > self._room():
            return None, b"what was found, %d bytes, is more than memory_limit leaves room for" % size
        self._found = found
        return len(found), found[0] if found else None

    def _context(self, which: int) -> Context | None:
        context = self._asked.context
        return context.message if which == _MESSAGE else context.connection

    @property
    def _asked(self) -> Question:
        assert self._question is not None, "a script runs in a phase"
        return self._question

    @property
    def _message(self) -> Message:
        assert self._asked.message is not None, "lua_momentum.lua looks first"
        return self._asked.message


def _reason(error: Exception) -> bytes:
    # Cut, since it may quote what the script gave, and must find room.
    return str(error)[:500].encode("utf-8", "replace")


def _latin(name: bytes) -> str:
    return name.decode("latin-1")


def _part(display: str, address: str, wanted: str) -> str:
    local, _, domain = address.rpartition("@")
    user, _, detail = local.partition("+")
    parts = {"all": address, "localpart": local, "user": user, "detail": detail, "domain": domain, "name": display}
    return parts[wanted]
