"""What people see at a link for unsubscribing: the page that asks, and what it says afterwards."""

from __future__ import annotations

from mailwake.rewrite.unsubscribe_fields import ONE_CLICK
from mailwake.tracker.unsubscribe_form import FROM_PAGE


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
    "Unsubscribe",
    "<p>Do you want to stop getting messages like the one that brought you here?</p>",
    _button("Unsubscribe"),
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
