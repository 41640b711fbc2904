"""Tracking from a program of one's own, without the service; what is public is exported by `mailwake` itself."""
