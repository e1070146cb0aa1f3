"""The centre's export key: signs the list of files, and does nothing else.

ECDSA over P-256 in a detached CMS, because courts' tools know it. The key lies in one
file that only its owner reads; the certificate is made by the centre itself, so it says
nothing but *this key*: whoever verifies got its print by another way. A key serves a
year; then a new one is made, and the old certificate stays.

Source: RFC 5652; docs/design/evidence-export.md.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
)
from cryptography.x509.oid import NameOID

from almenara.core.errors import ExportError
from almenara.core.ids import CentreId

LIFE = timedelta(days=365)
SLACK = timedelta(days=1)
"""Clocks of verifiers differ; a certificate begins a day before it is made."""

SHAPE = (
    pkcs7.PKCS7Options.DetachedSignature,
    pkcs7.PKCS7Options.Binary,
    pkcs7.PKCS7Options.NoAttributes,
    pkcs7.PKCS7Options.NoCerts,
)
"""Nothing in it but the signature, so that no byte can change without being seen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExportKey:
    """A private key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate, to be given to whoever verifies."""
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def sha256(self) -> str:
        """The certificate's print, to be compared by voice or on paper."""
        return hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest()

    def sign(self, content: bytes) -> bytes:
        """A detached CMS over the content, DER."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(self.certificate, self.key, hashes.SHA256())
        return builder.sign(Encoding.DER, list(SHAPE))


def export_key(folder: Path, *, centre_id: CentreId, now: datetime) -> ExportKey:
    """The key that signs now; made if there is none yet, or none young enough.

    Raises:
        ExportError: The key cannot be read.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(folder.glob("export-*.pem"), reverse=True):
        found = _read(path)
        if found.certificate.not_valid_after_utc > now:
            return found
    made = _made(centre_id, now)
    _keep(folder / f"export-{now:%Y%m%d}.pem", made)
    return made


def _read(path: Path) -> ExportKey:
    try:
        data = path.read_bytes()
        key = load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ExportError(
            f"{path}: the export key cannot be read; restore it from a backup, or move "
            "it away and tell the recipients about the new one"
        ) from error
    if path.stat().st_mode & 0o077:
        raise ExportError(f"{path}: others may read this key; use: chmod 600 {path}")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ExportError(f"{path}: wants an ECDSA key over P-256; move it away")
    return ExportKey(key=key, certificate=certificate)


def _made(centre_id: CentreId, now: datetime) -> ExportKey:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"{centre_id} evidence export")]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return ExportKey(key=key, certificate=certificate)


def _keep(path: Path, made: ExportKey) -> None:
    private = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(private + made.pem.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
