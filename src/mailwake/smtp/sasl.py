"""The server's side of AUTH exchanges (RFC 4954): challenges out, responses in, credentials at the end."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from mailwake.smtp.replies import Refusal, Reply


class Credentials(NamedTuple):
    """What the client claims; whether it is true is decided elsewhere."""

    username: str
    password: str


class Exchange(Protocol):
    """One run of a mechanism."""

    @property
    def challenge(self) -> str:
        """What to send in the next 334 reply, already in base64."""

    def respond(self, response: bytes) -> Credentials | None:
        """Take the decoded response; None when another challenge has to go out; raises Refusal."""


class PlainExchange:
    """PLAIN (RFC 4616): one message, authorisation identity NUL user name NUL password."""

    challenge = ""

    def respond(self, response: bytes) -> Credentials | None:
        """The credentials; an authorisation identity may only repeat the user name."""
        fields = response.split(b"\0")
        if len(fields) != 3:
            raise Refusal(Reply(501, "5.5.2", "PLAIN needs three fields separated by NUL"))
        identity, username, password = fields
        if identity not in (b"", username):
            raise Refusal(Reply(535, "5.7.8", "Acting for another identity is not supported"))
        return _credentials(username, password)


class LoginExchange:
    """LOGIN (draft-murchison-sasl-login): two questions, user name and password."""

    def __init__(self) -> None:
        self._username: bytes | None = None

    @property
    def challenge(self) -> str:
        """The questions are fixed: clients compare them literally."""
        return "VXNlcm5hbWU6" if self._username is None else "UGFzc3dvcmQ6"

    def respond(self, response: bytes) -> Credentials | None:
        """First the user name, then the password."""
        if self._username is None:
            self._username = response
            return None
        return _credentials(self._username, response)


MECHANISMS: Mapping[str, type[PlainExchange] | type[LoginExchange]] = {"PLAIN": PlainExchange, "LOGIN": LoginExchange}
"""The mechanisms there are, by their registered names."""


def decode_response(line: bytes, *, initial: bool = False) -> bytes:
    """A response as it came in a line; raises Refusal when the client gives up or the line is not base64.

    Only as the initial response, "=" is an empty one (RFC 4954 §4).
    """
    if line == b"*" and not initial:
        raise Refusal(Reply(501, "5.7.0", "Authentication was cancelled"))
    if line == b"=" and initial:
        return b""
    try:
        if len(line) % 4:  # Python overlooks surplus padding
            raise binascii.Error
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise Refusal(Reply(501, "5.5.2", "The response is not base64")) from None


def _credentials(username: bytes, password: bytes) -> Credentials:
    if not username or not password:
        raise Refusal(Reply(501, "5.5.2", "User name and password must not be empty"))
    try:
        return Credentials(username.decode("utf-8"), password.decode("utf-8"))
    except UnicodeDecodeError:
        raise Refusal(Reply(501, "5.5.2", "User name and password must be UTF-8")) from None
