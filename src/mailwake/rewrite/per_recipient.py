"""One recipient's copy of a message: the plan with that recipient's URLs in its slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.rewrite.edits import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.rewrite.plan import MessagePlan

# In the order of their slots at the end of a copy's values.
_OWN_PURPOSES = (
    Purpose.HONEYPOT,
    Purpose.OPEN,
    Purpose.INITIAL_OPEN,
    Purpose.AMP_OPEN,
    Purpose.AMP_INITIAL_OPEN,
)


def render(
    plan: MessagePlan,
    *,
    click_urls: Sequence[bytes] | None = None,
    open_url: bytes | None = None,
    initial_open_url: bytes | None = None,
    amp_open_url: bytes | None = None,
    amp_initial_open_url: bytes | None = None,
    honeypot_url: bytes | None = None,
    clean_up: bool = False,
) -> list[bytes]:
    """The copy as pieces to be written one after the other.

    `click_urls` has one URL for each link of `plan.tracked`, in that order; None leaves links as they are. Each other
    URL that is not None puts its image, or the hidden link, into the copy. URLs are ASCII without quotes, `&`, `=`,
    `<`, `>` and spaces. With no URL at all the copy is the original without the removed fields, byte for byte; with
    any, the attributes and macros that are written for the tracking system go too; `clean_up` removes them for a
    recipient whose tracking is on although this message takes no URL. AMP for Email takes images by https alone, so an
    `amp_…` URL of another scheme counts as None. Raises ValueError for a wrong number of click URLs.
    """
    purposes = Purpose.NONE
    values: list[bytes] = []
    if click_urls is not None:
        if len(click_urls) != len(plan.tracked):
            raise ValueError(f"{len(click_urls)} URLs for {len(plan.tracked)} tracked links")
        purposes |= Purpose.CLICK
        values.extend(click_urls)
    own = (honeypot_url, open_url, initial_open_url, _secure(amp_open_url), _secure(amp_initial_open_url))
    for purpose, url in zip(_OWN_PURPOSES, own, strict=True):
        if url is not None:
            purposes |= purpose
        values.append(url or b"")
    if purposes or clean_up:
        purposes |= Purpose.CLEANUP
    out: list[bytes] = []
    plan.template(purposes).append_to(out, values)
    return out


def _secure(url: bytes | None) -> bytes | None:
    return url if url is not None and url.startswith(b"https://") else None
