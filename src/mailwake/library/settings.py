"""How `mailwake.track` tracks: one typed value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mailwake.config.kinds import is_authority
from mailwake.errors import MailwakeError
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LATEST = 4_000_000_000
"""The last moment that ids have room for, in Unix seconds."""
_LONGEST_LIFE = 10**10 - 1
_LARGEST_ID = (1 << 63) - 1


class TrackError(MailwakeError, ValueError):
    """What `track` was given cannot be used: an argument, or the message's X-MSYS-API header; one line says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSettings:
    """How a message is tracked; what its own X-MSYS-API header says wins, each field by itself (1-injection §1)."""

    tracking_domain: str
    """Host, or host:port, of the tracker, as it stands in links."""
    open_tracking: bool = True
    """Whether an image at the end of the HTML part reports opens."""
    click_tracking: bool = True
    """Whether links are tracked."""
    initial_open: bool = True
    """Whether opens are also reported by an image at the start, which is shown even where long messages are clipped."""
    honeypot_link: bool = False
    """Whether HTML parts get a hidden link that only machines follow, where clicks are tracked."""
    open_tracking_scheme: Literal["http", "https"] = "https"
    """The scheme of the images; AMP parts take `https` alone."""
    click_tracking_scheme: Literal["http", "https"] = "https"
    """The scheme of the links."""
    tracking_link_expiry: int = 31_536_000
    """Seconds after which a click still leads on, but leaves no event."""
    list_unsubscribe: bool = False
    """Whether a message without a List-Unsubscribe field gets one, with a link for one click (RFC 8058)."""
    campaign_id: str | None = None
    """The campaign that events name; at most 64 bytes of UTF-8."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What events say of the recipient; of it travels what fits `max_metadata_len`, whole pairs in their order."""
    tags: Sequence[str] = ()
    """Labels that events carry; at most ten, more are left out."""
    customer_id: str | None = None
    """Whose mail it is."""
    click_tracking_include_metadata: bool = True
    """Whether links carry the metadata too, and not the images alone."""
    max_metadata_len: int = 200
    """Bytes of metadata that travel, as compact JSON."""
    rewriting: RewriteSettings = DEFAULT_SETTINGS
    """What a site may choose about the changes themselves."""
    sent: int | None = None
    """Unix seconds from which on the life of links counts; None: what the message's Date field says."""
    transmission_id: int | None = None
    """The message's number in events, below 2**63. None: made from message, recipient and time, so that the same call
    gives the same bytes; two of those are equal by chance once in four billion messages of the same second."""
    recipient_index: int = 0
    """With a `transmission_id` that recipients share, a number of this one's own, below 65,536."""

    def __post_init__(self) -> None:
        if not is_authority(self.tracking_domain):
            raise TrackError(f"tracking_domain {self.tracking_domain!r}: must be a host or host:port, without a scheme")
        _check("tracking_link_expiry", self.tracking_link_expiry, _LONGEST_LIFE)
        _check("max_metadata_len", self.max_metadata_len, 4096)
        _check("recipient_index", self.recipient_index, 0xFFFF)
        _check("sent", self.sent or 0, LATEST)
        _check("transmission_id", self.transmission_id or 0, _LARGEST_ID)
        for name in ("open_tracking_scheme", "click_tracking_scheme"):
            if getattr(self, name) not in ("http", "https"):
                raise TrackError(f"{name} {getattr(self, name)!r}: must be 'http' or 'https'")


def _check(name: str, value: int, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise TrackError(f"{name} {value!r}: must be a whole number from 0 to {largest}")
