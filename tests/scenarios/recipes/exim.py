"""Debian's Exim, its configuration made by Debian's own update-exim4.conf, in a root directory of its own."""

from __future__ import annotations

from .root import Root, certificate

_PROGRAMS = [
    "sh",
    "sed",
    "tr",
    "cat",
    "mktemp",
    "getopt",
    "mv",
    "chown",
    "chmod",
    "dirname",
    "grep",
    "rm",
    "ls",
    "hostname",
    "touch",
    "id",
    "expr",
    "fold",
]


class Exim(Root):
    """An Exim that hands mail for `domains` to `world` (HOST:PORT), a sink of the test's."""

    def __init__(self, address: str, world: str, domains: tuple[str, ...] = ("example.org", "example.net")) -> None:
        super().__init__("exim", ["Debian-exim"], _PROGRAMS)
        self.address = address
        self.certificate, _ = certificate(self, address)
        for folder in ("/var/spool/exim4", "/var/log/exim4"):
            self.directory(folder, "Debian-exim", 0o750)
        self.directory("/var/lib/exim4")
        host, port = world.split(":")
        self.write("/etc/exim4/hubbed_hosts", "".join(f"{domain}: {host}::{port}\n" for domain in domains))

    def begin(self, *ports: int) -> None:
        self.run("/usr/sbin/update-exim4.conf")
        self.run("/usr/sbin/exim4", "-bV")
        self.start("/usr/sbin/exim4", "-bdf", "-q1m")
        for port in ports:
            self.wait_for(self.address, port)
