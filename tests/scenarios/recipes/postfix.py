"""Debian's Postfix, set up as its package does it, in a root directory of its own."""

from __future__ import annotations

import re
from pathlib import Path

from .root import Root, certificate

_PRIVATE = [
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
]
# What Debian's package asks for, as "Internet Site" answers it; the address is the test's.
_INTERNET_SITE = """
myhostname = mail.example.com
mydestination = mail.example.com, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
smtpd_tls_cert_file = /etc/ssl/private/certificate.pem
smtpd_tls_key_file = /etc/ssl/private/key.pem
smtpd_tls_security_level = may
smtp_tls_security_level = may
maillog_file = /var/log/mail.log
"""


class Postfix(Root):
    """A Postfix that hands mail for the world to `world` (HOST:PORT), a sink of the test's."""

    def __init__(self, address: str, world: str) -> None:
        super().__init__("postfix", ["postfix", "postdrop"])
        self.address = address
        self.main = (self / "usr/share/postfix/main.cf.debian").read_text() + _INTERNET_SITE
        self.main += f"default_transport = smtp:[{world.split(':')[0]}]:{world.split(':')[1]}\n"
        self.master = (self / "usr/share/postfix/master.cf.dist").read_text()
        self._make_queue()
        self.certificate, _ = certificate(self, address)

    def _make_queue(self) -> None:
        queue = self.directory("/var/spool/postfix")
        for name in _PRIVATE:
            self.directory(f"/var/spool/postfix/{name}", "postfix", 0o700, "root")
        self.directory("/var/spool/postfix/pid")
        self.directory("/var/spool/postfix/maildrop", "postfix", 0o730, "postdrop")
        self.directory("/var/spool/postfix/public", "postfix", 0o710, "postdrop")
        self.directory("/var/lib/postfix", "postfix")
        # As Debian's start script does for the processes that Postfix puts into its queue directory by chroot.
        for name in ("hosts", "services", "resolv.conf", "nsswitch.conf", "localtime"):
            if (self / "etc" / name).exists():
                (queue / "etc").mkdir(exist_ok=True)
                (queue / "etc" / name).write_bytes((self / "etc" / name).read_bytes())

    def add_to_main(self, text: str) -> None:
        self.main += text

    def add_to_master(self, text: str) -> None:
        """New services; one that is there already is replaced, as the pages tell their readers to do."""
        for name, kind in re.findall(r"^(\S+) +(inet|unix) ", text, re.MULTILINE):
            self.master = re.sub(
                rf"^{re.escape(name)} +{kind} .*\n(?:[ \t]+.*\n)*", "", self.master, flags=re.MULTILINE
            )
        self.master += text

    def begin(self, *ports: int) -> None:
        self.write("/etc/postfix/main.cf", self.main)
        # A service without an address would listen on 127.0.0.1, which other servers of this machine may use.
        master = re.sub(r"^(\w+) +inet ", rf"{self.address}:\1 inet ", self.master, flags=re.MULTILINE)
        self.write("/etc/postfix/master.cf", master)
        assert self.run("/usr/sbin/postconf", "-n"), "a configuration"
        self.start("/usr/lib/postfix/sbin/master", "-c", "/etc/postfix", "-d")
        for port in ports:
            self.wait_for(self.address, port)

    def queue(self) -> list[Path]:
        """The queue files of messages that have not been delivered."""
        spool = self / "var/spool/postfix"
        return [f for name in ("incoming", "active", "deferred") for f in (spool / name).rglob("*") if f.is_file()]
