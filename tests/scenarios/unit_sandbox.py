"""Run a command under the system call filter of a unit file: `python unit_sandbox.py UNIT COMMAND…`; for tests."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ALLOW = 0x7FFF0000
DENY = 0x00050000 | errno.EPERM
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
EQ, MASKED_EQ = 4, 7
PR_SET_NO_NEW_PRIVS = 38
UNKNOWN = -1


class Comparison(ctypes.Structure):
    """scmp_arg_cmp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Filter:
    """A seccomp filter being put together."""

    def __init__(self, library: ctypes.CDLL, default: int) -> None:
        self._library = library
        self._context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, name: str, *comparisons: Comparison) -> None:
        """Have calls of this name, with these arguments, end so; a name the kernel does not know is passed over."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number == UNKNOWN:
            return
        array = (Comparison * len(comparisons))(*comparisons)
        failed = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(comparisons), array
        )
        if failed and number >= 0:
            raise OSError(-failed, f"cannot add {name}")

    def load(self) -> None:
        """Put it in force for this process and all it becomes and starts."""
        failed = self._library.seccomp_load(self._context)
        if failed:
            raise OSError(-failed, "seccomp_load")


def settings(unit: Path) -> dict[str, list[str]]:
    """The values of each setting in the unit, in order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name].append(value)
    return found


def calls(name: str) -> set[str]:
    """The system calls of a set like @system-service, as systemd has it."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    entries = (line.strip() for line in listed.stdout.splitlines()[1:])
    return set().union(*(calls(entry) for entry in entries if entry and not entry.startswith("#")))


def allowed(filters: list[str]) -> set[str]:
    """What remains of an allow-list after its exceptions."""
    found = calls("@default")
    for each in filters:
        names = set().union(*map(calls, each.removeprefix("~").split()))
        found = found - names if each.startswith("~") else found | names
    return found | calls("@default")


def main(unit: Path, command: list[str]) -> None:
    """Become the command, under the unit's filters."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    wanted = settings(unit)
    listed = Filter(library, DENY)
    for name in allowed(wanted["SystemCallFilter"]):
        listed.add(ALLOW, name)
    checked = Filter(library, ALLOW)
    if wanted["MemoryDenyWriteExecute"] == ["yes"]:  # as systemd.exec(5) has it
        both = PROT_WRITE | PROT_EXEC
        checked.add(DENY, "mmap", Comparison(2, MASKED_EQ, both, both))
        checked.add(DENY, "mprotect", Comparison(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
        checked.add(DENY, "pkey_mprotect", Comparison(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
        checked.add(DENY, "shmat", Comparison(2, MASKED_EQ, SHM_EXEC, SHM_EXEC))
    (families,) = wanted["RestrictAddressFamilies"]
    numbers = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
    permitted = {numbers[family] for family in families.split()}
    for family in range(64):
        if family not in permitted:
            checked.add(DENY, "socket", Comparison(0, EQ, family, 0))
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    checked.load()
    listed.load()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
