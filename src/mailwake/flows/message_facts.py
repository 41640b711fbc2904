"""What the events of a message say of it, be it taken or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.events.privacy import without_names
from mailwake.events.record import MessageFacts
from mailwake.message.summary import domain_of

if TYPE_CHECKING:
    from mailwake.events.privacy import EventPrivacy
    from mailwake.message.msys_header import MsysHeader
    from mailwake.message.summary import Summary
    from mailwake.policy.precedence import EngagementSettings


def message_facts(
    *,
    transmission_id: int,
    now: float,
    content: bytes,
    sender: str,
    privacy: EventPrivacy,
    summary: Summary,
    header: MsysHeader | None,
    settings: EngagementSettings | None,
    customer_id: str,
    pathway: str,
    node_name: str,
    amp_enabled: bool = False,
) -> MessageFacts:
    """The facts; of an anonymous copy without what may say whose it is.

    `settings` is None where the message is refused and its header or a variable cannot be read.
    """
    opens = settings is not None and settings.open_tracking.value
    anonymous = settings is not None and settings.tracking_level.value == "anonymous"
    return MessageFacts(
        transmission_id=transmission_id,
        injection_time=int(now * 1000),
        msg_size=len(content),
        customer_id=customer_id,
        campaign_id=settings.campaign_id.value or "" if settings is not None else "",
        tags=settings.tags.value if settings is not None else (),
        metadata=settings.metadata_text if settings is not None and not anonymous else "",
        friendly_from=without_names(summary.friendly_from) if anonymous else privacy.sender(summary.friendly_from),
        msg_from="" if anonymous else privacy.sender(sender),
        sending_domain=summary.sending_domain or domain_of(sender),
        subject=summary.subject,
        open_tracking=opens,
        click_tracking=settings is not None and settings.click_tracking.value,
        initial_pixel=opens and settings is not None and settings.initial_open.value,
        amp_enabled=amp_enabled,
        transactional=header is not None and header.transactional is True,
        node_name=node_name,
        pathway=pathway,
        anonymous=anonymous,
    )
