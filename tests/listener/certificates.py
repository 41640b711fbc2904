"""Certificates of every sort, made where they are needed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def write(self, directory: Path, name: str = "") -> tuple[Path, Path]:
        """The PEM files of certificate and key."""
        certificate_path, key_path = directory / f"{name}certificate.pem", directory / f"{name}key.pem"
        certificate_path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        key_path.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate_path, key_path

    def write_encrypted_key(self, path: Path) -> Path:
        secret = serialization.BestAvailableEncryption(b"secret")
        path.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
        return path


def make_certificate(name: str, *, issuer: Made | None = None, days: tuple[float, float] = (-1, 1)) -> Made:
    """A certificate that is valid between so many days from now; self-signed unless an authority issues it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    since, until = (now + datetime.timedelta(days=each) for each in days)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    return Made(built.sign(key if issuer is None else issuer.key, hashes.SHA256()), key)
