"""Read these first: the way of a message and the way of a click."""
