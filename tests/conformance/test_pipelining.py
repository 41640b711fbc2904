"""Pipelining beyond what RFC 2920 allows: giant groups, halves of commands, commands where none may be."""

from __future__ import annotations

import pytest

from mailwake.smtp.server_events import MessageData
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.server_protocol import ServerProtocol

LIMITS = ServerLimits(512, 12_288, 2000, 100_000, 10, 10, 100_000)
BEGIN = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
BEGUN = ["220", "250", "250", "250"]


def _play(script: bytes, step: int) -> tuple[list[str], list[bytes]]:
    """The code of each reply, and the messages."""
    protocol = ServerProtocol("mx.example", LIMITS)
    said, messages = b"", []
    for start in range(0, len(script), step):
        protocol.receive_data(script[start : start + step])
        while True:
            while (event := protocol.next_event()) is not None:
                if isinstance(event, MessageData):
                    messages.append(event.content)
                protocol.accept()
            stopped = protocol.overfull
            said += protocol.data_to_send()
            if not stopped:
                break
    return [line[:3].decode() for line in said.splitlines() if line[3:4] == b" "], messages


CASES = {
    "commands behind DATA are text": (
        "DATA\r\nRSET\r\nQUIT\r\n.\r\nNOOP\r\n",
        ["354", "250", "250"],
        ["RSET\r\nQUIT\r\n"],
    ),
    "text behind a refused DATA is commands": (
        "RSET\r\nDATA\r\nhello\r\n.\r\nNOOP\r\n",
        ["250", "503", "500", "500", "250"],
        [],
    ),
    "commands inside a chunk are its octets": (
        "BDAT 12\r\nRSET\r\nQUIT\r\nBDAT 0 LAST\r\nNOOP\r\n",
        ["250", "250", "250"],
        ["RSET\r\nQUIT\r\n"],
    ),
    "a chunk may not be followed by DATA": (
        "BDAT 3\r\nabcDATA\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n",
        ["250", "503", "250", "250"],
        ["abc\r\n"],
    ),
    "nor by MAIL": (
        "BDAT 3\r\nabcMAIL FROM:<e@f.example>\r\nBDAT 2 LAST\r\n\r\n",
        ["250", "503", "250"],
        ["abc\r\n"],
    ),
    "RSET between chunks drops the message": (
        "BDAT 3\r\nabcRSET\r\nBDAT 3 LAST\r\nabcNOOP\r\n",
        ["250", "250", "503", "250"],
        [],
    ),
    "the octets of a refused chunk are no commands": (
        "RSET\r\nBDAT 12 LAST\r\nRSET\r\nQUIT\r\nNOOP\r\n",
        ["250", "503", "250"],
        [],
    ),
    "a chunk without a size ends the connection": ("BDAT\r\nRSET\r\nNOOP\r\n", ["501"], []),
    "a chunk of a size that is none ends the connection": ("BDAT -1 LAST\r\nRSET\r\nNOOP\r\n", ["501"], []),
    "a chunk too big is swallowed": ("BDAT 100001 LAST\r\n" + "x" * 100_001 + "NOOP\r\n", ["552", "250"], []),
    "nothing is obeyed behind QUIT": ("QUIT\r\nNOOP\r\nMAIL FROM:<>\r\n", ["221"], []),
    "half a command is none": ("NOOP\r\nRSE", ["250"], []),
    "a second greeting in one group begins anew": (
        "EHLO y\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
        ["250", "503", "503"],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 1 << 20])
def test_odd_groups(case: str, step: int) -> None:
    script, codes, messages = CASES[case]
    found = _play((BEGIN + script).encode(), step if len(script) < 1000 else max(step, 997))
    assert found == (BEGUN + codes, [message.encode() for message in messages])


def test_a_giant_group_is_answered_to_its_end() -> None:
    number = 200_000
    codes, _ = _play(b"NOOP\r\n" * number + b"QUIT\r\n", 1 << 20)
    assert codes == ["220", *["250"] * number, "221"]


def test_a_giant_group_of_messages_keeps_their_order() -> None:
    number = 5000
    one = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n%d\r\n.\r\n"
    script = "EHLO x\r\n" + "".join(one % index for index in range(number))
    codes, messages = _play(script.encode(), 65_536)
    assert codes == ["220", "250", *["250", "250", "354", "250"] * number]
    assert messages == [b"%d\r\n" % index for index in range(number)]


def test_a_giant_group_of_nonsense_ends_the_connection_soon() -> None:
    codes, _ = _play(b"EHLO x\r\n" + b"nonsense\r\n" * 100_000, 1 << 20)
    assert codes == ["220", "250", *["500"] * LIMITS.errors, "421"]
