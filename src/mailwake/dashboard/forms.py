"""What a form sends: its fields, from a body that is not too long."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mailwake.api.bodies import read_body
from mailwake.api.errors import ApiError, Fault

if TYPE_CHECKING:
    from starlette.requests import Request

FORM_TYPE = "application/x-www-form-urlencoded"
MOST_OCTETS = 65_536
MOST_FIELDS = 200


async def read_form(request: Request) -> dict[str, str]:
    """The fields by name, of several with one name the last; ApiError when it is no form."""
    body = await read_body(request, MOST_OCTETS, wanted=FORM_TYPE)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise ApiError(Fault.BAD_REQUEST, "the form is not UTF-8, or has too many fields") from None
    return dict(pairs)
