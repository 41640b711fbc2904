"""A box for a tracked link: what it says, whose it is, where it leads."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from mailwake.dashboard.event_words import EVENT_WORDS
from mailwake.dashboard.message_list import message_url, recipient_url
from mailwake.dashboard.pages import Page
from mailwake.events.model import EventType
from mailwake.links.keyring import KeyringError
from mailwake.links.pasted import NoTrackedLinkError
from mailwake.links.token import BadToken

if TYPE_CHECKING:
    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.links.token import Link

LINK = "/dashboard/link"
LONGEST = 16_384
"""Characters that are looked at; the longest token is shorter."""

NO_KEYS = (
    "This node has no keys of links, so it can open none. `mailwake link decode` can, where the keys are: on a node "
    "that makes links or answers them."
)
OTHERS = "It is a link of another customer than yours, so what it says is not shown."


async def _ask(visit: Visit) -> Response:
    return await _page(visit)


async def _read(visit: Visit) -> Response:
    pasted = visit.form.get("link", "").strip()
    if not pasted or len(pasted) > LONGEST:
        return await _page(
            visit, pasted[:LONGEST], trouble="Paste a whole link, or the last part of its path.", status=400
        )
    if visit.parts.open_link is None:
        return await _page(visit, pasted, trouble=NO_KEYS, status=503)
    try:
        link = await asyncio.to_thread(visit.parts.open_link, pasted)
    except (NoTrackedLinkError, BadToken) as error:
        return await _page(visit, pasted, trouble=f"{str(error)[:1].upper()}{str(error)[1:]}.", status=400)
    except KeyringError as error:  # its text names a file of the operator's
        visit.parts.log.error("the API cannot answer", request="", error=str(error))
        return await _page(visit, pasted, trouble=NO_KEYS, status=503)
    if visit.viewer.customer not in (None, link.context.customer_id):
        return await _page(visit, pasted, trouble=OTHERS, status=403)
    return await _page(visit, pasted, said=_said(visit, link))


def _said(visit: Visit, link: Link) -> dict[str, Any]:
    context = link.context
    kind = EventType(link.kind)
    return {
        "kind": EVENT_WORDS[kind],
        "target": link.target,
        "name": link.name,
        "recipient": context.recipient,
        "recipient_url": recipient_url(visit, context.recipient),
        "message": context.message_id,
        "message_url": message_url(visit, context),
        "customer": context.customer_id,
        "campaign": context.campaign_id,
        "tags": context.tags,
        "metadata": _metadata(context.metadata),
        "sent": context.sent * 1000,
        "expires": link.expires_at * 1000,
        "expired": visit.view.now > link.expires_at,
    }


def _metadata(text: str) -> list[tuple[str, str]]:
    values = json.loads(text or "{}")
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in values.items()]


async def _page(
    visit: Visit, pasted: str = "", *, said: dict[str, Any] | None = None, trouble: str = "", status: int = 200
) -> Response:
    return await visit.render(
        "link_page.html", status=status, pasted=pasted, said=said, trouble=trouble, longest=LONGEST
    )


LINK_PAGES = (
    Page(path=LINK, answer=_ask, nav="Decode a link", group="Events", icon="link"),
    Page(path=LINK, answer=_read, method="POST", under="Decode a link"),
)
