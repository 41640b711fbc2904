"""The types of events as settings and filters name them; `events/model.py` says what each of them is."""

from __future__ import annotations

EVENT_TYPES = (
    "click",
    "open",
    "initial_open",
    "link_unsubscribe",
    "amp_click",
    "amp_open",
    "amp_initial_open",
    "list_unsubscribe",
    "injection",
    "delivery",
    "bounce",
    "delay",
    "policy_rejection",
)
"""All of them; a test holds them against `events.model.EventType`."""
