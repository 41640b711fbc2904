"""SMTP in."""
