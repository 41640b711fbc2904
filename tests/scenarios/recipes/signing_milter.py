"""A milter that signs, as OpenDKIM does, whatever it is asked about, and refuses some recipients, as others do.

The milter protocol, as far as Postfix needs it of a filter that adds one field at the end of a message.
"""

from __future__ import annotations

import socketserver
import struct
import threading

_SIGNATURE = b"DKIM-Signature\0v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=YmgK; b=YmIK\0"
_ADDS_HEADERS = 0x01
_NO_REPLY_TO = {b"D", b"A", b"Q"}  # macros, abort, quit


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    refusals: dict[str, str]


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while head := self.rfile.read(5):
            length, command = struct.unpack("!Ic", head)
            said = self.rfile.read(length - 1)
            if command == b"O":
                self._say(b"O" + struct.pack("!III", 2, _ADDS_HEADERS, 0))
            elif command == b"E":
                self._say(b"h" + _SIGNATURE)
                self._say(b"c")
            elif command == b"R" and (refusal := self.server.refusals.get(said.split(b"\0")[0].strip(b"<>").decode())):
                self._say(b"y" + refusal.encode() + b"\0")
            elif command not in _NO_REPLY_TO:
                self._say(b"c")

    def _say(self, packet: bytes) -> None:
        self.wfile.write(struct.pack("!I", len(packet)) + packet)


class SigningMilter:
    """Serves on a free port of `host` until it is closed; `refusals` are replies to recipients."""

    def __init__(self, host: str, refusals: dict[str, str]) -> None:
        self._server = _Server((host, 0), _Conversation)
        self._server.refusals = refusals
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
