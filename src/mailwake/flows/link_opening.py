"""Opening the token of a link that was followed, with keys that may have been added since the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailwake.errors import MailwakeError
from mailwake.links.token import BadToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.clock import Clock
    from mailwake.links.keyring import Keyring
    from mailwake.links.token import Link, TokenCodec
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

_KEYRING_PAUSE: Final = 1.0


class LinkOpening:
    """Opens tokens, and counts those that it refuses.

    `read_keyring` gives the keyring as it stands now; it is called when a token names an unknown key, at most once a
    second.
    """

    def __init__(
        self,
        codec: TokenCodec,
        metrics: Metrics,
        clock: Clock,
        log: Logger,
        read_keyring: Callable[[], Keyring] | None = None,
    ) -> None:
        self._codec = codec
        self._decode = codec.decode
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._read_keyring = read_keyring
        self._keyring_read_at = -_KEYRING_PAUSE

    def open(self, family: str, token: str) -> Link | None:
        """The link of a token found under this path letter; None for whatever is wrong with it."""
        try:
            return self._decode(token, family)
        except BadToken as refusal:
            found = self._with_new_keys(token, family) if refusal.reason == "key" else None
            if found is None:
                self.refuse(refusal.reason)
            return found

    def refuse(self, reason: str) -> None:
        """Count a link that leads nowhere."""
        self._metrics.counter("tracker_tokens_refused_total", reason).inc()

    def _with_new_keys(self, token: str, family: str) -> Link | None:
        now = self._clock.monotonic()
        if self._read_keyring is None or now - self._keyring_read_at < _KEYRING_PAUSE:
            return None
        self._keyring_read_at = now
        try:
            self._codec.use(self._read_keyring())
            return self._codec.decode(token, family)
        except BadToken:
            return None
        except (MailwakeError, OSError) as error:
            self._log.error("keyring cannot be read; the one in use stays", error=str(error))
            return None
