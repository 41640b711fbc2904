"""mailwake: engagement tracking for mail that is sent over SMTP."""

__version__ = "0.1.0.dev0"
