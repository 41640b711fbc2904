from __future__ import annotations

import pytest

from mailwake.events.bounce_class import bounce_class


@pytest.mark.parametrize(
    ("code", "enhanced", "expected"),
    [
        (550, "5.1.1", 10),
        (552, "5.2.2", 22),
        (452, "4.2.2", 22),
        (552, "5.3.4", 23),
        (550, "5.7.1", 50),
        (421, "4.4.1", 20),
        (451, "4.3.0", 70),
        (450, "", 70),
        (550, "", 30),
        (554, "", 1),
        (554, "nonsense", 1),
    ],
)
def test_replies_are_classed_by_their_enhanced_code_first(code: int, enhanced: str, expected: int) -> None:
    assert bounce_class(code, enhanced) == expected
