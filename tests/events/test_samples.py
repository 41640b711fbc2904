"""The samples have what real events of their type have; tests/golden/events holds those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailwake.events.model import EventType
from mailwake.events.samples import sample
from mailwake.events.wire import to_wire

GOLDEN = Path(__file__).parents[1] / "golden" / "events"


@pytest.mark.parametrize("kind", list(EventType))
def test_a_sample_looks_like_the_golden_event_of_its_type(kind: EventType) -> None:
    golden = json.loads((GOLDEN / f"{kind.wire_name}.json").read_text(encoding="utf-8"))
    made = json.loads(json.dumps(to_wire(sample(kind))))
    (group,) = golden["msys"]
    assert set(made["msys"]) == {group}
    left_out = {"bot_reason"} if not made["msys"][group].get("is_bot", True) else set()
    assert set(golden["msys"][group]) - left_out <= set(made["msys"][group])
    assert made["msys"][group]["type"] == kind.wire_name
