"""Access tokens by OAuth 2.0 client credentials (RFC 6749 §4.4): fetched when needed, kept until they expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import msgspec

from mailwake.webhooks.posting import Answer

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.webhooks.posting import Poster
    from mailwake.webhooks.webhook import TokenRequest

_EARLY = 30.0
"""Seconds before its end at which a token is not used any more."""

_LIFE = 300.0
"""Seconds that a token is kept whose server does not say how long it holds."""

_LONGEST_TOKEN = 16 << 10


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: float | str | None = None


class _Token(NamedTuple):
    request: TokenRequest
    text: str
    until: float


class AccessTokens:
    """The access token of one webhook; `fetch` asks its server only when there is none that holds."""

    def __init__(self, poster: Poster, clock: Clock) -> None:
        self._poster = poster
        self._clock = clock
        self._token: _Token | None = None

    def forget(self) -> None:
        """The target does not take the token: fetch another one."""
        self._token = None

    async def fetch(self, request: TokenRequest) -> str | Answer:
        """The token to present; where there is none, an Answer that says why."""
        held = self._token
        if held is not None and held.request == request and self._clock.monotonic() < held.until:
            return held.text
        self._token = None
        form = {"grant_type": "client_credentials", **request.body}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = await self._poster.post(request.url, headers, urlencode(form).encode())
        token = _read(answer)
        if isinstance(token, Answer):
            return token
        life = _seconds(token.expires_in)
        self._token = _Token(request, token.access_token, self._clock.monotonic() + max(0.0, life - _EARLY))
        return token.access_token


def _read(answer: Answer) -> _TokenAnswer | Answer:
    if not answer.ok:
        return _trouble(answer, answer.trouble)
    try:
        token = msgspec.json.decode(answer.body, type=_TokenAnswer)
    except (msgspec.MsgspecError, RecursionError):
        return _trouble(answer, "its answer is not JSON with an access_token")
    text = token.access_token
    if not text.isascii() or not text.isprintable() or " " in text or not 0 < len(text) <= _LONGEST_TOKEN:
        return _trouble(answer, "its access_token cannot be sent in a header")
    return token


def _trouble(answer: Answer, why: str) -> Answer:
    return Answer(failure="token", detail=f"no access token: {why}", seconds=answer.seconds)


def _seconds(expires_in: float | str | None) -> float:
    try:
        return min(max(float(expires_in), 0.0), 86400.0) if expires_in is not None else _LIFE
    except ValueError:
        return _LIFE
