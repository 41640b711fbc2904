"""A milter that signs, as OpenDKIM does: it adds a DKIM-Signature to whatever it is asked about.

The milter protocol, as far as Postfix needs it of a filter that adds one field at the end of a message.
"""

from __future__ import annotations

import socketserver
import struct
import threading

_SIGNATURE = b"DKIM-Signature\0v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=YmgK; b=YmIK\0"
_ADDS_HEADERS = 0x01
_NO_REPLY_TO = {b"D", b"A", b"Q"}  # macros, abort, quit


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.read(5):
            length, command = struct.unpack("!Ic", head)
            self.rfile.read(length - 1)
            if command == b"O":
                self._say(b"O" + struct.pack("!III", 2, _ADDS_HEADERS, 0))
            elif command == b"E":
                self._say(b"h" + _SIGNATURE)
                self._say(b"c")
            elif command not in _NO_REPLY_TO:
                self._say(b"c")

    def _say(self, packet: bytes) -> None:
        self.wfile.write(struct.pack("!I", len(packet)) + packet)


class SigningMilter:
    """Serves on a free port of `host` until it is closed."""

    def __init__(self, host: str) -> None:
        self._server = socketserver.ThreadingTCPServer((host, 0), _Conversation)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
