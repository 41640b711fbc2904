"""Messages of any shape: the parts found are those that were made, and only the body of a message ever changes."""

from __future__ import annotations

from hypothesis import given, settings
from tests.fuzz.message_invariants import check_message
from tests.fuzz.mime_strategies import Made, messages

from mailwake.message.mime_tree import parse
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import make_plan


@given(messages())
@settings(max_examples=300)
def test_copies_of_any_tree(made: Made) -> None:
    plan = check_message(made.content)
    leaves = [part for part in plan.root.walk() if not part.parts]
    assert [(part.start, part.end) for part in leaves] == [(leaf.start, leaf.end) for leaf in made.leaves]
    assert not any(part.broken for part in plan.root.walk() if part.is_multipart)
    top = made.top()
    planned = {part.kind: part for part in plan.parts}
    assert {kind for kind, leaf in top.items() if leaf.surely} <= set(planned) <= set(top)
    for kind, part in planned.items():
        leaf = top[kind]
        assert (part.part.start, part.part.end) == (leaf.start, leaf.end)
        assert part.text == leaf.text


@given(messages())
@settings(max_examples=200)
def test_parts_that_are_no_body_stay_byte_for_byte(made: Made) -> None:
    plan = make_plan(made.content, parse(made.content))
    urls = [b"http://t.example/%d" % number + b"X" * 1000 for number in range(len(plan.tracked))]
    copy = b"".join(render(plan, click_urls=urls, open_url=b"http://t.example/o", amp_open_url=b"https://t.example/p"))
    new_leaves = [part for part in parse(copy).walk() if not part.parts]
    bodies = list(made.top().values())
    for leaf, new in zip(made.leaves, new_leaves, strict=True):
        if leaf not in bodies:
            assert copy[new.start : new.end] == made.content[leaf.start : leaf.end]
