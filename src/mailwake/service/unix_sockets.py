"""Listening Unix sockets: one for all workers of an address, and its file, whose mode says who may send mail."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from dataclasses import dataclass

from mailwake.errors import StartupError

PREFIX = "unix:"


@dataclass(frozen=True, slots=True)
class FileAccess:
    """Who may connect: the mode of the socket's file, and its group, None for the process's own."""

    mode: int = 0o660
    group: str | None = None


def path_of(address: str) -> str | None:
    """The path of a `unix:/path` address, None for any other."""
    return address.removeprefix(PREFIX) if address.startswith(PREFIX) else None


def bind_unix(path: str, setting: str) -> socket.socket:
    """A socket bound to a file that nobody has; one that a program left behind is replaced. It does not listen yet.

    Raises StartupError, one line, when the file is in use or cannot be made.
    """
    _make_room(path, setting)
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
    except OSError as error:
        bound.close()
        raise _explain(error, path, setting) from None
    bound.setblocking(False)
    return bound


def _make_room(path: str, setting: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StartupError(
                f"{setting}: cannot listen on {PREFIX}{path}: there is a file that is no socket; move it"
            )
        if _answers(path):
            raise _explain(OSError(errno.EADDRINUSE, ""), path, setting)
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _explain(error, path, setting) from None


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # here nothing is ever waited for but room in a full queue
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # its queue is full, or we may not connect: somebody is there
            return True
        return True


def give_access(path: str, access: FileAccess, setting: str) -> None:
    """Set mode and group of a socket's file; StartupError, one line, when that cannot be done."""
    try:
        if access.group is not None:
            os.chown(path, -1, group_id(access.group, setting))
        os.chmod(path, access.mode)
    except OSError as error:
        raise StartupError(
            f"{setting}: cannot set mode or group of {path}: {error.strerror}; mailwake must own the socket "
            "and be in the group"
        ) from None


def group_id(name: str, setting: str) -> int:
    """The number of a group; StartupError where this machine has none of that name."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise StartupError(
            f"{setting}: socket_group: there is no group {name!r} on this machine; make it, or name another"
        ) from None


def close_and_remove(bound: socket.socket) -> None:
    """Close a socket of `bind_unix`, and remove its file unless somebody else serves it by now."""
    path = bound.getsockname()
    bound.close()
    with contextlib.suppress(OSError):
        if not _answers(path):
            os.unlink(path)


def _explain(error: OSError, path: str, setting: str) -> StartupError:
    advice = {
        errno.EADDRINUSE: "another program listens there; stop it or choose another path",
        errno.EACCES: "mailwake may not write into its directory; change the rights or choose another path",
        errno.ENOENT: "its directory does not exist; make it, or choose another path",
    }.get(error.errno or 0, error.strerror or str(error))
    return StartupError(f"{setting}: cannot listen on {PREFIX}{path}: {advice}")
