"""Messages built around a body in any transfer encoding, and bodies read back by the standard library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.corpus import decode_body, message

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def make_message() -> Callable[..., bytes]:
    return message


@pytest.fixture(scope="session")
def body_decoder() -> Callable[[bytes, bytes], bytes]:
    return decode_body
