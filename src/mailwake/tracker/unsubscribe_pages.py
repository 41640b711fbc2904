"""What people see at a link for unsubscribing: the page that asks, what it says afterwards, and an operator's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.errors import StartupError
from mailwake.rewrite.unsubscribe_fields import ONE_CLICK
from mailwake.tracker.unsubscribe_form import FROM_PAGE

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_PAGE = 256 * 1024
"""Octets of an operator's own page; it is kept in memory."""


def _page(title: str, *paragraphs: str) -> bytes:
    text = "\n".join(paragraphs)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="font: 1.1em/1.5 system-ui, sans-serif; max-width: 32em; margin: 4em auto; padding: 0 1em">
<main>
<h1>{title}</h1>
{text}
</main>
</body>
</html>
""".encode()


def _button(label: str) -> str:
    # Without an action a form goes to the page's own address, token and all.
    return (
        f'<form method="post"><input type="hidden" name="{FROM_PAGE[0]}" value="{FROM_PAGE[1]}">\n'
        f'<button name="{ONE_CLICK[0]}" value="{ONE_CLICK[1]}" style="font: inherit; padding: 0.5em 1em">'
        f"{label}</button></form>"
    )


QUESTION_PAGE = _page(
    "Unsubscribe", "<p>Do you want to get no more messages like the one you came from?</p>", _button("Unsubscribe")
)
"""Nothing has happened yet: what looks at the links of a message comes here too."""

DONE_PAGE = _page("You are unsubscribed", "<p>The sender has been told. You can close this page.</p>")
"""The event is on the disk."""

NOT_DONE_PAGE = _page(
    "That did not work",
    "<p>You are <strong>not</strong> unsubscribed yet, because of a fault on our side. Please try again.</p>",
    _button("Try again"),
)
"""The event is not on the disk."""


class UnsubscribePage(NamedTuple):
    """What a tracking domain has of its own."""

    question: bytes = QUESTION_PAGE
    then: str = ""
    """The URL where somebody who pressed the button is sent; "" shows a page of ours."""


def read_page(path: Path, where: str) -> bytes:
    """An operator's own page; StartupError, one line, for a file that cannot be read or unsubscribes nobody."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_PAGE + 1)
    except OSError as error:
        raise StartupError(f"{where}: {path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_PAGE:
        raise StartupError(f"{where}: {path} has more than {LARGEST_PAGE >> 10} KiB")
    if not all(text.encode() in content for text in ONE_CLICK):
        button = '<button name="{}" value="{}">'.format(*ONE_CLICK)
        raise StartupError(f'{where}: {path} unsubscribes nobody: it needs <form method="post"> with {button}')
    return content
