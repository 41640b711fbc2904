"""A root directory for one mail server: Debian's unpacked package, users and devices of its own, nothing of the host's.

The server runs there by chroot(2), so its files lie exactly where the pages of docs/recipes say, it finds the users
it insists on, and the host gets neither users nor files. That takes root and the unpacked packages
(tools/fetch_mail_servers.sh); where one is missing, the recipes are skipped, loudly.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.scenarios.conftest import PATIENCE, wait_until

_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
_DEBIANS_OWN = {"root": 0, "daemon": 1, "mail": 8, "uucp": 10, "nobody": 65534}
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
_FIRST_ID = 61000


def loopback_address() -> str:
    """An address that nobody else uses, so that all ports can stay as the pages name them."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"


class Root:
    """The unpacked package `name` as a root directory, with `users` and some programs of the host."""

    def __init__(self, name: str, users: list[str], host_programs: list[str] | None = None) -> None:
        package = unpacked(name)
        # Short, as a Unix socket's path may have 107 octets; not below pytest's directories, which are closed.
        self.path = Path(tempfile.mkdtemp(prefix=f"mw-{name}-"))
        self.path.chmod(0o755)
        self._processes: list[subprocess.Popen[bytes]] = []
        for folder in ("bin", "lib", "lib64"):
            (self.path / "usr" / folder).mkdir(parents=True, exist_ok=True)
            (self.path / folder).symlink_to(f"usr/{folder}")
        for entry in package.iterdir():
            if entry.is_dir():
                shutil.copytree(
                    entry,
                    self.path / (self.path / entry.name).resolve().relative_to(self.path.resolve()),
                    symlinks=True,
                    dirs_exist_ok=True,
                )
        for program in host_programs or []:
            found = shutil.which(program)
            assert found, program
            self._copy_from_host(Path(found).resolve(), self.path / "usr/bin" / program)
        self._add_libraries()
        self._add_devices()
        self._add_accounts(users)
        (self.path / "tmp").mkdir()
        (self.path / "tmp").chmod(0o1777)
        for folder in ("run", "var/lib", "var/log", "var/mail", "var/spool"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        if not (self.path / "var/run").exists():
            (self.path / "var/run").symlink_to("../run")

    def _copy_from_host(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(source, target)

    def _add_libraries(self) -> None:
        """What the dynamic linker names for every program and module here, copied from the host where it is missing."""
        own = sorted({str(f.parent) for f in self.path.rglob("*.so*")})
        environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(own)}
        files = [f for f in self.path.rglob("*") if f.is_file() and not f.is_symlink() and "modules" not in f.parts]
        programs = [f for f in files if _is_elf(f)]
        done = subprocess.run(
            ["ldd", *map(str, programs)], env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        for library in sorted(set(_LIBRARY.findall(done.stdout))):
            if not library.startswith(str(self.path)):
                target = self.path / "usr" / library.lstrip("/").removeprefix("usr/")
                self._copy_from_host(Path(library).resolve(), target)

    def _add_devices(self) -> None:
        (self.path / "dev").mkdir()
        for name, (major, minor) in _DEVICES.items():
            device = self.path / "dev" / name
            try:
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(major, minor))
                device.open("rb").close()  # which file systems may forbid
            except PermissionError:
                self.remove()
                pytest.skip(f"RECIPES NOT TESTED: {device.parent} may not have device files, which mail servers need")
            device.chmod(0o666)

    def _add_accounts(self, users: list[str]) -> None:
        numbered = {**_DEBIANS_OWN, **{user: _FIRST_ID + n for n, user in enumerate(users)}}
        self.ids = numbered
        self.write("/etc/passwd", "".join(f"{user}:x:{n}:{n}::/home/{user}:/bin/sh\n" for user, n in numbered.items()))
        self.write("/etc/group", "".join(f"{user}:x:{n}:\n" for user, n in numbered.items()))
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n")
        self.write("/etc/hosts", "127.0.0.1 localhost mail.example.com\n")
        self.write("/etc/services", "smtp 25/tcp\nsubmission 587/tcp\nlmtp 24/tcp\n")
        self.write("/etc/protocols", "tcp 6 TCP\nudp 17 UDP\n")
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")
        self.write("/etc/aliases", "postmaster: root\n")
        self.write("/etc/mailname", "mail.example.com\n")

    def __truediv__(self, path: str) -> Path:
        return self.path / path.lstrip("/")

    def write(self, path: str, text: str) -> Path:
        """The file at `path`, as seen inside."""
        file = self / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def directory(self, path: str, owner: str = "root", mode: int = 0o755, group: str | None = None) -> Path:
        folder = self / path
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        os.chown(folder, self.ids[owner], self.ids[group or owner])
        return folder

    def run(self, *command: str, given: bytes = b"") -> str:
        """The output of a program that ends by itself; `given` is its standard input."""
        done = subprocess.run(
            self._inside(command), env=_ENVIRONMENT, input=given, capture_output=True, timeout=PATIENCE
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A server in the foreground, whose output goes to `log`; `stop` ends it and whatever it has started."""
        with (self / "server.log").open("ab") as log:
            process = subprocess.Popen(
                self._inside(command), env=_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        return ["chroot", str(self.path), *command]

    @property
    def log(self) -> str:
        return "".join(
            p.read_text(errors="replace") for p in [self / "server.log", *(self / "var/log").rglob("*")] if p.is_file()
        )

    def wait_for(self, address: str, port: int, greeting: bytes = b"220") -> None:
        """Return when a server greets at the port."""

        def greets() -> bool:
            assert all(p.poll() is None for p in self._processes), self.log
            with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=5) as connection:
                return connection.recv(len(greeting)) == greeting
            return False

        try:
            wait_until(greets, f"a server listens on {address}:{port}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    def stop(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)
        self._processes.clear()
        self._end_stragglers()

    def _end_stragglers(self) -> None:
        """Children that servers leave behind, known by their root directory."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if (entry / "root").readlink() == self.path.resolve():
                    os.kill(int(entry.name), signal.SIGKILL)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.path, ignore_errors=True)


def certificate(root: Root, address: str) -> tuple[Path, Path]:
    """A new certificate for the address and for mail.example.com, signed by itself, and its key."""
    folder = root.directory("/etc/ssl/private")
    names = ["-subj", "/CN=mail.example.com", "-addext", f"subjectAltName=IP:{address},DNS:mail.example.com"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run([*command, *names, *files], check=True, capture_output=True, timeout=PATIENCE)
    (folder / "key.pem").chmod(0o644)  # the servers read it as themselves
    return folder / "certificate.pem", folder / "key.pem"


def _is_elf(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def unpacked(name: str) -> Path:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("RECIPES NOT TESTED: real mail servers run here as root of a chroot; run the tests as root")
    package = Path(os.environ.get("MAILWAKE_MTAS", "/nonexistent")) / name
    if not package.is_dir():
        pytest.skip(f"RECIPES NOT TESTED: no {name}; run tools/fetch_mail_servers.sh DIR and set MAILWAKE_MTAS=DIR")
    return package
