"""The sentence at the top of the first page."""

from __future__ import annotations

import pytest

from mailwake.dashboard.figures import Figures
from mailwake.dashboard.overview import headline
from mailwake.dashboard.periods import Comparison

DAY = Comparison(2, 3, 0, 1, "Today", "yesterday")


@pytest.mark.parametrize(
    ("now", "word", "sentence"),
    [
        (Figures(), "Nothing was sent or read", "Today: no event fits the filters."),
        (
            Figures(targeted=3, accepted=2),
            "Nobody has read it yet",
            "Today: none of 2 accepted messages was opened.",
        ),
        (
            Figures(targeted=3, accepted=2, opens=5, clicks=1),
            "It is opened; by whom, nobody can know",
            "Today: opens 5, clicks 1, all of anonymous copies.",
        ),
        (
            Figures(targeted=3, accepted=2, opened=2, opens=5, by_people=2),
            "Yes, people read it",
            "Today: 2 of 2 accepted messages were opened or clicked.",
        ),
        (
            Figures(targeted=3, accepted=2, opened=2, opens=5),
            "Machines look at it, people do not yet",
            "Today: 2 of 2 accepted messages were opened or clicked, 0 of them by people as far as can be told.",
        ),
    ],
)
def test_it_says_what_is_so(now: Figures, word: str, sentence: str) -> None:
    assert headline(now, Figures(), DAY) == (word, sentence)
