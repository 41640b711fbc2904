"""A real nats-server with JetStream, on a port and in a directory of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from pathlib import Path

import nats
import pytest
from nats.js.api import StreamConfig


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class NatsServer:
    """`start()` it, `kill()` it, `start()` it again: the same port and the same streams."""

    def __init__(self, directory: Path, **configuration: object) -> None:
        found = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")
        if found is None:
            pytest.skip("NATS IS NOT TESTED: there is no nats-server here (Debian: apt-get install nats-server)")
        self._command = found
        self._port = _free_port()
        self._file = directory / "nats.json"
        self._configuration = {
            "listen": f"127.0.0.1:{self._port}",
            "jetstream": {"store_dir": str(directory / "store")},
            **configuration,
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    async def start(self, patience: float = 30.0) -> None:
        await asyncio.to_thread(self._file.write_text, json.dumps(self._configuration))
        self._process = await asyncio.create_subprocess_exec(
            self._command, "-c", str(self._file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(patience):
            while b"Server is ready" not in (line := await self._process.stderr.readline()):
                assert line, "nats-server has ended"
        self._draining = asyncio.create_task(self._process.stderr.read())

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            await self._process.wait()
            await self._draining
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def make_stream(self, name: str = "MAIL", subject: str = "mailwake.>", **others: object) -> None:
        client = await nats.connect(self.url)
        await client.jetstream().add_stream(StreamConfig(name=name, subjects=[subject], **others))  # type: ignore[arg-type]
        await client.close()

    async def stored(self, stream: str = "MAIL") -> list[tuple[str, dict[str, str], bytes]]:
        """Subject, headers and content of all that the stream has, in its order."""
        client = await nats.connect(self.url)
        jetstream = client.jetstream()
        last = (await jetstream.stream_info(stream)).state.last_seq
        found = [await jetstream.get_msg(stream, number) for number in range(1, last + 1)]
        await client.close()
        return [(each.subject or "", dict(each.headers or {}), each.data or b"") for each in found]
