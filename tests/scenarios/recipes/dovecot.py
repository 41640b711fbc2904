"""Debian's Dovecot with its LMTP service, in a root directory of its own."""

from __future__ import annotations

import shutil

from tests.scenarios.conftest import wait_until

from .newsletters import subject_of
from .root import Root, certificate


class Dovecot(Root):
    """A Dovecot set up as its package does it; the page's files come on top."""

    def __init__(self, address: str) -> None:
        super().__init__("dovecot", ["dovecot", "dovenull", "vmail", "mailwake"])
        self.address = address
        shutil.copytree(self / "usr/share/dovecot/conf.d", self / "etc/dovecot/conf.d", dirs_exist_ok=True)
        shutil.copy(self / "usr/share/dovecot/dovecot.conf", self / "etc/dovecot/dovecot.conf")
        self.write("/usr/share/dovecot/protocols.d/lmtpd.protocol", "protocols = $protocols lmtp\n")
        chain, key = certificate(self, address)
        shutil.copy(chain, self / "etc/dovecot/private/dovecot.pem")
        shutil.copy(key, self / "etc/dovecot/private/dovecot.key")
        self.directory("/var/lib/dovecot")
        self.directory("/var/vmail", "vmail")
        # Dovecot's other log is syslog, which there is none of here.
        self.write("/etc/dovecot/conf.d/99-of-the-test.conf", "log_path = /var/log/dovecot.log\n")

    def begin(self, *ports: int) -> None:
        self.run("/usr/sbin/dovecot", "-n")
        self.start("/usr/sbin/dovecot", "-F")
        for port in ports:
            self.wait_for(self.address, port)

    def delivered(self, user: str, subject: str) -> bytes:
        """The one message with this subject in the mailbox of user@domain, once it is there."""

        def found() -> list[bytes]:
            return [content for content in self.mailbox(user) if subject_of(content) == subject]

        (message,) = wait_until(found, f"{subject} is in the mailbox of {user}")
        return bytes(message)

    def mailbox(self, user: str) -> list[bytes]:
        """The messages of user@domain, as Dovecot has written them."""
        local, domain = user.split("@")
        folder = self / f"var/vmail/{domain}/{local}/Maildir/new"
        return [file.read_bytes() for file in sorted(folder.glob("*"))]
