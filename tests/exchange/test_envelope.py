"""What is not exactly an envelope of the partner's is refused, whatever it is."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.errors import EnvelopeRefusedError
from almenara.exchange.envelope import (
    ENVELOPE,
    RECEIPT,
    Claims,
    open_envelope,
    seal,
    sign,
)
from almenara.exchange.keys import KeyRing, KeyUse
from almenara.exchange.receipt import Receipt, open_receipt, sign_receipt
from tests.exchange.centres import BEGIN, END, SYNCHRONISED, keys

NOW = BEGIN + timedelta(days=60)
ES_KEY, MA_KEY, RING = keys()


def claims(**changes) -> Claims:
    values = {
        "iss": "es",
        "aud": "ma",
        "stream": "es>ma/urgent",
        "epoch": 1,
        "seq": 1,
        "prev": "0" * 64,
        "id": "00000000-0000-0000-0000-000000000001",
        "iat_ms": 1_770_000_000_000,
        "clock": {"synchronised": True, "error_ms": 5},
        "seen": {},
        "type": "rescue.case",
        "ver": 1,
        "body": {"phase": "distress", "position": [36.0, -5.6]},
        "label": {
            "purpose": "sar",
            "sensitivity": "green",
            "personal_data": False,
            "retain_until_ms": 1,
        },
    }
    return Claims.model_validate({**values, **changes})


RAW = seal(claims(), ES_KEY)


def refused(raw: bytes, ring: KeyRing = RING, now=NOW) -> str:
    with pytest.raises(EnvelopeRefusedError) as caught:
        open_envelope(raw, ring, now)
    return caught.value.reason


def b64(value: object) -> bytes:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def with_header(header: dict[str, object]) -> bytes:
    signed = b64(header) + b"." + RAW.split(b".")[1]
    return signed + b"." + urlsafe_b64encode(ES_KEY.sign(signed)).rstrip(b"=")


def test_what_was_sealed_is_read_as_it_was_meant():
    assert open_envelope(RAW, RING, NOW) == claims()


def test_one_flipped_bit_anywhere_is_refused():
    for place in range(len(RAW)):
        spoilt = bytearray(RAW)
        spoilt[place] ^= 1 << (place % 8)
        with pytest.raises(EnvelopeRefusedError):
            open_envelope(bytes(spoilt), RING, NOW)


GOOD = {"alg": "Ed25519", "crit": ["v"], "kid": "es-1", "typ": ENVELOPE, "v": 1}


@pytest.mark.parametrize(
    "header",
    [
        {**GOOD, "alg": "none"},
        {**GOOD, "alg": "EdDSA"},
        {**GOOD, "alg": "HS256"},
        {**GOOD, "jwk": {"kty": "OKP"}},
        {**GOOD, "jku": "https://example.org/keys"},
        {**GOOD, "x5u": "https://example.org/keys"},
        {**GOOD, "crit": ["v", "b64"]},
        {**GOOD, "typ": RECEIPT},
        {**GOOD, "v": 2},
        {**GOOD, "v": True},
        {**GOOD, "kid": None},
        {key: GOOD[key] for key in ("alg", "kid", "typ", "v")},
    ],
)
def test_any_other_header_is_refused_even_when_it_is_signed(header):
    assert refused(with_header(header)) == "header"


def test_the_order_of_the_header_does_not_matter():
    open_envelope(with_header(dict(reversed(GOOD.items()))), RING, NOW)


def test_a_key_counts_for_its_centre_its_use_and_its_time_alone():
    es = RING.keys["es-1"]

    def ring(**changes) -> KeyRing:
        fields = {name: getattr(es, name) for name in es.__slots__}
        return KeyRing.of([type(es)(**{**fields, **changes})])

    assert refused(RAW, KeyRing.of([])) == "key"
    assert refused(RAW, ring(centre_id="ma")) == "key"
    assert refused(RAW, ring(use=KeyUse.WITNESS)) == "key"
    assert refused(RAW, ring(revoked_at=NOW)) == "key"
    assert refused(RAW, now=END) == "key"
    assert refused(RAW, now=BEGIN - timedelta(seconds=1)) == "key"
    assert refused(RAW, ring(public_hex=RING.keys["ma-1"].public_hex)) == "signature"
    open_envelope(RAW, ring(revoked_at=NOW + timedelta(seconds=1)), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"seq": "1"},
        {"seq": 1.0},
        {"seq": 0},
        {"prev": "zz"},
        {"iss": "ES"},
        {"type": "Rescue"},
        {"label": {"purpose": "audit"}},
        {"body": []},
        {"att": [{"sha256": "0" * 64, "size_bytes": -1, "media_type": "a/b"}]},
    ],
)
def test_claims_of_another_form_are_refused(changes):
    payload = {**claims().model_dump(mode="json"), **changes}
    payload["iss"] = "es" if changes.get("iss") is None else changes["iss"]
    signed = RAW.split(b".")[0] + b"." + b64(payload)
    raw = signed + b"." + urlsafe_b64encode(ES_KEY.sign(signed)).rstrip(b"=")

    assert refused(raw) in ("claims", "key")


def test_a_member_said_twice_is_refused():
    payload = json.dumps(claims().model_dump(mode="json"))
    twice = payload.replace('"seq": 1', '"seq": 1, "seq": 2')
    assert twice != payload
    signed = RAW.split(b".")[0] + b"."
    signed += urlsafe_b64encode(twice.encode()).rstrip(b"=")
    raw = signed + b"." + urlsafe_b64encode(ES_KEY.sign(signed)).rstrip(b"=")

    assert refused(raw) == "form"


def test_what_names_a_stream_of_others_is_refused():
    assert refused(sign(claims(stream="ma>es/urgent"), ES_KEY, ENVELOPE)) == "stream"
    assert refused(sign(claims(stream="es>fr/urgent"), ES_KEY, ENVELOPE)) == "stream"
    assert refused(sign(claims(stream="nowhere"), ES_KEY, ENVELOPE)) == "stream"


def test_an_envelope_is_no_larger_than_its_lane_takes():
    large = claims(body={"text": "x" * 70_000})
    with pytest.raises(ValueError, match="do not fit the urgent lane"):
        seal(large, ES_KEY)
    assert refused(sign(large, ES_KEY, ENVELOPE)) == "size"
    seal(claims(stream="es>ma/bulk", body={"text": "x" * 70_000}), ES_KEY)
    assert refused(b"x" * 300_000) == "size"


def test_a_body_too_deep_to_read_is_refused():
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    payload = claims().model_dump(mode="json") | {"body": {"deep": deep}}
    signed = RAW.split(b".")[0] + b"." + b64(payload)
    raw = signed + b"." + urlsafe_b64encode(ES_KEY.sign(signed)).rstrip(b"=")

    assert refused(raw) == "form"


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes):
    assert refused(noise) in ("form", "header", "key", "size")


@given(st.binary(max_size=60), st.integers(0, 2))
def test_noise_in_a_part_of_a_good_one_is_refused(noise: bytes, part: int):
    parts = RAW.split(b".")
    if parts[part] == noise:
        return
    parts[part] = noise
    with pytest.raises(EnvelopeRefusedError):
        open_envelope(b".".join(parts), RING, NOW)


def test_a_receipt_is_no_envelope_and_an_envelope_no_receipt():
    receipt = Receipt(
        iss="ma",
        aud="es",
        stream="es>ma/urgent",
        epoch=1,
        last_applied_seq=7,
        head="0" * 64,
        iat_ms=1,
        clock=SYNCHRONISED,
    )
    raw = sign_receipt(receipt, MA_KEY)

    assert open_receipt(raw, RING, NOW) == receipt
    assert refused(raw) == "header"
    with pytest.raises(EnvelopeRefusedError):
        open_receipt(RAW, RING, NOW)
