"""Private keys as files: nobody but the node's user reads them.

A folder of mode 0700 beside the store holds one file of mode 0600 per key, named after
the public key. A folder or file that others could read is refused with the command that
repairs it: a key that was readable once has to be taken for known. A key stays in the
folder when another succeeds it; what it signed goes on to hold.
"""

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from almenara.core.errors import KeyFileError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
MOST_BYTES = 4096


class FileKey:
    """Fulfils ``evidence.note.Signer``; shows its public half alone."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"FileKey({self.public_key.hex()[:16]})"

    def __reduce__(self) -> str:
        raise TypeError("a private key does not travel")

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


class KeyFolder:
    """The private keys of one purpose, such as ``log``."""

    def __init__(self, folder: Path, purpose: str) -> None:
        self._folder = folder
        self._purpose = purpose

    def place(self, public_key: bytes) -> Path:
        """Where the key with this public half lies."""
        return self._folder / f"{self._purpose}-{public_key.hex()[:32]}.pem"

    def new(self) -> FileKey:
        """Make a key; it is on stable storage when this returns.

        Raises:
            KeyFileError: The folder is open to others, or cannot be written.
        """
        key = FileKey(private := Ed25519PrivateKey.generate())
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        place = self.place(key.public_key)
        try:
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self._refuse_open(self._folder, FOLDER_MODE)
            _write(place, pem)
        except OSError as error:
            raise KeyFileError(f"{place}: {error.strerror}") from error
        return key

    def load(self, public_key: bytes) -> FileKey:
        """The key with this public half.

        Raises:
            KeyFileError: It is missing, damaged, or others could read it.
        """
        place = self.place(public_key)
        try:
            self._refuse_open(self._folder, FOLDER_MODE)
            self._refuse_open(place, FILE_MODE)
            with place.open("rb") as file:
                pem = file.read(MOST_BYTES)
            private = serialization.load_pem_private_key(pem, None)
        except OSError as error:
            raise KeyFileError(
                f"{place}: {error.strerror}; restore it from a backup, or let a new "
                "key enter: almenara audit rotate-key --lost"
            ) from error
        except (ValueError, TypeError) as error:
            raise KeyFileError(f"{place}: not a private key; restore it") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{place}: not an Ed25519 key; restore it")
        key = FileKey(private)
        if key.public_key != public_key:
            raise KeyFileError(f"{place}: another key than its name says; restore it")
        return key

    def _refuse_open(self, place: Path, allowed: int) -> None:
        found = place.lstat()
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
            raise KeyFileError(f"{place}: a link, or of another user; put it right")
        if mode & ~allowed:
            raise KeyFileError(
                f"{place}: others may reach it (mode {mode:04o}); "
                f"chmod {allowed:o} {place}"
            )


def _write(place: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(place, flags, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
