"""The vendor's metrics that cannot be counted here, and why: who asks for one is told, not given zeros."""

from __future__ import annotations

_NO_PANEL = "mailwake has no panels or seed lists of its own; ask the service that has them"

UNCOUNTED: dict[str, str] = {
    "count_outofband_bounce": "bounces that come back by mail go to the sender's address, and are not seen here",
    "count_spam_complaint": "complaints go to the address that the feedback loop names, and are not seen here",
    **dict.fromkeys(("count_generation_failed", "count_generation_rejection"), "mail is not generated here"),
    **dict.fromkeys(
        (
            *(f"count_{place}_{seen}" for place in ("inbox", "spam") for seen in ("panel", "seed")),
            *(f"count_{place}_seed_{kind}" for place in ("inbox", "spam") for kind in ("private", "virtual")),
            "count_moved_to_inbox",
            "count_moved_to_spam",
            "count_inbox",
            "count_spam",
        ),
        _NO_PANEL,
    ),
}
"""Each by its name, with the reason."""
