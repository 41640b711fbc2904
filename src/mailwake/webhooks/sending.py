"""One attempt to send a body to a webhook's target: headers, credentials, signature, and a second try after 401."""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode
from typing import TYPE_CHECKING

from mailwake.webhooks.oauth import AccessTokens
from mailwake.webhooks.posting import Answer
from mailwake.webhooks.signature import signature_headers

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.webhooks.posting import Poster
    from mailwake.webhooks.webhook import Webhook

_GZIP_LEVEL = 5


class Sender:
    """Sends to one webhook; holds its access token."""

    def __init__(self, poster: Poster, clock: Clock) -> None:
        self._poster = poster
        self._clock = clock
        self._tokens = AccessTokens(poster, clock)

    async def send(self, webhook: Webhook, batch_id: str, body: bytes) -> Answer:
        """POST the body once; a target that does not take our access token (401) is asked again with a new one."""
        sent = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL, mtime=0) if webhook.gzip else body
        answer = await self._attempt(webhook, batch_id, body, sent)
        if answer.status == 401 and webhook.auth_type == "oauth2":
            self._tokens.forget()
            answer = await self._attempt(webhook, batch_id, body, sent)
        return answer

    async def _attempt(self, webhook: Webhook, batch_id: str, body: bytes, sent: bytes) -> Answer:
        authorization = _basic(webhook)
        if webhook.auth_type == "oauth2" and webhook.auth_request_details is not None:
            token = await self._tokens.fetch(webhook.auth_request_details)
            if isinstance(token, Answer):
                return token
            authorization = {"Authorization": f"Bearer {token}"}
        now = self._clock.now()
        secrets = [webhook.signing_secret, *(each.secret for each in webhook.former_secrets if now < each.until)]
        headers = {
            **webhook.custom_headers,
            "Content-Type": "application/json",
            **({"Content-Encoding": "gzip"} if webhook.gzip else {}),
            **({"X-MessageSystems-Webhook-Token": webhook.auth_token} if webhook.auth_token else {}),
            "X-MessageSystems-Batch-ID": batch_id,
            **authorization,
            **signature_headers(batch_id, int(now), body, filter(None, secrets)),
        }
        return await self._poster.post(webhook.target, headers, sent)


def _basic(webhook: Webhook) -> dict[str, str]:
    """RFC 7617, in UTF-8."""
    if webhook.auth_type != "basic":
        return {}
    credentials = f"{webhook.username}:{webhook.password}".encode()
    return {"Authorization": f"Basic {b64encode(credentials).decode()}"}
