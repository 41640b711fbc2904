"""Where the text of `<script>`, `<style>`, `<title>` and their like ends (WHATWG HTML §13.2.5.2 – 13.2.5.31)."""

from __future__ import annotations

from mailwake.html import grammar


def end_of_raw_text(document: bytes, name: bytes, position: int) -> int:
    """The offset of the end tag of the element `name` (lower case) whose content starts here, -1 when it never ends."""
    if name == b"script":
        return _end_of_script(document, position)
    if name == b"plaintext":
        return -1
    match = grammar.RAW_TEXT_END[name].search(document, position)
    return match.start() if match else -1


def _end_of_script(document: bytes, position: int) -> int:
    """A script's `<!--` hides an inner `<script>…</script>` pair from the search for its end (§13.2.5.18)."""
    states = (grammar.SCRIPT_DATA, grammar.SCRIPT_DATA_ESCAPED, grammar.SCRIPT_DATA_DOUBLE_ESCAPED)
    plain, escaped, double_escaped = range(3)
    state = plain
    while (match := states[state].search(document, position)) is not None:
        position = match.end()
        comment_edge = match[1] is not None
        if state == plain:
            if not comment_edge:
                return match.start()
            # In `<!-->` the dashes that open the comment close it too.
            state, position = escaped, match.start() + 2
        elif comment_edge:
            state = plain
        elif state == double_escaped:
            state = escaped
        elif match[2] is not None:
            state = double_escaped
        else:
            return match.start()
    return -1
