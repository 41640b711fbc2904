"""Forked workers: whose children they are, what they have, and what happens when the fork server is gone."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, signal, socket, sys
from mailwake.service.fork_server import ForkServer

sys.stderr.flush()
forks = ForkServer.start(["tests.service.forked_module"])
assert forks is not None
os.environ["TOO_LATE"] = "1"  # what comes after the start is none of the fork server's


def worker(name, *descriptors):
    read_end, stdin = os.pipe()
    stdout, write_end = os.pipe()
    pid = forks.fork(name, read_end, write_end, descriptors)
    os.close(read_end)
    os.close(write_end)
    return pid, stdin, stdout


def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

"""


def run(body: str) -> str:
    """What a program prints that has a fork server, and workers that run what `tests.service.forked_module` says."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + body],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_forked_worker_is_our_child_with_the_descriptors_that_were_named() -> None:
    printed = run(
        """
shown = os.memfd_create("shown")
os.write(shown, b"hello")
os.dup2(shown, 40)
pid, stdin, stdout = worker("smtp-3", 40, shown)
os.write(stdin, f"show {shown}\\n".encode())
print(os.read(stdout, 100).decode(), open(f"/proc/{pid}/comm").read().strip(), end(pid))
"""
    )
    assert printed.split() == ["hello", "mailwake-smtp-3", "0"]


def test_its_end_is_told_to_us_whatever_it_was() -> None:
    printed = run(
        """
import time
for what in ("exit 3", "raise", "kill"):
    pid, stdin, stdout = worker("x")
    os.write(stdin, what.encode() + b"\\n")
    print(end(pid))
"""
    )
    assert printed.split() == ["3", "1", "-9"]


def test_it_heeds_signals_as_a_program_would() -> None:
    printed = run(
        """
pid, stdin, stdout = worker("x")
os.write(stdin, b"wait\\n")
assert os.read(stdout, 10) == b"waiting\\n"
os.kill(pid, signal.SIGTERM)
print(end(pid))
"""
    )
    assert printed.split() == ["-15"]


def test_a_signal_that_comes_while_it_is_forked_is_not_lost() -> None:
    printed = run(
        """
pid, _, _ = worker("x")
os.kill(pid, signal.SIGTERM)
end(pid)
ends = set()
for _ in range(40):
    pid, stdin, stdout = worker("x")
    os.kill(pid, signal.SIGTERM)
    os.close(stdin)
    ends.add(end(pid))
print(ends)
"""
    )
    assert printed == "{-15}\n"


def test_it_has_nothing_open_that_it_was_not_given() -> None:
    printed = run(
        """
pid, stdin, stdout = worker("x")
os.write(stdin, b"open\\n")
print(os.read(stdout, 1000).decode(), end(pid))
"""
    )
    assert printed.split() == ["0,1,2", "0"]


def test_what_is_open_beyond_a_lowered_limit_stays_with_the_supervisor() -> None:
    printed = run(
        """
import resource
forks.close()
os.dup2(2, 900)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
forks = ForkServer.start(["tests.service.forked_module"])
pid, stdin, stdout = worker("x")
os.write(stdin, b"open\\n")
print(os.read(stdout, 1000).decode(), end(pid))
"""
    )
    assert printed.split() == ["0,1,2", "0"]


def test_without_the_fork_server_there_is_an_error_and_no_waiting() -> None:
    printed = run(
        """
forks.on_failure = lambda name, error: print(name)
os.kill(forks._pid, signal.SIGKILL)
for _ in range(2):
    try:
        worker("x")
    except OSError as error:
        print("refused")
forks.close()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nobody left")
"""
    )
    assert printed.split("\n") == ["x", "refused", "x", "refused", "nobody left", ""]


def test_what_passes_is_no_reason_to_give_the_fork_server_up() -> None:
    printed = run(
        """
import resource
worker("x")
before = resource.prlimit(forks._pid, resource.RLIMIT_NOFILE)
highest = max(map(int, os.listdir(f"/proc/{forks._pid}/fd")))
for room in (1, 2):  # not for all that is handed over; for that, and nothing else
    resource.prlimit(forks._pid, resource.RLIMIT_NOFILE, (highest + room, before[1]))
    try:
        worker("x")
    except OSError as error:
        print(error)
resource.prlimit(forks._pid, resource.RLIMIT_NOFILE, before)
pid, stdin, stdout = worker("x")
os.write(stdin, b"exit 3\\n")
print(end(pid))
"""
    )
    assert printed.split("\n") == ["Too many open files", "Too many open files", "3", ""]


def test_it_ends_with_the_supervisor() -> None:
    printed = run(
        """
pid, stdin, stdout = worker("x")
os.write(stdin, b"parent\\n")
fork_server = forks._pid
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
print(os.read(stdout, 100).decode(), os.getpid(), end(pid))
pidfd = os.pidfd_open(fork_server)
forks._control.close()
import select
select.select([pidfd], [], [], 60)
print(end(fork_server))
"""
    )
    parent, own, status, ended = printed.split()
    assert (parent, status, ended) == (own, "0", "0")


def test_a_worker_whose_number_got_lost_does_not_take_the_orders_of_the_one_in_its_place() -> None:
    printed = run(
        """
import asyncio
from mailwake.service.worker_process import WorkerProcess

class Losing:
    def fork(self, *asked):
        forks.fork(*asked)
        raise OSError("the answer is lost")

async def live():
    child = WorkerProcess("x", b"exit 7", (), lambda: None, Losing())
    async with asyncio.timeout(60):
        print(await child.run())

asyncio.run(live())
"""
    )
    assert printed == "1\n"  # a program, whose orders are in vain
