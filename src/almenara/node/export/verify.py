#!/usr/bin/env python3
"""Says whether an evidence package is what was recorded: one file, nothing to install.

Needs Python 3.9 or later and its standard library; no network, no Almenara. Every word
about whom to trust comes from the person who runs it (``--trust``), none from the
package. The package may be hostile: nothing is unpacked, no link is followed, what is
read has limits.

    python3 -I -S verify.py PACKAGE --trust FILE [--json]

PACKAGE is a folder or a stored ZIP. The trust file holds lines ``log KEY`` and
``witness KEY`` with keys as in C2SP signed-note, and lines ``export`` and ``tsa``, each
before a certificate in PEM. The exit status is the package's word: 0 authentic,
1 altered, 3 authentic-with-gaps, 4 unknown-key, 5 not-anchored; 2: could not run.

**Source**: RFC 6962, 2.1 (tree); C2SP signed-note, tlog-checkpoint, tlog-cosignature
and tlog-proof; RFC 8032, 5.1.7 (Ed25519); FIPS 186-5, 6.4.2 (ECDSA); RFC 5652 (CMS);
RFC 3161 (time stamps, by ``openssl``); ISO/IEC 14496-12:2015, 8.8.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import io
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Sequence

AUTHENTIC = "authentic"
ALTERED = "altered"
WITH_GAPS = "authentic-with-gaps"
UNKNOWN_KEY = "unknown-key"
NOT_ANCHORED = "not-anchored"
EXIT = {AUTHENTIC: 0, ALTERED: 1, WITH_GAPS: 3, UNKNOWN_KEY: 4, NOT_ANCHORED: 5}
COULD_NOT_RUN = 2
WORST_FIRST = (ALTERED, UNKNOWN_KEY, NOT_ANCHORED, WITH_GAPS, AUTHENTIC)

FORMAT = "almenara-export/1"
MANIFEST = "manifest-sha256.txt"
SIGNATURE = MANIFEST + ".p7s"
METADATA = "data/metadata.json"
SEGMENT_LEAF = 1
"""The kind byte of a leaf that speaks of a segment."""

MAX_FILES = 50_000
MAX_TEXT_BYTES = 128 * 1024 * 1024
MAX_PROOF_BYTES = 256 * 1024
MAX_LEAF_BYTES = 1024 * 1024
MAX_FRAGMENT_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
OPENSSL_S = 20
TOLERANCE_US = 1
"""Times are whole microseconds, rounded down: one of them is no gap."""

NAME = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,199}){0,5}"
)
HEX64 = re.compile(r"[0-9a-f]{64}")
PEM = re.compile(
    "-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+)-----END CERTIFICATE-----"
)
UUID = re.compile(r"[0-9A-Za-z-]{1,100}")


class CannotRunError(Exception):
    """The question could not be asked: no package, no trust file, no such path."""


class WrongError(Exception):
    """Something in the package does not hold."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, or could not be shown."""

    word: str
    detail: str
    file: str = ""
    first_byte: int | None = None
    end_byte: int | None = None
    """The first byte after it."""

    start_us: int | None = None
    end_us: int | None = None
    segment_id: str = ""

    def line(self) -> str:
        """For people."""
        place = shown(self.file)
        if self.first_byte is not None and self.end_byte is not None:
            place += f" bytes {self.first_byte}-{self.end_byte - 1}"
        if self.start_us is not None and self.end_us is not None:
            place += f" ({utc(self.start_us)} to {utc(self.end_us)})"
        return f"{self.word}: {place + ': ' if place else ''}{self.detail}"


@dataclass
class Report:
    """Everything that was found, and what could not be checked."""

    findings: list[Finding] = field(default_factory=list)
    segments: dict[str, str] = field(default_factory=dict)
    """Segment to its word."""

    notes: list[str] = field(default_factory=list)
    """Said aloud: what was not checked, and what counts as what."""

    checked: dict[str, int] = field(default_factory=dict)

    def word(self) -> str:
        """The package's word: the worst of all."""
        words = {finding.word for finding in self.findings} | set(
            self.segments.values()
        )
        return next((word for word in WORST_FIRST if word in words), AUTHENTIC)

    def add(self, finding: Finding) -> None:
        """Keep a finding; a segment's own word never gets better by it."""
        self.findings.append(finding)
        if finding.segment_id:
            now = self.segments.get(finding.segment_id, AUTHENTIC)
            worse = min(now, finding.word, key=WORST_FIRST.index)
            self.segments[finding.segment_id] = worse

    def altered(self, file: str, detail: str, **place: Any) -> None:
        """Keep that something was changed."""
        self.add(Finding(ALTERED, detail, file, **place))


# ---------------------------------------------------------------- what is looked at


class Folder:
    """A package that lies open in a folder; no link in it is followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.sizes: dict[str, int] = {}
        self.odd: list[str] = []
        """Names that no package has: links, devices, strange letters."""

        for folder, folders, files in os.walk(root, followlinks=False):
            for name in (*folders, *files):
                self._take(Path(folder) / name)

    def _take(self, path: Path) -> None:
        name = path.relative_to(self._root).as_posix()
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            return
        if not stat.S_ISREG(found.st_mode) or not NAME.fullmatch(name):
            self.odd.append(name)
        else:
            self.sizes[name] = found.st_size
        if len(self.sizes) + len(self.odd) > MAX_FILES:
            raise CannotRunError(f"more than {MAX_FILES} files")

    def open(self, name: str) -> BinaryIO:
        """One of the files in ``sizes``."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self._root / name, flags), "rb")


class Archive:
    """A package as a stored ZIP; nothing is unpacked, nothing can swell."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise CannotRunError(f"{path}: no ZIP that can be read: {error}") from error
        self.sizes: dict[str, int] = {}
        self.odd: list[str] = []
        members = self._zip.infolist()
        if len(members) > MAX_FILES:
            raise CannotRunError(f"more than {MAX_FILES} files")
        for member in members:
            self._take(member)
        if sum(self.sizes.values()) > path.stat().st_size:
            raise CannotRunError(f"{path}: holds more than itself; members overlap")

    def _take(self, member: zipfile.ZipInfo) -> None:
        name = member.filename
        mode = member.external_attr >> 16
        plain = (
            member.compress_type == zipfile.ZIP_STORED
            and member.compress_size == member.file_size
            and not member.flag_bits & 0x1
            and (stat.S_IFMT(mode) in (0, stat.S_IFREG))
        )
        if not plain or not NAME.fullmatch(name) or name in self.sizes:
            self.odd.append(name)
        else:
            self.sizes[name] = member.file_size

    def open(self, name: str) -> BinaryIO:
        """One of the files in ``sizes``."""
        try:
            return io.BufferedReader(self._zip.open(name), CHUNK_BYTES)  # type: ignore[type-var,arg-type,unused-ignore]
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
            raise WrongError(f"cannot be read: {error}") from error


def opened(path: Path) -> Folder | Archive:
    """The package at ``path``.

    Raises:
        CannotRunError: There is none that can be read.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Archive(path)
    raise CannotRunError(f"{path}: no such folder or file")


def small(source: Folder | Archive, name: str, limit: int) -> bytes:
    """All of a small file.

    Raises:
        WrongError: It is absent, too long or cannot be read.
    """
    if name not in source.sizes:
        raise WrongError("is missing")
    if source.sizes[name] > limit:
        raise WrongError(f"is longer than {limit} bytes")
    try:
        with source.open(name) as file:
            return file.read(limit + 1)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise WrongError(f"cannot be read: {error}") from error


def sha256_of(source: Folder | Archive, name: str) -> str:
    """Of a whole file, in pieces."""
    digest = hashlib.sha256()
    try:
        with source.open(name) as file:
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise WrongError(f"cannot be read: {error}") from error
    return digest.hexdigest()


def document(data: bytes) -> dict[str, Any]:
    """A JSON object without tricks: no key twice, no NaN, not deep.

    Raises:
        WrongError: It is none.
    """
    try:
        read = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise WrongError(f"is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise WrongError("is no JSON object")
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def shown(text: str) -> str:
    """Fit for a terminal, whoever wrote it."""
    return text if NAME.fullmatch(text) or not text else ascii(text)[:200]


def utc(micros: int) -> str:
    """An instant for people."""
    try:
        at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    except OverflowError:
        return f"{micros} us"
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


# ------------------------------------------------------------------------ signatures

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)


def _edwards_add(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """RFC 8032, 5.1.4: extended homogeneous coordinates."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    g, h = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    i, j, k, m = f - e, h - g, h + g, f + e
    return i * j % _P, k * m % _P, j * k % _P, i * m % _P


def _edwards_times(
    scalar: int, point: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _edwards_add(total, point)
        point = _edwards_add(point, point)
        scalar >>= 1
    return total


def _edwards_point(data: bytes) -> tuple[int, int, int, int] | None:
    """RFC 8032, 5.1.3; None for what is no point."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P


def ed25519_is_good(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of the key signed the message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, r = _edwards_point(public), _edwards_point(signature[:32])
    base = _edwards_point(_BASE_Y.to_bytes(32, "little"))
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or base is None or s >= _L:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % _L
    left = _edwards_times(s, base)
    right = _edwards_add(r, _edwards_times(k, key))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % _P == 0


_Q = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _p256_add(
    a: tuple[int, int] | None, b: tuple[int, int] | None
) -> tuple[int, int] | None:
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % _Q == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, _Q) % _Q
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, _Q) % _Q
    x = (slope * slope - a[0] - b[0]) % _Q
    return x, (slope * (a[0] - x) - a[1]) % _Q


def _p256_times(scalar: int, point: tuple[int, int] | None) -> tuple[int, int] | None:
    total: tuple[int, int] | None = None
    while scalar:
        if scalar & 1:
            total = _p256_add(total, point)
        point = _p256_add(point, point)
        scalar >>= 1
    return total


def p256_is_good(point: bytes, message: bytes, r: int, s: int) -> bool:
    """ECDSA with SHA-256 over P-256; ``point`` is uncompressed (SEC 1)."""
    if len(point) != 65 or point[0] != 4 or not (0 < r < _N and 0 < s < _N):
        return False
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    if x >= _Q or y >= _Q or (y * y - x * x * x + 3 * x - _B) % _Q:
        return False
    z = int.from_bytes(hashlib.sha256(message).digest(), "big")
    w = pow(s, -1, _N)
    found = _p256_add(_p256_times(z * w % _N, _G), _p256_times(r * w % _N, (x, y)))
    return found is not None and found[0] % _N == r


# ----------------------------------------------------------- certificates and the CMS


def der(tag: int, *parts: bytes) -> bytes:
    """One DER value."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def der_parts(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The DER values that follow one another: tag, body, whole.

    Raises:
        WrongError: It is no DER.
    """
    found, at = [], 0
    while at < len(data):
        head = data[at : at + 6]
        if len(head) < 2:
            raise WrongError("is cut short")
        size, body = head[1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4 or len(head) < 2 + count:
                raise WrongError("has a length that makes no sense")
            size, body = int.from_bytes(head[2 : 2 + count], "big"), body + count
        if body + size > len(data):
            raise WrongError("is cut short")
        found.append((head[0], data[body : body + size], data[at : body + size]))
        at = body + size
    return found


OID_SIGNED = bytes.fromhex("06092a864886f70d010702")
OID_DATA = bytes.fromhex("06092a864886f70d010701")
OID_SHA256 = bytes.fromhex("0609608648016503040201")
OID_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")


@dataclass(frozen=True)
class Certificate:
    """What is needed of an X.509 certificate with a P-256 key."""

    whole: bytes
    issuer: bytes
    serial: bytes
    point: bytes

    @property
    def sha256(self) -> str:
        """What people compare."""
        return hashlib.sha256(self.whole).hexdigest()


def certificate(data: bytes) -> Certificate:
    """Read a certificate; its own signature and dates are the giver's business.

    Raises:
        WrongError: It is none.
    """
    try:
        ((_, outer, whole),) = der_parts(data)
        fields = der_parts(der_parts(outer)[0][1])
        if fields[0][0] == 0xA0:
            fields = fields[1:]
        serial, issuer, key = fields[0][2], fields[2][2], fields[5][1]
        point = der_parts(key)[1][1][1:]
    except (IndexError, ValueError) as error:
        raise WrongError("is no certificate") from error
    return Certificate(whole, issuer, serial, point)


def from_pem(text: str) -> bytes:
    """The bytes of one PEM block.

    Raises:
        WrongError: It is none.
    """
    found = PEM.fullmatch(text.strip())
    try:
        if found:
            return base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error:
        pass
    raise WrongError("is no certificate in PEM")


def cms_is_good(signature: bytes, content: bytes, by: Certificate) -> bool:
    """Whether the detached CMS is this certificate's over the content.

    Only one shape is taken: one signer named by issuer and serial, SHA-256, ECDSA, no
    attributes, no certificates. So no byte of it can change unseen. ``openssl cms
    -verify -binary -nointern -noverify`` takes it as well.
    """
    value = _cms_value(signature, by)
    if value is None:
        return False
    try:
        ((_, pair, _),) = der_parts(value)
        (tag_r, r, _), (tag_s, s, _) = der_parts(pair)
    except (WrongError, ValueError):
        return False
    if der(0x30, der(2, r), der(2, s)) != value or (tag_r, tag_s) != (2, 2):
        return False
    return p256_is_good(
        by.point, content, int.from_bytes(r, "big"), int.from_bytes(s, "big")
    )


def _cms_value(signature: bytes, by: Certificate) -> bytes | None:
    """The signature value, if all around it is as it has to be."""
    for at in range(max(0, len(signature) - 74), len(signature) - 2):
        value = signature[at + 2 :]
        if signature[at : at + 2] == bytes([4, len(value)]) and any(
            shape == signature for shape in _cms_shapes(value, by)
        ):
            return value
    return None


def _cms_shapes(value: bytes, by: Certificate) -> Iterator[bytes]:
    """With the digest's parameters absent (RFC 5754) and NULL (older habit)."""
    for null in (b"", b"\x05\x00"):
        digest = der(0x30, OID_SHA256, null)
        signer = der(
            0x30,
            der(2, b"\x01"),
            der(0x30, by.issuer, by.serial),
            digest,
            der(0x30, OID_ECDSA_SHA256),
            der(4, value),
        )
        signed = der(
            0x30,
            der(2, b"\x01"),
            der(0x31, digest),
            der(0x30, OID_DATA),
            der(0x31, signer),
        )
        yield der(0x30, OID_SIGNED, der(0xA0, signed))


# --------------------------------------------------------------- notes, trees, proofs

ED25519, COSIGNATURE = 1, 4


@dataclass(frozen=True)
class NoteKey:
    """A key as C2SP signed-note writes it: ``name+hash+base64``."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes before a signature."""
        body = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(body).digest()[:4]


def note_key(text: str) -> NoteKey:
    """Read a key.

    Raises:
        WrongError: It is none, or its short hash is another's.
    """
    parts = text.strip().split("+", 2)
    try:
        name, short, body = parts[0], bytes.fromhex(parts[1]), _base64(parts[2])
    except (IndexError, ValueError) as error:
        raise WrongError("is no key of a signed note") from error
    key = NoteKey(name, body[0] if body else 0, body[1:])
    if (
        len(key.public) != 32
        or key.kind not in (ED25519, COSIGNATURE)
        or key.id != short
    ):
        raise WrongError("is a key whose parts do not fit together")
    return key


@dataclass(frozen=True)
class Checkpoint:
    """A signed tree head."""

    origin: str
    size: int
    root: bytes
    text: bytes
    """What is signed."""

    signatures: tuple[tuple[str, bytes], ...]
    """Name, and key id with signature."""

    def is_same_tree(self, other: Checkpoint) -> bool:
        """Whether both speak of the same leaves."""
        mine = (self.origin, self.size, self.root)
        return mine == (other.origin, other.size, other.root)


def checkpoint(note: bytes) -> Checkpoint:
    """Read a checkpoint; nothing is believed yet.

    Raises:
        WrongError: It is none.
    """
    try:
        whole = note.decode("utf-8")
        text, _, tail = whole.rpartition("\n\n")
        origin, size, root, *_ = (text + "\n").split("\n")
        lines = [line.split(" ") for line in tail.splitlines()]
        signatures = tuple(
            (name, _base64(value)) for dash, name, value in lines if dash == "\u2014"
        )
        read = Checkpoint(
            origin, _whole(size), _base64(root), (text + "\n").encode(), signatures
        )
    except ValueError as error:
        raise WrongError("holds no checkpoint") from error
    well = (
        whole.endswith("\n") and len(signatures) == len(lines) and 0 < len(lines) <= 100
    )
    if not well or not origin or len(read.root) != 32:
        raise WrongError("holds no checkpoint")
    return read


def signed_by(found: Checkpoint, key: NoteKey) -> bool | None:
    """Whether the key signed; None if there is no line of its own."""
    verdict: bool | None = None
    for name, blob in found.signatures:
        if name != key.name or blob[:4] != key.id:
            continue
        if key.kind == ED25519:
            good = ed25519_is_good(key.public, found.text, blob[4:])
        else:
            good = _cosigned(found, key, blob[4:])
        verdict = good if verdict is None else verdict and good
    return verdict


def _cosigned(found: Checkpoint, key: NoteKey, blob: bytes) -> bool:
    if len(blob) != 72:
        return False
    seconds = int.from_bytes(blob[:8], "big")
    message = f"cosignature/v1\ntime {seconds}\n".encode() + found.text
    return ed25519_is_good(key.public, message, blob[8:])


@dataclass(frozen=True)
class Proof:
    """A leaf's place in a tree."""

    index: int
    path: tuple[bytes, ...]
    head: Checkpoint


def tlog_proof(data: bytes) -> Proof:
    """Read a C2SP tlog-proof.

    Raises:
        WrongError: It is none.
    """
    head, blank, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if lines[0] != "c2sp.org/tlog-proof@v1" or not blank:
            raise WrongError("is no tlog-proof of version 1")
        rest = lines[1:]
        if rest and rest[0].startswith("extra "):
            rest = rest[1:]
        word, number = rest[0].split(" ")
        path = tuple(_base64(line) for line in rest[1:])
        index = _whole(number)
    except (ValueError, IndexError) as error:
        raise WrongError("is no tlog-proof") from error
    if word != "index" or len(path) > 63 or any(len(step) != 32 for step in path):
        raise WrongError("is no tlog-proof")
    return Proof(index, path, checkpoint(note))


def root_by(leaf: bytes, proof: Proof) -> bytes | None:
    """The root that a leaf at its place leads to (RFC 9162, 2.1.3.2); None if none."""
    index, last = proof.index, proof.head.size - 1
    if not 0 <= index <= last:
        return None
    found = hashlib.sha256(b"\x00" + leaf).digest()
    for step in proof.path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = hashlib.sha256(b"\x01" + step + found).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + step).digest()
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


def _base64(text: str) -> bytes:
    read = base64.b64decode(text, validate=True)
    if base64.b64encode(read).decode() != text:
        raise ValueError("not canonical base64")
    return read


def _whole(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text):
        raise ValueError("no whole number")
    return int(text)


# ------------------------------------------------------------------------ whom to trust


@dataclass
class Trust:
    """Whom the person who asks trusts."""

    logs: list[NoteKey] = field(default_factory=list)
    witnesses: list[NoteKey] = field(default_factory=list)
    exporters: list[Certificate] = field(default_factory=list)
    authorities: list[str] = field(default_factory=list)
    """Roots of time stamping, in PEM."""


def trust_of(texts: Sequence[str]) -> Trust:
    """Read trust files.

    Raises:
        CannotRunError: A line cannot be understood: nobody is trusted by halves.
    """
    trust = Trust()
    for text in texts:
        line = waiting = block = ""
        try:
            for line in text.splitlines():
                waiting, block = _trust_line(trust, line.strip(), waiting, block)
        except WrongError as error:
            where = f"trust file, {ascii(line)[:60]}"
            raise CannotRunError(f"{where}: {error}") from error
        if waiting:
            raise CannotRunError("trust file: a certificate is missing at its end")
    return trust


def _trust_line(trust: Trust, line: str, waiting: str, block: str) -> tuple[str, str]:
    if waiting and (line or block):
        block += line + "\n"
        if line != "-----END CERTIFICATE-----":
            return waiting, block
        if waiting == "export":
            trust.exporters.append(certificate(from_pem(block)))
        else:
            from_pem(block)
            trust.authorities.append(block)
        return "", ""
    if not line or line.startswith("#"):
        return waiting, block
    word, _, rest = line.partition(" ")
    if word == "log":
        trust.logs.append(note_key(rest))
    elif word == "witness":
        trust.witnesses.append(note_key(rest))
    elif line in ("export", "tsa"):
        return line, ""
    else:
        raise WrongError("begins with none of log, witness, export, tsa")
    return "", ""


# ---------------------------------------------------------------------- the package


class Package:
    """One look through a package, from its list of files to its last picture."""

    def __init__(self, source: Folder | Archive, trust: Trust) -> None:
        self._source = source
        self._trust = trust
        self.report = Report()
        self._listed: dict[str, str] = {}
        self._hashed: dict[str, str] = {}
        self._vouched = False
        """A trusted exporter signed the list of files."""

        self._stamps: list[Checkpoint] = []
        self._judged: dict[Checkpoint, list[tuple[str, str]]] = {}

    def check(self) -> Report:
        """Everything, in the order in which trust grows."""
        if MANIFEST not in self._source.sizes and METADATA not in self._source.sizes:
            raise CannotRunError(
                f"no {MANIFEST} and no {METADATA}: no evidence package"
            )
        self._check_list()
        self._check_signature()
        self._check_stamps()
        streams = self._streams()
        clips = {clip["file"] for stream in streams for clip in stream["clips"]}
        for name in sorted(set(self._listed) & set(self._source.sizes) - clips):
            self._compare(name)
        for stream in streams:
            StreamCheck(self, stream).check()
        if not any(stream["segments"] for stream in streams):
            self.report.altered(METADATA, "speaks of no recording at all")
        return self.report

    # -- the list of files and its signature

    def _check_list(self) -> None:
        for name in sorted(self._source.odd):
            self.report.altered(name, "is no plain file of a package")
        try:
            lines = small(self._source, MANIFEST, MAX_TEXT_BYTES).decode("utf-8")
            self._listed = _manifest(lines)
        except (WrongError, ValueError) as error:
            self.report.altered(MANIFEST, str(error))
            return
        there = set(self._source.sizes) - {MANIFEST, SIGNATURE}
        for name in sorted(set(self._listed) - there):
            self.report.altered(name, "is listed, and missing")
        for name in sorted(there - set(self._listed)):
            self.report.altered(name, "is not listed: it was added")
        self.report.checked["files"] = len(self._listed)

    def _check_signature(self) -> None:
        try:
            content = small(self._source, MANIFEST, MAX_TEXT_BYTES)
            signature = small(self._source, SIGNATURE, MAX_PROOF_BYTES)
        except WrongError as error:
            self.report.altered(SIGNATURE, str(error))
            return
        if any(cms_is_good(signature, content, by) for by in self._trust.exporters):
            self._vouched = True
            return
        claimed = self._claimed()
        if claimed is None or not cms_is_good(signature, content, claimed):
            why = f"is no signature over {MANIFEST} by the exporting centre"
            self.report.altered(SIGNATURE, why)
            return
        why = f"is signed by nobody on the trust list: certificate {claimed.sha256}"
        self.report.add(Finding(UNKNOWN_KEY, why, MANIFEST))

    def _claimed(self) -> Certificate | None:
        """Who the package says signed it: believed for nothing but a better word."""
        try:
            text = small(self._source, "data/keys/export.pem", MAX_PROOF_BYTES)
            return certificate(from_pem(text.decode("ascii")))
        except (WrongError, ValueError):
            return None

    def _compare(self, name: str) -> None:
        try:
            self.compare(name, sha256_of(self._source, name))
        except WrongError as error:
            self.report.altered(name, str(error))

    def compare(self, name: str, found: str) -> bool:
        """Whether a file has the hash it is listed with; says so if not."""
        if name in self._listed and self._listed[name] != found:
            self.report.altered(
                name, "is not the file that was listed: another SHA-256"
            )
            return False
        return True

    # -- time stamps

    def _check_stamps(self) -> None:
        names = [
            n
            for n in sorted(self._source.sizes)
            if re.fullmatch(r"data/tsa/[^/]+\.tsr", n)
        ]
        if not names:
            return
        openssl = shutil.which("openssl")
        if openssl is None:
            self._say(f"{len(names)} time stamps NOT checked: there is no openssl here")
        elif not self._trust.authorities:
            self._say(f"{len(names)} time stamps NOT checked: no tsa on the trust list")
        else:
            for name in names[:1000]:
                self._check_stamp(openssl, name)

    def _check_stamp(self, openssl: str, name: str) -> None:
        try:
            reply = small(self._source, name, MAX_PROOF_BYTES)
            note = small(
                self._source, name[: -len("tsr")] + "checkpoint", MAX_PROOF_BYTES
            )
            head = checkpoint(note)
        except WrongError as error:
            self.report.altered(name, str(error))
            return
        if _stamped(openssl, reply, head.text, self._trust.authorities):
            self._stamps.append(head)
        else:
            self._say(
                f"{name}: NOT a time stamp of its checkpoint by a trusted authority"
            )

    def _say(self, note: str) -> None:
        if note not in self.report.notes:
            self.report.notes.append(note)

    # -- what the package says of itself

    def _streams(self) -> list[dict[str, Any]]:
        try:
            said = document(small(self._source, METADATA, MAX_TEXT_BYTES))
            return _checked_metadata(said)
        except WrongError as error:
            self.report.altered(METADATA, str(error))
            return []
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.report.altered(METADATA, f"is not as metadata has to be: {error!r}")
            return []

    # -- for one segment

    @property
    def source(self) -> Folder | Archive:
        """Where everything lies."""
        return self._source

    def leaf_of(self, segment: dict[str, Any]) -> dict[str, Any] | None:
        """What the log says of a segment, if its proof holds."""
        own = segment["segment_id"]
        if segment["proof"] is None:
            word = NOT_ANCHORED if self._vouched else UNKNOWN_KEY
            self._word(own, word, "has no proof from the evidence log yet", METADATA)
            return None
        file = segment["proof"]
        try:
            proof = tlog_proof(small(self._source, file, MAX_PROOF_BYTES))
            leaf = small(self._source, segment["leaf"], MAX_LEAF_BYTES)
            _check_root(leaf, proof)
            self._check_head(own, file, proof.head)
            return _segment_leaf(leaf, segment)
        except WrongError as error:
            self._word(own, ALTERED, str(error), file)
            return None
        except (KeyError, TypeError, ValueError) as error:
            self._word(own, ALTERED, f"has a leaf of another kind: {error!r}", file)
            return None

    def _check_head(self, own: str, file: str, head: Checkpoint) -> None:
        """Who vouches for the tree: its log first, then somebody outside.

        Many proofs lead to one checkpoint: it is judged once.
        """
        if head not in self._judged:
            self._judged[head] = self._judge(head)
        for word, detail in self._judged[head]:
            if word == ALTERED:
                raise WrongError(detail)
            self._word(own, word, detail, file)

    def _judge(self, head: Checkpoint) -> list[tuple[str, str]]:
        logs = [key for key in self._trust.logs if key.name == head.origin]
        own = [signed_by(head, key) for key in logs]
        outside = [signed_by(head, key) for key in self._trust.witnesses]
        if False in own:
            return [
                (ALTERED, "has a checkpoint with a wrong signature of a trusted log")
            ]
        if False in outside:
            return [(ALTERED, "has a wrong signature of a trusted witness")]
        words = []
        if True not in own:
            known = not logs and self._trust.logs
            what = "of another log" if known else "signed by no trusted log"
            words.append(
                (UNKNOWN_KEY, f"has a checkpoint {what}: {shown(head.origin)}")
            )
        if True not in outside and not any(head.is_same_tree(s) for s in self._stamps):
            why = "is vouched for by the exporting centre alone"
            words.append((NOT_ANCHORED, why))
        return words

    def _word(self, own: str, word: str, detail: str, file: str) -> None:
        self.report.add(Finding(word, detail, file, segment_id=own))


def _check_root(leaf: bytes, proof: Proof) -> None:
    if root_by(leaf, proof) != proof.head.root:
        raise WrongError("does not lead from this leaf to the checkpoint's root")


def _manifest(text: str) -> dict[str, str]:
    listed: dict[str, str] = {}
    if not text.endswith("\n"):
        raise WrongError("is cut short")
    for line in text[:-1].split("\n"):
        digest, gap, name = line[:64], line[64:66], line[66:]
        if not HEX64.fullmatch(digest) or gap != "  " or not NAME.fullmatch(name):
            raise WrongError(f"has a line that is none: {ascii(line)[:100]}")
        if name in listed or name in (MANIFEST, SIGNATURE):
            raise WrongError(f"lists a file it must not, or twice: {name}")
        listed[name] = digest
    return listed


def _stamped(openssl: str, reply: bytes, data: bytes, roots: Sequence[str]) -> bool:
    """Whether ``openssl ts`` finds the reply to be of this data by one of the roots."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in ("reply", "data", "roots")}
        paths["reply"].write_bytes(reply)
        paths["data"].write_bytes(data)
        paths["roots"].write_text("".join(roots), "ascii")
        line = [openssl, "ts", "-verify", "-in", str(paths["reply"]), "-data"]
        line += [str(paths["data"]), "-CAfile", str(paths["roots"])]
        try:
            done = subprocess.run(  # noqa: S603  # fixed words and our own file names
                line,
                check=False,
                capture_output=True,
                timeout=OPENSSL_S,
                env={**os.environ, "OPENSSL_CONF": os.devnull},
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0


# -------------------------------------------------------- what the documents must hold


def _int(value: Any, most: int = 2**62) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise WrongError(f"has {ascii(value)[:60]} where a number is due")
    return value


def _text(value: Any, shape: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise WrongError(f"has {ascii(value)[:60]} where a name or hash is due")
    return value


def _optional(value: Any, shape: re.Pattern[str]) -> str | None:
    return None if value is None else _text(value, shape)


def _checked_metadata(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The streams with every value of the right kind; anything else is refused."""
    if said["format"] != FORMAT:
        raise WrongError(
            f"is of a format that this verifier does not know; it knows {FORMAT}"
        )
    start, end = _int(said["span"]["start_us"]), _int(said["span"]["end_us"])
    streams: list[dict[str, Any]] = [
        {
            "stream_id": _text(stream["stream_id"], UUID),
            "start_us": start,
            "end_us": end,
            "clips": [_checked_clip(clip) for clip in stream["clips"]],
            "segments": [_checked_segment(row) for row in stream["segments"]],
            "gaps": [_checked_gap(gap) for gap in stream["gaps"]],
        }
        for stream in said["streams"]
    ]
    files = [clip["file"] for stream in streams for clip in stream["clips"]]
    ids = [row["segment_id"] for stream in streams for row in stream["segments"]]
    if len(set(files)) != len(files) or len(set(ids)) != len(ids):
        raise WrongError("names a clip or a segment twice")
    return streams


def _checked_clip(clip: dict[str, Any]) -> dict[str, Any]:
    return {
        "file": _text(clip["file"], NAME),
        "init_bytes": _int(clip["init_bytes"], MAX_FRAGMENT_BYTES),
        "init_sha256": _text(clip["init_sha256"], HEX64),
        "origin_us": _int(clip["origin_us"]),
    }


def _checked_segment(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "segment_id": _text(row["segment_id"], UUID),
        "table": _base64(row["table"]),
        "kept": _table(_base64(row["table"])),
        "clip": _text(row["clip"], NAME),
        "proof": _optional(row["proof"], NAME),
        "leaf": _optional(row["leaf"], NAME),
        "fragments": [_checked_fragment(fragment) for fragment in row["fragments"]],
    }


def _checked_fragment(row: dict[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {
        name: _int(row[name])
        for name in (
            "n",
            "offset_bytes",
            "started_us",
            "ended_us",
            "number",
            "base_90k",
        )
    }
    checked["length_bytes"] = _int(row["length_bytes"], MAX_FRAGMENT_BYTES)
    checked["sha256"] = _text(row["sha256"], HEX64)
    checked["description_sha256"] = _text(row["description_sha256"], HEX64)
    return checked


def _checked_gap(gap: dict[str, Any]) -> dict[str, Any]:
    return {
        "start_us": _int(gap["start_us"]),
        "end_us": 2**62 if gap["end_us"] is None else _int(gap["end_us"]),
        "cause": _text(gap["cause"], re.compile(r"[a-z_]{1,40}")),
    }


TABLE = struct.Struct(">QIqq?32s")
"""A row of a segment's table: offset, length, start, end, key picture, hash."""


def _table(packed: bytes) -> dict[int, dict[str, Any]]:
    """All fragments that a segment ever had, by their number."""
    if len(packed) % TABLE.size:
        raise WrongError("has a table of fragments that is cut short")
    return {
        n: {
            "offset_bytes": offset,
            "length_bytes": length,
            "sha256": sha256.hex(),
            "started_us": start_us,
            "ended_us": end_us,
        }
        for n, (offset, length, start_us, end_us, _, sha256) in enumerate(
            TABLE.iter_unpack(packed)
        )
    }


def _segment_leaf(leaf: bytes, segment: dict[str, Any]) -> dict[str, Any]:
    """What a segment's leaf says; its table of fragments has to be the package's."""
    if not leaf or leaf[0] != SEGMENT_LEAF:
        raise WrongError("has a leaf that speaks of no segment")
    said = document(leaf[1:])
    if said["segment_id"] != segment["segment_id"]:
        other = shown(str(said["segment_id"]))
        raise WrongError(f"is the proof of another segment: {other}")
    kept = [
        [row["offset_bytes"], row["length_bytes"], row["sha256"]]
        for row in segment["kept"].values()
    ]
    digest = hashlib.sha256(segment["table"]).hexdigest()
    if said["table_sha256"] != digest or said["fragments"] != kept:
        raise WrongError("is over another table of fragments than the package has")
    return {
        "stream_id": _text(said["stream_id"], UUID),
        "init_sha256": _text(said["init_sha256"], HEX64),
    }


# --------------------------------------------------------------------- the recordings

DESCRIPTION = bytes.fromhex("0a1e6a8e59c44d0f8d0c6d61e7a31f01")
DESCRIPTION_BODY = struct.Struct(">16sQIqqqqBBxx32s")
NUMBER_AT, BASE_AT, FIXED_BYTES = 20, 60, 68
BOXES = {4: b"moof", 12: b"mfhd", 28: b"traf", 36: b"tfhd", 52: b"tfdt"}


class StreamCheck:
    """One camera's stream: its clips, its segments, what is missing."""

    def __init__(self, package: Package, stream: dict[str, Any]) -> None:
        self._package = package
        self._report = package.report
        self._stream = stream

    def check(self) -> None:
        """Proofs first, then every byte, then the time line."""
        for segment in self._stream["segments"]:
            self._report.segments.setdefault(segment["segment_id"], AUTHENTIC)
            leaf = self._package.leaf_of(segment)
            if leaf is not None:
                self._check_leaf(segment, leaf)
            self._check_rows(segment)
        for clip in self._stream["clips"]:
            self._check_clip(clip)
        self._check_gaps()

    def _check_leaf(self, segment: dict[str, Any], leaf: dict[str, Any]) -> None:
        """The stream and the format against what the log has of them."""
        clips = {clip["file"]: clip for clip in self._stream["clips"]}
        clip = clips.get(segment["clip"])
        if leaf["stream_id"] != self._stream["stream_id"]:
            self._segment(segment, "belongs to another stream, says the log")
        if clip is None or leaf["init_sha256"] != clip["init_sha256"]:
            self._segment(segment, "lies in a clip of another format than the log says")

    def _check_rows(self, segment: dict[str, Any]) -> None:
        """What is said of each fragment against the segment's table."""
        for row in segment["fragments"]:
            known = segment["kept"].get(row["n"])
            keys = ("sha256", "length_bytes", "started_us", "ended_us")
            if known is None or any(known[key] != row[key] for key in keys):
                why = (
                    "is not as the segment's table has it: another hash, length or time"
                )
                self._fragment(segment, row, METADATA, why)

    def _segment(self, segment: dict[str, Any], detail: str) -> None:
        own = segment["segment_id"]
        self._report.altered(METADATA, f"segment {own} {detail}", segment_id=own)

    def _fragment(
        self, segment: dict[str, Any], row: dict[str, Any], file: str, detail: str
    ) -> None:
        self._report.altered(
            file,
            f"fragment {row['n']} of segment {segment['segment_id']} {detail}",
            first_byte=row["offset_bytes"],
            end_byte=row["offset_bytes"] + row["length_bytes"],
            start_us=row["started_us"],
            end_us=row["ended_us"],
            segment_id=segment["segment_id"],
        )

    # -- bytes

    def _check_clip(self, clip: dict[str, Any]) -> None:
        file = clip["file"]
        rows = sorted(
            (
                (segment, row)
                for segment in self._stream["segments"]
                if segment["clip"] == file
                for row in segment["fragments"]
            ),
            key=lambda pair: int(pair[1]["offset_bytes"]),
        )
        if file not in self._package.source.sizes:
            for segment, row in rows:
                self._fragment(segment, row, file, "is missing with its clip")
            return
        before = len(self._report.findings)
        try:
            with (
                self._package.source.open(file) as opened_clip,
                ThreadPoolExecutor(1) as beside,
            ):
                whole = self._read_clip(clip, rows, opened_clip, beside)
        except (WrongError, OSError, EOFError, zipfile.BadZipFile) as error:
            self._report.altered(file, f"cannot be read to its end: {error}")
            return
        same = self._package.compare(file, whole)
        if not same and len(self._report.findings) == before + 1:
            self._report.notes.append(
                f"{file}: yet all that this file knows of it is as it was"
            )

    def _read_clip(
        self,
        clip: dict[str, Any],
        rows: list[tuple[dict[str, Any], dict[str, Any]]],
        file: BinaryIO,
        beside: ThreadPoolExecutor,
    ) -> str:
        """One pass: the whole file's hash beside those of its fragments."""
        whole = hashlib.sha256()
        name, size = clip["file"], self._package.source.sizes[clip["file"]]
        init = file.read(clip["init_bytes"])
        whole.update(init)
        if hashlib.sha256(init).hexdigest() != clip["init_sha256"]:
            self._report.altered(
                name, "begins with another init", first_byte=0, end_byte=len(init)
            )
        at, last_us = clip["init_bytes"], 0
        for number, (segment, row) in enumerate(rows, start=1):
            if row["offset_bytes"] != at:
                self._report.altered(
                    name,
                    "has bytes that belong to no fragment",
                    first_byte=at,
                    end_byte=max(at, row["offset_bytes"]),
                )
                break
            data = file.read(row["length_bytes"])
            hashing = beside.submit(whole.update, data)
            why = _fault_of(data, row, number=number, origin_us=clip["origin_us"])
            hashing.result()
            if not why and row["started_us"] < last_us:
                why = "comes twice, or out of order"
            if why:
                self._fragment(segment, row, name, why)
            last_us = row["ended_us"]
            at += row["length_bytes"]
            self._report.checked["fragments"] = (
                self._report.checked.get("fragments", 0) + 1
            )
        while piece := file.read(CHUNK_BYTES):
            whole.update(piece)
        if at != size and rows:
            word = (
                "is shorter than its list"
                if at > size
                else "goes on after its last fragment"
            )
            self._report.altered(
                name, word, first_byte=min(at, size), end_byte=max(at, size)
            )
        return whole.hexdigest()

    # -- the time line

    def _check_gaps(self) -> None:
        """What is missing inside the span, whether the recorder knew of it or not."""
        pieces = sorted(
            (row["started_us"], row["ended_us"], segment["segment_id"])
            for segment in self._stream["segments"]
            for row in segment["fragments"]
        )
        at, end, last = self._stream["start_us"], self._stream["end_us"], ""
        for start_us, end_us, segment_id in pieces:
            if start_us - at > TOLERANCE_US:
                self._gap(at, min(start_us, end), segment_id)
            at, last = max(at, end_us), segment_id
        if end - at > TOLERANCE_US:
            self._gap(at, end, last)

    def _gap(self, start_us: int, end_us: int, segment_id: str) -> None:
        known = sorted(
            {
                gap["cause"]
                for gap in self._stream["gaps"]
                if gap["start_us"] < end_us and gap["end_us"] > start_us
            }
        )
        cause = "logged as " + ", ".join(known) if known else "NOT logged"
        if self._withheld(start_us, end_us):
            cause += "; pictures were recorded there that are not in the package"
        self._report.add(
            Finding(
                WITH_GAPS,
                f"stream {self._stream['stream_id']}: nothing is here; {cause}",
                METADATA,
                start_us=start_us,
                end_us=end_us,
                segment_id=segment_id,
            )
        )

    def _withheld(self, start_us: int, end_us: int) -> bool:
        return any(
            row["started_us"] < end_us and row["ended_us"] > start_us
            for segment in self._stream["segments"]
            for row in segment["kept"].values()
        )


def _fault_of(  # noqa: PLR0911  # one line per way to be wrong
    data: bytes, row: dict[str, Any], *, number: int, origin_us: int
) -> str:
    """Why these bytes are not the recorded fragment; empty if they are.

    A clip carries fragments as they were recorded but for two numbers: their place in
    the clip. They are put back before hashing, and have to be right themselves.
    """
    if len(data) != row["length_bytes"]:
        return "is cut short"
    size = int.from_bytes(data[:4], "big")
    head, body = data[:size], memoryview(data)[size:]
    if size != 24 + DESCRIPTION_BODY.size or head[4:24] != b"uuid" + DESCRIPTION:
        return "does not begin with its description"
    if len(body) < FIXED_BYTES or any(
        body[at : at + 4] != k for at, k in BOXES.items()
    ):
        return "has no header that can be read"
    fixed = bytearray(body[:FIXED_BYTES])
    (delivered,) = struct.unpack_from(">I", fixed, NUMBER_AT)
    (base_90k,) = struct.unpack_from(">Q", fixed, BASE_AT)
    struct.pack_into(">I", fixed, NUMBER_AT, row["number"] & 0xFFFFFFFF)
    struct.pack_into(">Q", fixed, BASE_AT, row["base_90k"])
    digest = hashlib.sha256(fixed)
    digest.update(body[FIXED_BYTES:])
    if digest.hexdigest() != row["sha256"]:
        return "is not what was recorded: another SHA-256"
    if hashlib.sha256(head).hexdigest() != row["description_sha256"]:
        return "has another description"
    due_90k = ((row["started_us"] - origin_us) * 9 + 50) // 100
    if delivered != number or abs(base_90k - due_90k) > 1:
        return "stands at another place or time in its clip"
    return _described(head, row)


def _described(head: bytes, row: dict[str, Any]) -> str:
    fields = DESCRIPTION_BODY.unpack_from(head, 24)
    if (fields[2], fields[5], fields[6]) != (
        row["n"],
        row["started_us"],
        row["ended_us"],
    ):
        return "describes another fragment or time"
    return "" if fields[9].hex() == row["sha256"] else "describes another hash"


# ------------------------------------------------------------------------- to people


def main(words: Sequence[str] | None = None) -> int:
    """Look, say, and answer with the exit status."""
    asked = argparse.ArgumentParser(
        description="Verify an evidence package of Almenara."
    )
    asked.add_argument("package", type=Path, help="a folder or a stored ZIP")
    asked.add_argument(
        "--trust", type=Path, action="append", default=[], metavar="FILE"
    )
    asked.add_argument("--json", action="store_true", help="for programs")
    given = asked.parse_args(words)
    try:
        _refuse_own_words(given.package, given.trust)
        trust = trust_of([path.read_text("utf-8") for path in given.trust])
        report = Package(opened(given.package), trust).check()
    except (CannotRunError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"could not run: {error}\n")
        return COULD_NOT_RUN
    if not given.trust:
        report.notes.append(
            "no --trust: every key is unknown; ask the centre for its keys"
        )
    sys.stdout.write(as_json(report) if given.json else as_text(report))
    return EXIT[report.word()]


def _refuse_own_words(package: Path, trusts: Sequence[Path]) -> None:
    inside = package.resolve()
    for path in trusts:
        if inside in path.resolve().parents:
            raise CannotRunError(
                f"{path}: lies in the package; whom to trust has to come by another way"
            )


def as_json(report: Report) -> str:
    """For programs."""
    said = {
        "word": report.word(),
        "exit": EXIT[report.word()],
        "segments": report.segments,
        "findings": [vars(finding) for finding in report.findings],
        "not_checked": report.notes,
        "checked": report.checked,
    }
    return json.dumps(said, indent=2) + "\n"


def as_text(report: Report) -> str:
    """For people: one word first."""
    counts = {word: list(report.segments.values()).count(word) for word in WORST_FIRST}
    lines = [report.word().upper(), ""]
    lines += [f"{count:6} segments {word}" for word, count in counts.items() if count]
    lines += [f"{count:6} {what} compared" for what, count in report.checked.items()]
    lines += ["", *_merged(report.findings)] if report.findings else []
    lines += ["", *(f"note: {note}" for note in report.notes)] if report.notes else []
    return "\n".join(lines) + "\n"


def _merged(findings: Sequence[Finding]) -> list[str]:
    """One line each; what is the same of many segments is said once, with the count."""
    order = sorted(findings, key=lambda finding: WORST_FIRST.index(finding.word))
    lines: dict[str, int] = {}
    for finding in order:
        line = finding.line()
        if finding.word in (UNKNOWN_KEY, NOT_ANCHORED) and finding.segment_id:
            line = f"{finding.word}: {finding.detail}"
        lines[line] = lines.get(line, 0) + 1
    return [line if n == 1 else f"{line} ({n} segments)" for line, n in lines.items()]


if __name__ == "__main__":
    sys.exit(main())
