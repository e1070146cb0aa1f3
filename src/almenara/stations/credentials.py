"""A station's user name and password, kept out of every text.

They travel beside the address, never in it, and only their holder reads them: the
representation, and with it every log line and traceback, shows nothing.

Source: RFC 7616 (digest), RFC 7617 (basic), as RFC 2326 14 uses them.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES = {"md5": hashlib.md5, "sha-256": hashlib.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a station wants to hear before it shows anything."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in self.user):
            raise ValueError("a user name holds no control characters")

    def __str__(self) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """How a station wants to be asked; the strongest of those it offered."""

    scheme: str
    realm: str = ""
    nonce: str = ""
    opaque: str | None = None
    algorithm: str = "md5"
    qop_auth: bool = False


def read_challenge(offers: list[str]) -> Challenge | None:
    """The best of some ``WWW-Authenticate`` values; None if we can answer none."""
    challenges = [found for offer in offers if (found := _read_offer(offer))]
    order = ("sha-256", "md5", "basic")
    challenges.sort(key=lambda c: order.index(c.algorithm))
    return challenges[0] if challenges else None


def _read_offer(offer: str) -> Challenge | None:
    scheme, _, rest = offer.strip().partition(" ")
    fields = {
        key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
        for key, quoted, plain in _FIELD.findall(rest)
    }
    realm = fields.get("realm", "")
    if scheme.lower() == "basic":
        return Challenge(scheme="basic", realm=realm, algorithm="basic")
    algorithm = fields.get("algorithm", "md5").lower()
    if scheme.lower() != "digest" or algorithm not in _HASHES:
        return None
    return Challenge(
        scheme="digest",
        realm=realm,
        nonce=fields.get("nonce", ""),
        opaque=fields.get("opaque"),
        algorithm=algorithm,
        qop_auth="auth" in re.split(r"[\s,]+", fields.get("qop", "")),
    )


def authorization(
    challenge: Challenge,
    credentials: Credentials,
    *,
    method: str,
    uri: str,
    client_nonce: str | None = None,
) -> str:
    """The value of the ``Authorization`` header that answers a challenge."""
    if challenge.scheme == "basic":
        pair = f"{credentials.user}:{credentials.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def digest(text: str) -> str:
        return _HASHES[challenge.algorithm](text.encode()).hexdigest()

    secret = digest(f"{credentials.user}:{challenge.realm}:{credentials.password}")
    act = digest(f"{method}:{uri}")
    parts = {
        "username": credentials.user,
        "realm": challenge.realm,
        "nonce": challenge.nonce,
        "uri": uri,
    }
    if challenge.opaque is not None:
        parts["opaque"] = challenge.opaque
    bare = {"algorithm": challenge.algorithm.upper()}
    if challenge.qop_auth:
        parts["cnonce"] = nonce = client_nonce or secrets.token_hex(8)
        bare |= {"qop": "auth", "nc": "00000001"}
        proof = f"{secret}:{challenge.nonce}:00000001:{nonce}:auth:{act}"
    else:
        proof = f"{secret}:{challenge.nonce}:{act}"
    parts["response"] = digest(proof)
    quoted = [f'{key}="{_escape(value)}"' for key, value in parts.items()]
    return "Digest " + ", ".join(quoted + [f"{k}={v}" for k, v in bare.items()])


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
