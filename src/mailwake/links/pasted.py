"""Links as people paste them: a whole tracked URL, or the token alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError
from mailwake.links.token import FAMILIES, BadToken
from mailwake.links.tracked_url import parse_url

if TYPE_CHECKING:
    from mailwake.links.token import Link, TokenCodec


class NoTrackedLinkError(MailwakeError):
    """A URL that has not the shape of ours; one line that says which shapes there are."""


def open_pasted(codec: TokenCodec, text: str) -> Link:
    """What the link says; NoTrackedLinkError, or BadToken when it is damaged, forged or of other keys."""
    tracked = parse_url(text)
    if tracked is not None:
        return codec.decode(tracked.token, tracked.family)
    if "/" in text:
        raise NoTrackedLinkError(
            "this is no tracked link: its path is none of /f/…/TOKEN, /q/TOKEN, /o/TOKEN, /u/TOKEN"
        )
    failure = BadToken("forged")
    for family in sorted(FAMILIES):  # a bare token does not say which path it belongs to
        try:
            return codec.decode(text, family)
        except BadToken as error:
            failure = error
    raise failure
