"""How well bot rules tell machines from people, over the labelled set that the tests ship.

python tools/evaluate_bots.py [--rules FILE] [--markdown] [--mistakes]

--markdown gives the tables of docs/bots.md, --mistakes every event that is judged wrongly.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailwake.config.enrichment_settings import Enrichment
from mailwake.enrichment.contract import HOLD_SECONDS
from mailwake.enrichment.enricher import Enricher
from mailwake.events.model import Event, EventType
from mailwake.events.unique_ids import EPOCH
from mailwake.links.body import HONEYPOT_NAME
from mailwake.logs import make_logger
from mailwake.markdown import table
from mailwake.metrics import Metrics

LABELLED = Path(__file__).resolve().parent.parent / "tests" / "enrichment" / "labelled"
START_MS = 1_790_000_000_000
TRANSMISSION = (START_MS - EPOCH * 1000) << 22

_KINDS = {
    "click": "clicks",
    "open": "opens",
    "initial_open": "opens",
    "link_unsubscribe": "unsubscriptions",
    "list_unsubscribe": "unsubscriptions",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled event and what was said of it."""

    scenario: str
    label: str
    event: Event
    rule: str
    """The rule that decided that it is a machine; empty when none did."""

    @property
    def kind(self) -> str:
        """What the tables call such events."""
        return _KINDS[self.event.type.wire_name]

    @property
    def is_right(self) -> bool:
        """Whether the flags say what the label says."""
        if self.label == "ahead":
            return bool(self.event.is_prefetched) and not self.event.is_bot
        return self.event.is_bot is (self.label == "machine") and not self.event.is_prefetched


@dataclass(slots=True)
class Evaluation:
    """Everything that was judged."""

    judged: list[Judged] = field(default_factory=list)

    def counts(self, kind: str) -> Counter[tuple[str, bool]]:
        """How often each label of a kind of event was said to be a machine, or not."""
        return Counter((each.label, bool(each.event.is_bot)) for each in self.judged if each.kind == kind)

    @property
    def mistakes(self) -> list[Judged]:
        """What the flags say wrongly."""
        return [each for each in self.judged if not each.is_right]


def evaluate(rules: Path | None = None, enricher: Enricher | None = None) -> Evaluation:
    """Judge the labelled set as the collector would: observed by time, completed when HOLD_SECONDS have passed."""
    if enricher is None:
        enricher = Enricher(Enrichment(bot_rules=rules), make_logger("json", "error"), Metrics())
    lines = [
        line for path in sorted(LABELLED.glob("*.jsonl")) for line in map(json.loads, path.read_text().splitlines())
    ]
    evaluation = Evaluation()
    held: list[tuple[dict[str, Any], Event]] = []
    for number, line in enumerate(sorted(lines, key=lambda line: int(line["at"])), 1):
        while held and held[0][1].timestamp + HOLD_SECONDS * 1000 < START_MS + line["at"]:
            evaluation.judged.append(_judged(enricher, *held.pop(0)))
        event = _event(line, number)
        if line["type"] == "head":
            enricher.observe_head(event.message_id, event.target_link_url, event.ip_address, event.timestamp)
            continue
        enricher.observe(event)
        if "label" in line:
            held.append((line, event))
    evaluation.judged += [_judged(enricher, *each) for each in held]
    return evaluation


def _judged(enricher: Enricher, line: dict[str, Any], event: Event) -> Judged:
    judged = enricher.complete(event)
    rule = enricher.all_that_hold(event)[0].name if judged.is_bot else ""
    return Judged(line["scenario"], line["label"], judged, rule)


def _event(line: dict[str, Any], number: int) -> Event:
    link = line.get("link")
    return Event(
        type=EventType[line["type"].upper()] if line["type"] != "head" else EventType.CLICK,
        event_id=number,
        timestamp=START_MS + line["at"],
        message_id=f"{TRANSMISSION:016x}{line['copy']:04x}",
        transmission_id=TRANSMISSION,
        rcpt_to=f"r{line['copy']}@example.com",
        ip_address=line.get("address", ""),
        user_agent=line.get("user_agent", ""),
        is_prefetched=line.get("prefetched", False),
        target_link_url="" if link is None else f"https://www.example.com/{link}",
        target_link_name=HONEYPOT_NAME if link == "hidden" else "",
    )


def confusion_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """For each kind of event: people and machines, and how each were judged."""
    rows = []
    for kind in dict.fromkeys(_KINDS.values()):
        counts = evaluation.counts(kind)
        people, machines = counts["person", False], counts["machine", True]
        wrong_people, wrong_machines = counts["person", True], counts["machine", False]
        ahead = [
            each for each in evaluation.judged if each.label == "ahead" and _KINDS[each.event.type.wire_name] == kind
        ]
        right = sum(each.is_right for each in ahead)
        rows.append((kind, *map(str, (people, wrong_people, machines, wrong_machines)), f"{right} of {len(ahead)}"))
    return rows


def rule_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """For each rule that decided anything: how often, and how often wrongly."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for each in evaluation.judged:
        if each.rule:
            (right if each.label == "machine" else wrong)[each.rule] += 1
    rules = sorted(right | wrong, key=lambda rule: (-right[rule], rule))
    return [(rule, str(right[rule]), str(wrong[rule])) for rule in rules]


def mistake_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """For each scenario with mistakes: how many of its events are judged wrongly."""
    total = Counter(each.scenario for each in evaluation.judged)
    wrong = Counter(each.scenario for each in evaluation.mistakes)
    return [(scenario, f"{count} of {total[scenario]}") for scenario, count in wrong.items()]


CONFUSION_HEAD = (
    "events",
    "people, said to be people",
    "people, said to be machines",
    "machines, said to be machines",
    "machines, said to be people",
    "fetched ahead, and said so",
)


RULE_HEAD = ("rule that decided", "machines", "people")


def markdown(evaluation: Evaluation) -> str:
    """The tables of docs/bots.md."""
    return "\n".join(
        (
            table(CONFUSION_HEAD, confusion_rows(evaluation)),
            table(RULE_HEAD, rule_rows(evaluation)),
            table(("what is judged wrongly", "events"), mistake_rows(evaluation)),
        )
    )


def main() -> None:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=Path, help="a file of rules beside the shipped ones")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--mistakes", action="store_true")
    options = parser.parse_args()
    evaluation = evaluate(options.rules)
    if options.markdown:
        sys.stdout.write(markdown(evaluation))
        return
    _print(CONFUSION_HEAD, confusion_rows(evaluation))
    _print(RULE_HEAD, rule_rows(evaluation))
    _print(("what is judged wrongly", "events"), mistake_rows(evaluation))
    if options.mistakes:
        for each in evaluation.mistakes:
            said = each.event.bot_reason or ("prefetched" if each.event.is_prefetched else "nothing")
            print(f"{each.label:8} {each.event.type.wire_name:16} {said:24} {each.scenario}: {each.event.user_agent}")


def _print(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


if __name__ == "__main__":
    main()
