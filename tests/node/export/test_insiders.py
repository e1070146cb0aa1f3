"""Changes by somebody who holds the export key and seals the package anew."""

import base64
import hashlib
import json
import shutil
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from almenara.core.ids import SegmentId
from almenara.core.time import to_micros
from almenara.evidence.package import Stamp
from almenara.node.export import verify
from tests.conftest import NOON
from tests.node.export.authority import Authority
from tests.node.export.log import NaiveLog
from tests.node.export.packages import SECOND, Centre, request
from tests.node.export.test_verify import (
    METADATA,
    exported,
    flip,
    made,
    names,
    package,
    rewrite,
    sealed,
    segments,
    tarifa,
    trust,
    verdict,
)

pytestmark = pytest.mark.slow
FIXTURES = (made, package, tarifa, trust)
HEAD = 24 + verify.DESCRIPTION_BODY.size


def bent(path: Path, name: str) -> None:
    """Change the last byte of somebody's signature under a proof."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    for n, line in enumerate(lines):
        if line.startswith(f"\u2014 {name} "):
            data = bytearray(base64.b64decode(line.split()[2]))
            data[-1] ^= 1
            lines[n] = f"\u2014 {name} {base64.b64encode(bytes(data)).decode()}\n"
    path.write_text("".join(lines), "utf-8")


@pytest.mark.parametrize("who", ["almenara/tarifa/log/1", "tanger.example/witness"])
def test_a_wrong_signature_of_somebody_trusted_is_altered(
    package: Path, trust: Path, tarifa: Centre, who: str
):
    bent(package / segments(package)[0]["proof"], who)
    sealed(package, tarifa)

    found = verdict(package, trust)

    assert found.word() == "altered"
    assert "wrong signature of a trusted" in found.findings[0].detail


def test_a_fragment_that_comes_twice_with_its_number_put_right_is_altered(
    package: Path, trust: Path, tarifa: Centre
):
    row = segments(package)[0]["fragments"][-1]
    clip = package / segments(package)[0]["clip"]
    data = clip.read_bytes()
    again = bytearray(data[row["offset_bytes"] :])
    at = HEAD + verify.NUMBER_AT
    (number,) = struct.unpack_from(">I", again, at)
    struct.pack_into(">I", again, at, number + 1)
    clip.write_bytes(data + again)

    def change(said: dict[str, Any]) -> None:
        rows = said["streams"][0]["segments"][0]["fragments"]
        rows.append({**row, "offset_bytes": len(data)})

    rewrite(package, change)
    sealed(package, tarifa)

    (finding,) = verdict(package, trust).findings
    assert "comes twice" in finding.detail


def test_bytes_between_fragments_are_altered(
    package: Path, trust: Path, tarifa: Centre
):
    row = segments(package)[0]["fragments"][1]
    clip = package / segments(package)[0]["clip"]
    data, at = clip.read_bytes(), row["offset_bytes"]
    clip.write_bytes(data[:at] + b"\0\0\0\x08free" + data[at:])

    def change(said: dict[str, Any]) -> None:
        said["streams"][0]["segments"][0]["fragments"][1]["offset_bytes"] += 8

    rewrite(package, change)
    sealed(package, tarifa)

    found = verdict(package, trust)
    assert any("belong to no fragment" in f.detail for f in found.findings)


def test_another_cameras_stream_is_altered(package: Path, trust: Path, tarifa: Centre):
    def change(said: dict[str, Any]) -> None:
        said["streams"][0]["stream_id"] = "00000000-0000-4000-8000-000000000000"

    rewrite(package, change)
    sealed(package, tarifa)

    found = verdict(package, trust)
    assert {f.word for f in found.findings} == {"altered"}
    assert all("another stream" in f.detail for f in found.findings)


@pytest.mark.parametrize("hides", [False, True])
def test_another_init_is_altered(
    package: Path, trust: Path, tarifa: Centre, *, hides: bool
):
    """With its hash in the metadata changed as well, the log still knows."""
    clip = package / segments(package)[0]["clip"]
    flip(clip, 200)

    def change(said: dict[str, Any]) -> None:
        own = said["streams"][0]["clips"][0]
        data = clip.read_bytes()[: own["init_bytes"]]
        own["init_sha256"] = hashlib.sha256(data).hexdigest()

    if hides:
        rewrite(package, change)
    sealed(package, tarifa)

    found = verdict(package, trust)
    word = "another format" if hides else "another init"
    assert found.word() == "altered"
    assert all(word in f.detail for f in found.findings)


@pytest.mark.parametrize("at", [41, 47, 60, 76, 100])
def test_another_description_is_altered(
    package: Path, trust: Path, tarifa: Centre, at: int
):
    row = segments(package)[0]["fragments"][0]
    flip(package / segments(package)[0]["clip"], row["offset_bytes"] + at)
    sealed(package, tarifa)

    (finding,) = verdict(package, trust).findings
    assert "description" in finding.detail


def test_a_description_changed_with_its_hash_still_meets_the_table(
    package: Path, trust: Path, tarifa: Centre
):
    row = segments(package)[0]["fragments"][0]
    clip, at = package / segments(package)[0]["clip"], row["offset_bytes"]
    flip(clip, at + HEAD - 1)
    head = clip.read_bytes()[at : at + HEAD]

    def change(said: dict[str, Any]) -> None:
        own = said["streams"][0]["segments"][0]["fragments"][0]
        own["description_sha256"] = hashlib.sha256(head).hexdigest()

    rewrite(package, change)
    sealed(package, tarifa)

    (finding,) = verdict(package, trust).findings
    assert "describes another hash" in finding.detail


def test_a_segment_named_twice_is_altered(package: Path, trust: Path, tarifa: Centre):
    def change(said: dict[str, Any]) -> None:
        rows = said["streams"][0]["segments"]
        rows.append({**rows[0], "fragments": []})

    rewrite(package, change)
    sealed(package, tarifa)

    assert verdict(package, trust).word() == "altered"


def test_a_leaf_of_another_kind_is_altered(tarifa: Centre, trust: Path, tmp_path: Path):
    """The log may hold anything a person can have it say; not as a segment."""

    class OtherKind(NaiveLog):
        def _leaf(self, segment_id: SegmentId) -> bytes:
            return b"\x02" + super()._leaf(segment_id)[1:]

    found = verdict(exported(tarifa, OtherKind(tarifa.index), tmp_path / "p"), trust)

    assert found.word() == "altered"
    assert all("speaks of no segment" in f.detail for f in found.findings)


@pytest.mark.parametrize("key", ["table_sha256", "fragments"])
def test_a_leaf_over_other_fragments_is_altered(
    tarifa: Centre, trust: Path, tmp_path: Path, key: str
):
    class Other(NaiveLog):
        def _leaf(self, segment_id: SegmentId) -> bytes:
            said = json.loads(super()._leaf(segment_id)[1:])
            said[key] = "0" * 64 if key == "table_sha256" else []
            return b"\x01" + json.dumps(said).encode()

    found = verdict(exported(tarifa, Other(tarifa.index), tmp_path / "p"), trust)

    assert found.word() == "altered"


def test_no_proof_and_no_trusted_signature_is_an_unknown_key(
    tarifa: Centre, tmp_path: Path
):
    class Empty(NaiveLog):
        def of_segments(self, segment_ids):
            assert segment_ids
            return {}

    out = exported(tarifa, Empty(tarifa.index), tmp_path / "p")
    found = verdict(out)

    assert set(found.segments.values()) == {"unknown-key"}


@pytest.mark.parametrize("kind", ["other tree", "other data"])
def test_a_time_stamp_of_something_else_is_no_anchor(
    tarifa: Centre, tmp_path: Path, kind: str
):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt install openssl")
    authority = Authority(tmp_path / "tsa")
    log = NaiveLog(tarifa.index, witness=None)
    others = [b"\x02{}" + bytes([n]) for n in range(log.others)]
    leaves = [*others, *log.leaves().values()]
    note = log.checkpoint(leaves[:-1] if kind == "other tree" else leaves)
    text = note.rpartition("\n\n")[0].encode() + b"\n"
    reply = authority.stamp(text if kind == "other tree" else text + b"x")
    log.given_stamps.append(Stamp(checkpoint=note.encode(), reply=reply))
    out = exported(tarifa, log, tmp_path / "p")
    path = tmp_path / "t"
    path.write_text(f"{log.trust()}export\n{tarifa.key.pem}tsa\n{authority.root}")

    found = verdict(out, path)

    assert found.word() == "not-anchored"
    assert any("NOT a time stamp" in n for n in found.notes) == (kind == "other data")


def test_a_member_that_is_twice_in_a_zip_is_altered(
    package: Path, trust: Path, tmp_path: Path
):
    packed = tmp_path / "p.zip"
    with zipfile.ZipFile(packed, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*names(package), METADATA):
            archive.write(package / name, name)

    assert METADATA in {f.file for f in verdict(packed, trust).findings}


def test_a_span_that_reaches_beyond_the_footage_is_a_gap(
    tarifa: Centre, trust: Path, tmp_path: Path
):
    out = tmp_path / "p"
    tarifa.export(out, request(9))

    found = verdict(out, trust)

    assert found.word() == "authentic-with-gaps"
    ends = [f.end_us for f in found.findings]
    assert ends.count(to_micros(NOON + 9 * SECOND)) == 2


def test_a_key_that_stands_twice_in_a_document_is_refused():
    """Two readers would take different ones."""
    with pytest.raises(verify.WrongError, match="twice"):
        verify.document(b'{"start_us": 1, "start_us": 2}')
