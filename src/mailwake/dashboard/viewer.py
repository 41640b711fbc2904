"""Who looks at a page, and what they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.control.api_keys import Scope

if TYPE_CHECKING:
    from mailwake.control.api_keys import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody who has logged in: with an API key, or at a proxy that is trusted to say so."""

    name: str
    """The key's, or the user's."""
    customer: str | None
    """The only customer whose data they may see; None: everybody's."""
    scopes: frozenset[Scope]
    by_key: bool
    """Whether they can log out here."""

    @classmethod
    def of_key(cls, key: ApiKey) -> Viewer:
        """Who has logged in with this key."""
        return cls(name=key.name, customer=key.customer, scopes=key.scopes, by_key=True)

    @property
    def identity(self) -> bytes:
        """What forms are bound to, so that nobody else's can be sent."""
        return repr((self.by_key, self.name, self.customer)).encode()

    def may(self, scope: Scope) -> bool:
        """Whether they may do what this scope allows."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
