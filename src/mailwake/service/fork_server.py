"""Workers without the second that an interpreter needs to load the program: forked from a process that has loaded it.

The fork server is made before the supervisor has anything that a child must not have (threads, sockets, locks), loads
what workers need, and forks one for each request. A worker forked so is the supervisor's own child all the same: the
fork server lets go of it at once, and the supervisor is the one to whom orphans below it fall (Linux's subreaper). So
it is waited for, signalled and handed over at an upgrade like one that was started as a program.

Where that cannot be had, workers are started as programs, which only takes longer.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

FORKING_SECONDS = 20.0
"""How long a fork may take; the first one waits until the program is loaded. A watchdog has less patience than 30 s."""

PROCESS_NAME = "mailwake-forks"
"""What the system calls the fork server (`ps -o comm`); a worker has its own name there."""

_REQUEST_OCTETS = 1 << 16
_MOST_DESCRIPTORS = 250
_TOO_MANY = os.strerror(errno.EMFILE).encode()


class ForkServer:
    """The supervisor's end; `start` makes one, `fork` asks it for a worker."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self._pid = pid
        self._control: socket.socket | None = control
        control.settimeout(FORKING_SECONDS)
        self.on_failure: Callable[[str, str], None] = lambda worker, error: None
        """Called with a worker's name and what went wrong when it could not be forked."""

    @classmethod
    def start(cls, modules: Sequence[str]) -> ForkServer | None:
        """Make one that loads these modules; None where the system cannot. To be called before there are threads."""
        if not _prctl(_PR_SET_CHILD_SUBREAPER, 1):
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            return None
        if pid == 0:
            ours.close()
            _serve(theirs, modules)
        theirs.close()
        return cls(pid, ours)

    def fork(self, name: str, read_end: int, write_end: int, descriptors: Sequence[int]) -> int:
        """The process id of a new worker with these as standard input and output, and with these descriptors.

        OSError, of which `on_failure` is told, when it cannot be had now, or the fork server is lost.
        """
        try:
            return self._ask(name, read_end, write_end, descriptors)
        except OSError as error:
            self.on_failure(name, error.strerror or str(error))
            raise

    def _ask(self, name: str, read_end: int, write_end: int, descriptors: Sequence[int]) -> int:
        if self._control is None or len(descriptors) > _MOST_DESCRIPTORS:
            raise OSError("there is no fork server")
        request = json.dumps({"name": name, "descriptors": list(descriptors)}).encode()
        try:
            socket.send_fds(self._control, [request], [read_end, write_end, *descriptors])
            answer = self._control.recv(_REQUEST_OCTETS)
        except OSError:
            self.close()
            raise
        if not answer:
            self.close()
            raise OSError("the fork server has ended")
        if not answer.isdigit():  # too many processes, or no memory: that passes
            raise OSError(answer.decode(errors="replace"))
        return int(answer)

    def close(self) -> None:
        """Let it go: it ends when its control socket is closed."""
        control, self._control = self._control, None
        if control is not None:
            control.close()
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)


def _serve(control: socket.socket, modules: Sequence[str]) -> NoReturn:
    status = 1
    try:
        _settle_down(control)
        for module in modules:
            import_module(module)
        gc.collect()
        gc.freeze()  # what is shared stays shared
        while True:
            request, descriptors, flags, _ = socket.recv_fds(control, _REQUEST_OCTETS, _MOST_DESCRIPTORS + 2)
            if not request:
                status = 0
                break
            incomplete = flags & socket.MSG_CTRUNC  # no room for all descriptors
            control.send(_TOO_MANY if incomplete else _fork(control, json.loads(request), descriptors))
            for each in descriptors:
                os.close(each)
    except OSError:
        status = 0  # the supervisor is gone
    except BaseException:
        sys.excepthook(*sys.exc_info())  # a mistake of ours; workers are started as programs then
    finally:
        os._exit(status)


def _settle_down(control: socket.socket) -> None:
    """Keep nothing of the supervisor but standard error, and heed no signal that is meant for it."""
    _prctl(_PR_SET_NAME, PROCESS_NAME)
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # Blocked instead of ignored: one that is for a worker which has only just been forked waits until it can heed it.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM})
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    _close_all_but(control.fileno())


def _close_all_but(kept: int) -> None:
    # Those that are open, not all up to the limit: that may be a thousand million, and may have been lowered since.
    try:
        opened = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        opened = list(range(min(os.sysconf("SC_OPEN_MAX"), 1 << 16)))
    for each in opened:
        if each > 2 and each != kept:
            with contextlib.suppress(OSError):
                os.close(each)


def _fork(control: socket.socket, request: dict[str, object], descriptors: Sequence[int]) -> bytes:
    """Fork a worker that is an orphan at once; its process id, or what went wrong."""
    try:
        told, tell = os.pipe()
    except OSError as error:
        return (error.strerror or "no worker can be forked").encode()
    try:
        between = os.fork()
        if between == 0:
            try:
                worker = os.fork()
                if worker == 0:
                    os.close(told)
                    os.close(tell)
                    control.close()
                    _become_worker(request, descriptors)
                os.write(tell, str(worker).encode())
            finally:
                os._exit(0)
        os.waitpid(between, 0)
        os.set_blocking(told, False)
        return os.read(told, 20)
    except OSError as error:
        return (error.strerror or "no worker can be forked").encode()
    finally:
        os.close(told)
        os.close(tell)


def _become_worker(request: dict[str, object], descriptors: Sequence[int]) -> NoReturn:
    status = 1
    try:
        name, wanted = request["name"], request["descriptors"]
        assert isinstance(name, str)
        assert isinstance(wanted, list)
        _prctl(_PR_SET_NAME, f"mailwake-{name}")
        _put_in_place(descriptors, [0, 1, *wanted])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        status = _run_worker()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_worker() -> int:
    from mailwake.service.worker_main import main

    try:
        main()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _put_in_place(received: Sequence[int], wanted: Sequence[int]) -> None:
    """Give each received descriptor the number that the orders name; both lists may overlap."""
    above = max(*received, *wanted) + 1
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, above) for each in received]
    for each in received:
        os.close(each)
    for each, number in zip(moved, wanted, strict=True):
        os.dup2(each, number, inheritable=number <= 1)
        os.close(each)


def _prctl(option: int, argument: int | str) -> bool:
    """prctl(2); False where there is none, or it is not allowed."""
    try:
        call = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return False
    value = ctypes.c_char_p(argument.encode()[:15]) if isinstance(argument, str) else ctypes.c_ulong(argument)
    return bool(call(option, value, 0, 0, 0) == 0)
