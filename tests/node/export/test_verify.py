"""The verifier on packages that were changed: each change is found, named, judged."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from almenara.evidence.package import MANIFEST, SIGNATURE, Stamp, manifest
from almenara.node.export import verify
from almenara.node.export.signing import export_key
from tests.conftest import NOON
from tests.node.export.authority import Authority
from tests.node.export.log import ORIGIN, Key, NaiveLog
from tests.node.export.packages import CENTRE, Centre, centre, request

pytestmark = pytest.mark.slow

METADATA = "data/metadata.json"


@pytest.fixture(scope="module")
def tarifa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with centre(tmp_path_factory.mktemp("tarifa")) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tarifa: Centre, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package without a gap: the first two seconds of both cameras."""
    out = tmp_path_factory.mktemp("out") / "package"
    tarifa.export(out, request(2, start=NOON))
    return out


@pytest.fixture
def package(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "package"))


@pytest.fixture
def trust(tarifa: Centre, tmp_path: Path) -> Path:
    path = tmp_path / "trust.txt"
    path.write_text(tarifa.trust(), "ascii")
    return path


def verdict(package: Path, *trusts: Path) -> verify.Report:
    trust = verify.trust_of([path.read_text("ascii") for path in trusts])
    return verify.Package(verify.opened(package), trust).check()


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def names(package: Path) -> list[str]:
    return sorted(
        p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()
    )


def sealed(package: Path, by: Centre) -> None:
    """List and sign all files anew: what somebody with the export key could do."""
    hashes = {
        name: hashlib.sha256((package / name).read_bytes()).hexdigest()
        for name in names(package)
        if name not in (MANIFEST, SIGNATURE)
    }
    content = manifest(hashes)
    (package / MANIFEST).write_bytes(content)
    (package / SIGNATURE).write_bytes(by.key.sign(content))


def rewrite(package: Path, change: Any) -> dict[str, Any]:
    """Change the metadata by a function."""
    said: dict[str, Any] = json.loads((package / METADATA).read_text("ascii"))
    change(said)
    (package / METADATA).write_text(json.dumps(said), "ascii")
    return said


def segments(package: Path) -> list[dict[str, Any]]:
    said = json.loads((package / METADATA).read_text("ascii"))
    return [row for stream in said["streams"] for row in stream["segments"]]


def clips(package: Path) -> list[Path]:
    return sorted((package / "data").glob("clip-*.mp4"))


def test_an_untouched_package_is_authentic(package: Path, trust: Path):
    found = verdict(package, trust)

    assert (found.word(), found.findings, found.notes) == ("authentic", [], [])
    assert set(found.segments.values()) == {"authentic"}
    assert found.checked["files"] == len(names(package)) - 2


def test_the_verifier_needs_no_almenara_and_no_packages(package: Path, trust: Path):
    """In a folder of its own, isolated, without site packages, by the copy inside."""
    done = subprocess.run(  # noqa: S603  # our own file
        [sys.executable, "-I", "-S", "verify.py", ".", "--trust", str(trust), "--json"],
        cwd=package,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["word"] == "authentic"


def pythons() -> list[str]:
    """Every Python from 3.9 on that is on this machine and starts."""
    found = [sys.executable]
    for minor in range(9, 20):
        path = shutil.which(f"python3.{minor}")
        if (
            path
            and not subprocess.run(  # noqa: S603  # found on the path
                [path, "-c", ""], check=False, capture_output=True
            ).returncode
        ):
            found.append(path)
    return found


def test_every_python_of_this_machine_says_the_same(package: Path, trust: Path):
    for python in pythons():
        done = subprocess.run(  # noqa: S603  # our own file
            [python, "-I", "-S", "verify.py", ".", "--trust", str(trust)],
            cwd=package,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout.startswith("AUTHENTIC\n"), (python, done.stderr)


def test_one_flipped_bit_in_each_file_is_found_and_named(package: Path, trust: Path):
    for name in names(package):
        path = package / name
        whole = path.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 1}:
            flip(path, at, bit=at % 8)
            found = verdict(package, trust)
            assert found.word() == "altered", (name, at)
            wrong = {f.file for f in found.findings if f.word == "altered"}
            assert name in wrong or name == MANIFEST, (name, at, wrong)
            if name == MANIFEST:
                assert wrong & {MANIFEST, SIGNATURE}
            path.write_bytes(whole)
    assert verdict(package, trust).word() == "authentic"


def test_no_byte_of_the_signature_can_change(package: Path, trust: Path):
    content = (package / MANIFEST).read_bytes()
    signature = (package / SIGNATURE).read_bytes()
    (by,) = verify.trust_of([trust.read_text("ascii")]).exporters

    assert verify.cms_is_good(signature, content, by)
    for at in range(len(signature)):
        changed = bytearray(signature)
        changed[at] ^= 1 << at % 8
        assert not verify.cms_is_good(bytes(changed), content, by), at


def test_a_flipped_bit_of_a_picture_is_named_by_fragment_bytes_and_time(
    package: Path, trust: Path
):
    row = segments(package)[0]["fragments"][1]
    clip = package / segments(package)[0]["clip"]
    flip(clip, row["offset_bytes"] + row["length_bytes"] - 5)

    (first, *_) = [f for f in verdict(package, trust).findings if f.segment_id]

    assert first.first_byte == row["offset_bytes"]
    assert first.end_byte == row["offset_bytes"] + row["length_bytes"]
    assert (first.start_us, first.end_us) == (row["started_us"], row["ended_us"])
    assert "fragment 1" in first.detail
    assert "2026-03-01T12:00:01" in first.line()


def test_a_picture_changed_by_the_holder_of_the_export_key_is_found(
    package: Path, trust: Path, tarifa: Centre
):
    row = segments(package)[0]["fragments"][0]
    flip(package / segments(package)[0]["clip"], row["offset_bytes"] + 400)
    sealed(package, tarifa)

    found = verdict(package, trust)

    assert found.word() == "altered"
    assert all("another SHA-256" in f.detail for f in found.findings)


def test_a_hash_changed_with_its_picture_meets_the_log(
    package: Path, trust: Path, tarifa: Centre
):
    """Everything in the package agrees; only the log remembers."""

    def change(said: dict[str, Any]) -> None:
        said["streams"][0]["segments"][0]["fragments"][0]["sha256"] = "0" * 64

    rewrite(package, change)
    sealed(package, tarifa)

    assert verdict(package, trust).word() == "altered"


@pytest.mark.parametrize("name", ["VERIFY.txt", "data/alarms.json", "clip", "proof"])
def test_a_removed_file_is_named(package: Path, trust: Path, name: str):
    path = {
        "clip": clips(package)[0],
        "proof": next((package / "data/proofs").glob("*.tlog-proof")),
    }.get(name, package / name)
    path.unlink()

    found = verdict(package, trust)

    assert found.word() == "altered"
    assert path.relative_to(package).as_posix() in {f.file for f in found.findings}


def test_an_added_file_is_named(package: Path, trust: Path):
    (package / "data" / "note.txt").write_text("it was him")

    (finding,) = verdict(package, trust).findings

    assert (finding.word, finding.file) == ("altered", "data/note.txt")


def test_two_swapped_files_are_both_named(package: Path, trust: Path):
    one, other, *_ = clips(package)
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)

    wrong = {f.file for f in verdict(package, trust).findings}

    assert {f"data/{one.name}", f"data/{other.name}"} <= wrong


@pytest.mark.parametrize("left", [0, 100, -1, -20_000])
def test_a_truncated_clip_is_altered(
    package: Path, trust: Path, tarifa: Centre, left: int
):
    clip = clips(package)[0]
    clip.write_bytes(clip.read_bytes()[:left])
    sealed(package, tarifa)

    assert verdict(package, trust).word() == "altered"


def test_bytes_after_the_last_fragment_are_altered(
    package: Path, trust: Path, tarifa: Centre
):
    clip = clips(package)[0]
    clip.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    sealed(package, tarifa)

    (finding,) = verdict(package, trust).findings

    assert "goes on" in finding.detail


def test_a_fragment_that_comes_twice_is_altered(
    package: Path, trust: Path, tarifa: Centre
):
    row = segments(package)[0]["fragments"][-1]
    clip = package / segments(package)[0]["clip"]
    data = clip.read_bytes()
    clip.write_bytes(data + data[row["offset_bytes"] :])

    def change(said: dict[str, Any]) -> None:
        rows = said["streams"][0]["segments"][0]["fragments"]
        rows.append({**row, "offset_bytes": len(data)})

    rewrite(package, change)
    sealed(package, tarifa)

    assert verdict(package, trust).word() == "altered"


def test_a_fragment_moved_in_time_is_altered(
    package: Path, trust: Path, tarifa: Centre
):
    """Hours later, in every place the exporter could reach."""

    def change(said: dict[str, Any]) -> None:
        for row in said["streams"][0]["segments"][0]["fragments"]:
            row["started_us"] += 3_600_000_000
            row["ended_us"] += 3_600_000_000

    rewrite(package, change)
    sealed(package, tarifa)

    found = verdict(package, trust)

    assert found.word() == "altered"
    assert any("hash, length or time" in f.detail for f in found.findings)


def test_a_base_time_changed_in_the_clip_is_altered(
    package: Path, trust: Path, tarifa: Centre
):
    row = segments(package)[0]["fragments"][1]
    clip = package / segments(package)[0]["clip"]
    size = 24 + verify.DESCRIPTION_BODY.size
    flip(clip, row["offset_bytes"] + size + verify.BASE_AT + 7, bit=4)
    sealed(package, tarifa)

    (finding,) = verdict(package, trust).findings

    assert "another place or time" in finding.detail


def test_a_table_with_other_times_meets_the_log(
    package: Path, trust: Path, tarifa: Centre
):
    def change(said: dict[str, Any]) -> None:
        row = said["streams"][0]["segments"][0]
        table = bytearray(base64.b64decode(row["table"]))
        table[19] ^= 1  # of the first fragment's start
        row["table"] = base64.b64encode(bytes(table)).decode()
        row["fragments"][0]["started_us"] ^= 1

    rewrite(package, change)
    sealed(package, tarifa)

    found = verdict(package, trust)

    assert any("another table" in f.detail for f in found.findings)
    assert found.word() == "altered"


def test_a_package_signed_again_by_another_key_is_of_an_unknown_key(
    package: Path, trust: Path, tarifa: Centre, tmp_path: Path
):
    stranger = replace(
        tarifa, key=export_key(tmp_path / "keys", centre_id=CENTRE, now=NOON)
    )
    (package / "data/keys/export.pem").write_text(stranger.key.pem)
    sealed(package, stranger)

    found = verdict(package, trust)

    assert found.word() == "unknown-key"
    assert set(found.segments.values()) == {"authentic"}
    assert [f.file for f in found.findings] == [MANIFEST]


def test_a_strangers_signature_under_the_centres_certificate_is_altered(
    package: Path, trust: Path, tmp_path: Path
):
    stranger = export_key(tmp_path / "keys", centre_id=CENTRE, now=NOON)
    content = (package / MANIFEST).read_bytes()
    (package / SIGNATURE).write_bytes(stranger.sign(content))

    assert verdict(package, trust).word() == "altered"


def test_with_nobody_trusted_a_sound_package_is_of_an_unknown_key(package: Path):
    found = verdict(package)

    assert found.word() == "unknown-key"
    assert set(found.segments.values()) == {"unknown-key"}


def test_the_proof_of_another_segment_is_altered(
    package: Path, trust: Path, tarifa: Centre
):
    one, other, *_ = segments(package)
    for kind in ("proof", "leaf"):
        shutil.copy(package / other[kind], package / one[kind])
    sealed(package, tarifa)

    found = verdict(package, trust)

    assert found.segments[one["segment_id"]] == "altered"
    assert found.segments[other["segment_id"]] == "authentic"
    assert any("another segment" in f.detail for f in found.findings)


def exported(tarifa: Centre, log: NaiveLog, out: Path) -> Path:
    tarifa.export(out, request(2), tarifa.exporter(log))
    return out


def test_a_checkpoint_of_another_origin_is_of_an_unknown_key(
    tarifa: Centre, trust: Path, tmp_path: Path
):
    other = "almenara/ceuta/log/1"
    log = NaiveLog(tarifa.index, origin=other, key=Key(other, 1))

    found = verdict(exported(tarifa, log, tmp_path / "p"), trust)

    assert found.word() == "unknown-key"
    assert any("another log" in f.detail for f in found.findings)


def test_a_checkpoint_of_our_origin_signed_by_a_stranger_is_of_an_unknown_key(
    tarifa: Centre, trust: Path, tmp_path: Path
):
    log = NaiveLog(tarifa.index, key=replace(tarifa.log.key, seed=b"stranger"))

    assert verdict(exported(tarifa, log, tmp_path / "p"), trust).word() == "unknown-key"


def test_a_tree_grown_after_signing_is_altered(
    package: Path, trust: Path, tarifa: Centre
):
    path = package / segments(package)[0]["proof"]
    text = path.read_text()
    head = f"{ORIGIN}\n1"
    assert head in text
    path.write_text(text.replace(head, f"{ORIGIN}\n2"))
    sealed(package, tarifa)

    assert verdict(package, trust).word() == "altered"


def test_without_a_witness_a_package_is_not_anchored(
    tarifa: Centre, trust: Path, tmp_path: Path
):
    log = NaiveLog(tarifa.index, witness=None)

    found = verdict(exported(tarifa, log, tmp_path / "p"), trust)

    assert found.word() == "not-anchored"
    assert not any(f.word == "altered" for f in found.findings)


def test_a_witness_that_nobody_trusts_is_no_anchor(
    package: Path, tarifa: Centre, tmp_path: Path
):
    trust = tmp_path / "few.txt"
    text = tarifa.trust()
    trust.write_text(
        "".join(x for x in text.splitlines(keepends=True) if "witness" not in x)
    )

    assert verdict(package, trust).word() == "not-anchored"


def test_a_segment_that_the_log_has_not_yet_is_not_anchored(
    tarifa: Centre, trust: Path, tmp_path: Path
):
    class Empty(NaiveLog):
        def of_segments(self, segment_ids):
            assert segment_ids
            return {}

    found = verdict(exported(tarifa, Empty(tarifa.index), tmp_path / "p"), trust)

    assert found.word() == "not-anchored"


def test_a_gap_is_said_with_its_cause(tarifa: Centre, trust: Path, tmp_path: Path):
    out = tmp_path / "p"
    tarifa.export(out, request(7))

    found = verdict(out, trust)

    assert found.word() == "authentic-with-gaps"
    (gap,) = found.findings
    assert "logged as camera_silent" in gap.detail
    assert (gap.end_us or 0) - (gap.start_us or 0) == 3_000_000


def test_footage_left_out_by_the_exporter_is_a_gap_that_nobody_logged(
    package: Path, trust: Path, tarifa: Centre
):
    """The last fragment taken out of clip, metadata and list alike."""

    def change(said: dict[str, Any]) -> None:
        said["span"]["end_us"] = last["ended_us"]
        said["streams"][0]["segments"][0]["fragments"].pop()

    last = segments(package)[0]["fragments"][-1]
    clip = package / segments(package)[0]["clip"]
    clip.write_bytes(clip.read_bytes()[: last["offset_bytes"]])
    rewrite(package, change)
    sealed(package, tarifa)

    found = verdict(package, trust)

    assert found.word() == "authentic-with-gaps"
    assert "NOT logged" in found.findings[0].detail
    assert "were recorded there" in found.findings[0].detail


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_same_package_as_a_zip_has_the_same_word(
    tarifa: Centre, trust: Path, tmp_path: Path, kind: str
):
    out = tmp_path / ("p.zip" if kind == "zip" else "p")
    tarifa.export(out, request(2))

    assert verdict(out, trust).word() == "authentic"


def test_two_exports_of_the_same_are_the_same_bytes_but_for_the_signature(
    tarifa: Centre, tmp_path: Path
):
    first = tarifa.export(tmp_path / "one", request(2))
    second = tarifa.export(tmp_path / "two", request(2))

    assert first.manifest_sha256 == second.manifest_sha256


def test_openssl_takes_the_signature_as_well(
    package: Path, tarifa: Centre, tmp_path: Path
):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl: apt install openssl")
    certificate = tmp_path / "c.pem"
    certificate.write_text(tarifa.key.pem)
    line = [openssl, "cms", "-verify", "-binary", "-inform", "DER", "-nointern"]
    line += [
        "-noverify",
        "-certfile",
        str(certificate),
        "-in",
        str(package / SIGNATURE),
    ]
    line += ["-content", str(package / MANIFEST), "-out", str(tmp_path / "out")]

    assert subprocess.run(line, check=False, capture_output=True).returncode == 0  # noqa: S603
    flip(package / MANIFEST, 0)
    assert subprocess.run(line, check=False, capture_output=True).returncode != 0  # noqa: S603


@pytest.mark.parametrize(
    "member",
    ["../evil", "/etc/evil", "a\\b", "data/../../x", "a" * 300, ".hidden", "a\nb"],
)
def test_a_zip_with_a_name_that_leads_elsewhere_is_altered_and_writes_nothing(
    package: Path, trust: Path, tmp_path: Path, member: str
):
    packed = tmp_path / "p.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names(package):
            archive.write(package / name, name)
        archive.writestr(member, "x")
    before = sorted(tmp_path.rglob("*"))

    assert verdict(packed, trust).word() == "altered"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_that_swells_is_not_unpacked(package: Path, trust: Path, tmp_path: Path):
    packed = tmp_path / "p.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names(package):
            archive.write(package / name, name, zipfile.ZIP_STORED)
        archive.writestr("data/bomb", bytes(50_000_000))

    found = verdict(packed, trust)

    assert [f.file for f in found.findings] == ["data/bomb"]


def test_a_link_in_a_package_is_not_followed(package: Path, trust: Path):
    (package / "data" / "link.json").symlink_to("/etc/passwd")
    path = package / METADATA
    path.rename(path.with_name("kept"))
    path.symlink_to("kept")

    found = verdict(package, trust)

    assert {METADATA, "data/link.json"} <= {f.file for f in found.findings}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"format": NaN}',
        '{"format": 1, "format": 2}',
        "{}",
        '{"format": "almenara-export/1", "span": [], "streams": 7}',
        "9" * 10_000,
        '{"format": "almenara-export/9"}',
        "\ud83d",
    ],
)
def test_metadata_that_is_none_is_altered_and_breaks_nothing(
    package: Path, trust: Path, text: str
):
    (package / METADATA).write_bytes(text.encode("utf-8", "surrogatepass"))

    found = verdict(package, trust)

    assert found.word() == "altered"
    assert METADATA in {f.file for f in found.findings}


@pytest.mark.parametrize("what", ["empty", "absent", "text", "trust"])
def test_what_is_no_package_could_not_be_verified(
    package: Path, tmp_path: Path, what: str, capsys
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no zip")
    bad = tmp_path / "bad"
    bad.write_text("log nonsense\n")
    line = [str(tmp_path / what)]
    if what == "trust":
        line = [str(package), "--trust", str(bad)]

    assert verify.main(line) == 2
    assert "could not run" in capsys.readouterr().err


def test_a_trust_file_inside_the_package_is_refused(package: Path, trust: Path, capsys):
    shutil.copy(trust, package / "data" / "trust.txt")

    assert verify.main([str(package), "--trust", f"{package}/data/trust.txt"]) == 2
    assert "another way" in capsys.readouterr().err


def test_the_words_of_the_shell_are_the_verdicts(package: Path, trust: Path, capsys):
    assert verify.main([str(package), "--trust", str(trust)]) == 0
    assert capsys.readouterr().out.startswith("AUTHENTIC\n")
    assert verify.main([str(package)]) == 4
    assert "ask the centre" in capsys.readouterr().out
    flip(package / "REPORT.pdf", 3)
    assert verify.main([str(package), "--trust", str(trust)]) == 1
    assert "REPORT.pdf" in capsys.readouterr().out


def test_a_time_stamp_of_a_trusted_authority_is_an_anchor(
    tarifa: Centre, tmp_path: Path
):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt install openssl")
    made_by = Authority(tmp_path / "tsa")
    log = NaiveLog(tarifa.index, witness=None)
    leaves = [b"\x02{}" + bytes([n]) for n in range(log.others)]
    note = log.checkpoint([*leaves, *log.leaves().values()])
    reply = made_by.stamp(note.rpartition("\n\n")[0].encode() + b"\n")
    log.given_stamps.append(Stamp(checkpoint=note.encode(), reply=reply))
    out = exported(tarifa, log, tmp_path / "p")
    trust = tmp_path / "t"
    trust.write_text(f"{log.trust()}export\n{tarifa.key.pem}tsa\n{made_by.root}")
    without = tmp_path / "w"
    without.write_text(f"{log.trust()}export\n{tarifa.key.pem}")

    assert verdict(out, trust).word() == "authentic"
    unsure = verdict(out, without)
    assert unsure.word() == "not-anchored"
    assert any("NOT checked" in note for note in unsure.notes)
