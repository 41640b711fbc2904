"""Pages for people: what became of the mail, in a browser."""
