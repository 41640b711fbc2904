"""What a client may do to the API's server, whatever it asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of one collector; the first one comes from the settings."""

    connections: int = 500
    """Connections open at once, idle ones too; further ones get 503."""
    header_bytes: int = 16_384
    """Of a request's URL and header together."""
    header_timeout: float = 10.0
    """Seconds in which a request's header must be complete."""
    body_timeout: float = 30.0
    """Seconds in which its body must be complete."""
    answer_timeout: float = 60.0
    """Seconds that an answer may take to be made."""
    write_timeout: float = 30.0
    """Seconds after which a client that takes nothing of its answer is disconnected."""
    idle_timeout: float = 15.0
    """Seconds that a connection is kept for another request."""
    requests: int = 32
    """Requests in hand at once; further ones get 503."""
    requests_of_one: int = 8
    """Of these with one key, or of one user of the dashboard; further ones get 429, so that others find some."""
    sweep_seconds: float = 1.0
    """How often the server looks for clients that are too slow."""
    grace: float = 10.0
    """Seconds that requests in hand have for their end when the server stops."""

    @property
    def connections_of_address(self) -> int:
        """Connections that one address may have of all, so that others find some."""
        return max(1, self.connections // 2)
