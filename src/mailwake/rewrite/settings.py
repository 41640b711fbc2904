"""What a site may choose about rewriting; the defaults are what the specification says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RewriteSettings:
    """How a message is planned. Whether anything is tracked at all is decided for each recipient, on rendering."""

    text_click_tracking: bool = True
    """Whether URLs in plain text are tracked: tracked URLs are long, and people read them there."""
    text_click_limit: int | None = None
    """At most so many URLs of the plain text are tracked, the first ones; None: all."""
    open_pixel: Literal["body", "macro"] = "body"
    """"body": the images stand at the start and end of the body. "macro": the image that reports an open stands where
    the sender wrote `{{open_pixel()}}`, and a part without it gets none."""
    track_mso: bool = True
    """Whether links in comments for Microsoft's programs (`<!--[if mso]>`) are tracked, VML shapes among them."""
    tracked_link_text: Literal["track", "skip", "warn"] = "track"
    """What becomes of a link whose text is itself a URL: some filters take a different target for phishing. "warn"
    tracks it and has it logged."""
    on_signed: Literal["skip", "track"] = "skip"
    """What becomes of a message that arrives with a DKIM signature, which any change to its body makes fail. "skip"
    leaves the message alone; "track" changes it, for sites whose mail is signed again further on."""


DEFAULT_SETTINGS = RewriteSettings()
