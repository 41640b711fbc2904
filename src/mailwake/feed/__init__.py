"""All events of a node in one order, complete and judged: what every consumer reads."""
