"""Debian's OpenSMTPD in a root directory of its own."""

from __future__ import annotations

from .root import Root


class OpenSmtpd(Root):
    """An OpenSMTPD with the users and directories that its package makes."""

    def __init__(self, address: str) -> None:
        super().__init__("opensmtpd", ["opensmtpd", "opensmtpq"], ["sh"])
        self.address = address
        self.directory("/var/lib/opensmtpd/empty")
        self.directory("/var/spool/smtpd", mode=0o711)
        self.write("/etc/aliases", "postmaster: root\nroot: editor@example.net\n")

    def begin(self, *ports: int) -> None:
        self.run("/usr/sbin/smtpd", "-n")
        self.start("/usr/sbin/smtpd", "-d")
        for port in ports:
            self.wait_for(self.address, port)
