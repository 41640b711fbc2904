"""What a forked worker runs in the tests of the fork server: it obeys one line, in the place of the real worker."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from mailwake.service import worker_main


def _obey() -> None:
    word, _, argument = os.read(0, 100).decode().strip().partition(" ")
    if word == "show":
        sys.stdout.write(os.pread(int(argument), 100, 0).decode())
    elif word == "exit":
        sys.exit(int(argument))
    elif word == "raise":
        sys.excepthook = lambda *_: None
        raise RuntimeError("no luck")
    elif word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "wait":
        os.write(1, b"waiting\n")
        signal.pause()
    elif word == "parent":
        sys.stdout.write(str(os.getppid()))
    elif word == "open":
        listing = os.open("/proc/self/fd", os.O_RDONLY)
        found = sorted(int(each.name) for each in Path("/proc/self/fd").iterdir())
        os.close(listing)
        sys.stdout.write(",".join(str(each) for each in found if Path(f"/proc/self/fd/{each}").exists()))


worker_main.main = _obey
