"""Leaves: one spelling, read back whole, and nothing else is one."""

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.evidence import leaves
from almenara.evidence.leaves import Kind

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HASH = hashlib.sha256(b"x").digest()
GOLDEN = "b79379e76e4d6011aef3dafa1942f3119c24183d9a05f74a8751c846a5f70bd4"
EXAMPLES: dict[Kind, leaves.Leaf] = {
    Kind.OPENING: leaves.LogOpening(
        log=1,
        at=NOON,
        reason="migrated",
        by="service/node",
        continues=None,
        earlier=(leaves.Earlier(table="audit", rows=2, last=2, sha256=HASH),),
    ),
    Kind.SEGMENT: leaves.SegmentSealed(
        segment_id="0198",
        stream_id="s-1",
        run=3,
        origin="live",
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=4),
        size_bytes=3000,
        init_size_bytes=1000,
        init_sha256=HASH,
        fragments=(
            leaves.SealedFragment(offset_bytes=1000, length_bytes=900, sha256=HASH),
            leaves.SealedFragment(offset_bytes=1900, length_bytes=1100, sha256=HASH),
        ),
        table_sha256=HASH,
        labels="{}",
        software="0.1.0",
        previous=None,
    ),
    Kind.AUDIT: leaves.AuditAct(
        seq=7,
        entry_id="e7",
        at=NOON,
        person_id="p1",
        roles=("operator",),
        purpose="sar",
        action="consultation",
        act="video.playback",
        object_kind="camera",
        object_id="caf\u00e9-1",
        object_from=NOON,
        object_to=None,
        result="allow",
        size_bytes=None,
        personal=HASH,
    ),
    Kind.ALARM: leaves.AlarmStep(
        step_id=1,
        alarm_id="a1",
        at=NOON,
        event="raised",
        state_before=None,
        state_after="unacknowledged",
        version=1,
        announces=True,
        person_id=None,
        alarm_sha256=HASH,
    ),
    Kind.HOLD: leaves.HoldChange(
        step=leaves.HoldStep.PLACED,
        hold_id="h1",
        at=NOON,
        stream_id=None,
        started_at=NOON,
        ended_at=NOON + timedelta(hours=1),
        ground=HASH,
    ),
    Kind.DELETION: leaves.Deletion(
        what=leaves.Deleted.SEGMENT,
        id="0198",
        at=NOON,
        reason="expired",
        stream_id="s-1",
        started_at=NOON,
        ended_at=NOON,
        size_bytes=3000,
        sha256=HASH,
    ),
    Kind.CONFIGURATION: leaves.ConfigurationVersion(
        what="stations", version=2, at=NOON, author="p1", reason=HASH, sha256=HASH
    ),
    Kind.EXCHANGE: leaves.ExchangeRecord(
        envelope_id="x1",
        partner="tanger",
        direction="out",
        at=NOON,
        sha256=HASH,
        receipt_sha256=None,
    ),
    Kind.KEY: leaves.KeyEvent(
        step=leaves.KeyStep.ENTERED,
        name="almenara/tarifa/log/1",
        public_key=HASH,
        at=NOON,
        by="service/node",
        reason="first",
        before=None,
        signatures=(HASH + HASH,),
    ),
    Kind.CLOCK: leaves.ClockEvent(at=NOON, monotonic_us=1, step_us=-5, state="synced"),
    Kind.GAP: leaves.GapChange(
        step=leaves.GapStep.OPENED,
        stream_id="s-1",
        started_at=NOON,
        ended_at=None,
        cause="link",
    ),
    Kind.APPROVAL: leaves.Approval(
        request_id="r1",
        act="hold.release",
        sha256=HASH,
        requested_by="p1",
        approved_by="p2",
        at=NOON,
    ),
    Kind.RELEASE: leaves.SoftwareRelease(version="0.1.0", at=NOON),
}


def test_every_kind_has_an_example_and_a_number():
    assert set(EXAMPLES) == set(Kind) == set(leaves.KINDS)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_leaf_comes_back_whole_and_says_what_it_speaks_of(kind: Kind):
    leaf = EXAMPLES[kind]

    assert leaves.decode(leaves.encode(leaf)) == leaf
    assert leaves.encode(leaf)[0] == kind
    assert leaves.subject(leaf) or kind in (Kind.KEY, Kind.CLOCK)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_leaf_is_ascii_with_sorted_keys_and_whole_numbers(kind: Kind):
    text = leaves.encode(EXAMPLES[kind])[1:].decode("ascii")

    def never(number: str) -> None:
        pytest.fail(f"a fraction: {number}")

    plain = json.loads(text, parse_float=never, parse_constant=never)
    assert json.dumps(plain, sort_keys=True, separators=(",", ":")) == text


def test_the_bytes_of_a_leaf_never_change():
    # A change here breaks every proof that was ever given out.
    assert leaves.encode(EXAMPLES[Kind.GAP]) == (
        b'\x0a{"cause":"link","ended_us":null,"started_us":1772366400000000,'
        b'"step":"opened","stream_id":"s-1"}'
    )
    together = b"".join(leaves.encode(EXAMPLES[kind]) for kind in Kind)
    assert hashlib.sha256(together).hexdigest() == GOLDEN


@pytest.mark.parametrize("kind", list(Kind))
def test_every_field_is_in_the_bytes(kind: Kind):
    leaf = EXAMPLES[kind]
    for field in fields(leaf):
        value = getattr(leaf, field.name)
        other: Any = None if value is not None else "other"
        assert leaves.encode(replace(leaf, **{field.name: other})) != leaves.encode(
            leaf
        ), field.name


@given(st.binary(max_size=80))
def test_no_bytes_whatever_break_the_reader(data: bytes):
    try:
        leaf = leaves.decode(data)
    except ValueError:
        return
    assert leaves.encode(leaf) == data


@given(st.sampled_from(list(Kind)), st.data())
def test_a_leaf_with_one_changed_byte_is_another_leaf_or_none(
    kind: Kind, data: st.DataObject
):
    whole = leaves.encode(EXAMPLES[kind])
    bent = bytearray(whole)
    bent[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = leaves.decode(bytes(bent))
    except ValueError:
        return
    assert found != EXAMPLES[kind]


def test_another_spelling_of_a_leaf_is_refused():
    whole = leaves.encode(EXAMPLES[Kind.RELEASE])

    with pytest.raises(ValueError, match="spelling"):
        leaves.decode(whole.replace(b",", b", "))


def test_a_fraction_is_refused():
    with pytest.raises(TypeError, match="fraction"):
        leaves.canonical({"a": [1, {"b": 0.5}]})
    bent: Any = 0.5
    with pytest.raises(TypeError):
        leaves.encode(replace(leaves.SoftwareRelease(version="1", at=NOON), at=bent))


def test_a_text_cannot_be_guessed_from_what_a_leaf_holds_without_its_salt():
    text = "seen by Ana"

    assert leaves.commitment(b"0" * 16, text) != leaves.commitment(b"1" * 16, text)
    assert leaves.commitment(b"0" * 16, text) != hashlib.sha256(text.encode()).digest()
