"""Tracked links: tokens and the keys that make them."""
