"""What a route is: declared once, with all that answers requests, validates them and documents them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailwake.api.errors import Fault

if TYPE_CHECKING:
    from mailwake.api.parameters import Parameter
    from mailwake.api.parts import ApiParts
    from mailwake.control.api_keys import ApiKey, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a route's function sees it: known, allowed, validated."""

    parts: ApiParts
    key: ApiKey | None
    """None where the route asks for none."""
    customer: str | None
    """The customer whose data may be seen; None: everybody's."""
    path: Mapping[str, str]
    """The parameters of the path."""
    query: Mapping[str, Any]
    """The parameters of the URL by name, as they were read."""
    body: Any
    """The body, of the type that the route declares."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route's function may give instead of plain results: bytes that are JSON already, or another media type."""

    body: bytes
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method of a path. `answer` gives the results (`{"results": …}` is put around them), a Reply, or a FileReply."""

    method: str
    path: str
    """With parameters in braces."""
    summary: str
    answer: Callable[[Call], Awaitable[Any]]
    details: str = ""
    scope: Scope | None = None
    """What the key must allow; None: no key is needed."""
    path_docs: Mapping[str, str] = field(default_factory=dict)
    """A sentence for each parameter of the path."""
    query: tuple[Parameter, ...] = ()
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the vendor has and mailwake has not, each with the reason."""
    body: type | None = None
    """The msgspec type that it is decoded as; None: there is none."""
    body_schema: Mapping[str, Any] | None = None
    """Its JSON schema, where another part validates it than the type."""
    body_optional: bool = False
    body_example: Any = None
    result: Any = None
    """The JSON schema of the whole answer, or its msgspec type; None: it has no body."""
    result_example: Any = None
    media_type: str = "application/json"
    status: int = 200
    faults: tuple[Fault, ...] = ()
    """Errors beside those of every route of its kind."""

    def all_faults(self) -> tuple[Fault, ...]:
        """Every error that it can answer, those of all routes of its kind among them."""
        found = list(self.faults)
        found += [Fault.BAD_PARAMETER, Fault.SERVER_FAULT, Fault.BUSY]
        if self.scope is not None:
            found += [Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.TOO_MANY]
        if self.body is not None:
            found += [Fault.NOT_UTF8, Fault.TOO_LARGE, Fault.WRONG_MEDIA_TYPE, Fault.NOT_JSON, Fault.MISSING_FIELD]
        return tuple(dict.fromkeys(sorted(found, key=lambda fault: fault.status)))
