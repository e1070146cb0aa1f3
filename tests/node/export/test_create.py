"""Packages as they are made: every recorded byte, resumable, the same again."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest

from almenara.core.errors import ExportError
from almenara.core.ids import CameraId, SegmentId, StreamId
from almenara.core.time import ManualClock
from almenara.node.export import verify
from almenara.node.export.folder import PackageFolder
from almenara.node.export.proofs import LogProofs
from almenara.node.log_keeper import LogKeeper
from almenara.node.log_keys import KeyFolder
from almenara.node.store.database import Store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.vouchers import SqlEvidenceLog
from almenara.recording.boxes import find, walk
from almenara.recording.files import Files
from almenara.recording.index import FragmentRecord
from tests.conftest import NOON
from tests.node.export.packages import (
    CAMERAS,
    CENTRE,
    OTHER,
    SECOND,
    Centre,
    approval,
    centre,
    films,
    gathered,
    quiet,
    request,
)
from tests.recording.films import STREAM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tarifa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with centre(tmp_path_factory.mktemp("tarifa")) as opened:
        yield opened


def nal_units(clip: bytes) -> list[bytes]:
    """Every NAL unit of every ``mdat``, in order."""
    found = []
    for box in walk(clip):
        at = box.body
        while box.kind == b"mdat" and at < box.end:
            size = int.from_bytes(clip[at : at + 4], "big")
            found.append(clip[at + 4 : at + 4 + size])
            at += 4 + size
    return found


def clips(out: Path, stream_id: StreamId) -> list[bytes]:
    return [p.read_bytes() for p in sorted(out.glob(f"data/clip-{stream_id}-*.mp4"))]


def recorded(stream_id: StreamId, start_s: float, end_s: float) -> list[bytes]:
    """What the camera sent in between, by the packets themselves."""
    return [
        unit
        for packet in films()[stream_id]
        if start_s <= (packet.captured_at - NOON).total_seconds() < end_s
        for unit in packet.nal_units
    ]


def test_every_nal_unit_of_the_span_is_there_byte_for_byte(
    tarifa: Centre, tmp_path: Path
):
    out = tmp_path / "p"
    tarifa.export(out, request(8))

    day = [unit for clip in clips(out, STREAM) for unit in nal_units(clip)]
    thermal = [unit for clip in clips(out, OTHER) for unit in nal_units(clip)]

    assert day == recorded(STREAM, 1, 8)
    assert thermal == recorded(OTHER, 1, 8)


def test_a_change_of_format_begins_another_clip_and_a_gap_does_not(
    tarifa: Centre, tmp_path: Path
):
    out = tmp_path / "p"
    tarifa.export(out, request(8))

    day, thermal = clips(out, STREAM), clips(out, OTHER)

    assert [b"avc1" in day[0], b"hev1" in day[1]] == [True, True]
    assert (len(day), len(thermal)) == (2, 1)


def test_a_clip_plays_and_says_the_gap_as_a_jump_in_time(
    tarifa: Centre, tmp_path: Path
):
    out = tmp_path / "p"
    tarifa.export(out, request(8))

    times = []
    for clip in clips(out, OTHER):
        with av.open(io.BytesIO(clip), "r") as container:
            times = [float(frame.time or 0.0) for frame in container.decode(video=0)]

    assert len(times) == len({round(at, 3) for at in times}) == 40
    assert max(b - a for a, b in pairwise(times)) > 3.0


def test_metadata_says_where_when_and_how_well(tarifa: Centre, tmp_path: Path):
    out = tmp_path / "p"
    tarifa.export(out, request(7))

    said = json.loads((out / "data/metadata.json").read_text("ascii"))

    (station,) = said["stations"]
    pose = station["cameras"][0]["pose"]
    assert (pose["azimuth_deg"], pose["azimuth_std_deg"]) == (178.25, 0.05)
    assert station["simulated"] is True
    assert said["span"]["start"] == "2026-03-01T12:00:01.000000Z"
    by_id = {stream["stream_id"]: stream for stream in said["streams"]}
    assert [gap["cause"] for gap in by_id[OTHER]["gaps"]] == ["camera_silent"]
    clocks = {f["clock"] for s in by_id[STREAM]["segments"] for f in s["fragments"]}
    assert clocks == {"camera"}


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(
    tarifa: Centre, tmp_path: Path
):
    out = tmp_path / "p"
    tarifa.export(out, request(2))

    assert "'=HYPERLINK(0)" in (out / "data/ais.csv").read_text("utf-8")


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 20_000, 45_000, 60_000])
def test_an_interrupted_export_goes_on_and_is_the_same(
    tarifa: Centre, tmp_path: Path, after: int
):
    whole = tarifa.export(tmp_path / "whole", request(7))
    asked, exporter, out = request(7), tarifa.exporter(), tmp_path / "p"
    folders: list[PackageFolder] = []

    def stop(done: int, _: int) -> None:
        if done >= after:
            raise StoppedError

    def write(progress) -> str:
        plan = exporter.prepare(asked, CAMERAS, out)
        folder = PackageFolder(out, asked.digest)
        folders.append(folder)
        folder.take_up()
        at = NOON + 90 * SECOND
        return exporter.write(
            plan,
            asked,
            approval(asked),
            gathered(),
            folder=folder,
            made_at=at,
            progress=progress,
        ).manifest_sha256

    with pytest.raises(StoppedError):
        write(stop)
    folders.pop().let_go()  # as the end of a process does
    assert not out.exists()
    assert write(quiet) == whole.manifest_sha256
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "whole"]


def test_what_is_there_already_is_not_written_again(tmp_path: Path):
    folder = PackageFolder(tmp_path / "p", "one")
    folder.take_up()
    with folder.file("data/a") as file:
        file.write(b"abc")
        file.write(b"def")
    with folder.file("data/a") as file:
        file.write(b"abc")
        kept = file.kept_bytes
        file.write(b"xyz!")

    assert kept == 3
    assert (folder.bag / "data/a").read_bytes() == b"abcxyz!"


def test_a_longer_file_of_before_is_cut(tmp_path: Path):
    folder = PackageFolder(tmp_path / "p", "one")
    folder.take_up()
    folder.put("a", b"abcdef")
    folder.put("a", b"abc")

    assert (folder.bag / "a").read_bytes() == b"abc"


def test_two_processes_do_not_write_one_package(tmp_path: Path):
    first = PackageFolder(tmp_path / "p", "one")
    first.take_up()

    with pytest.raises(ExportError, match="another process"):
        PackageFolder(tmp_path / "p", "one").take_up()
    first.let_go()
    assert PackageFolder(tmp_path / "p", "one").take_up()


def test_another_request_does_not_go_on_with_a_strangers_folder(tmp_path: Path):
    first = PackageFolder(tmp_path / "p", "one")
    first.take_up()
    first.let_go()

    with pytest.raises(ExportError, match="another export"):
        PackageFolder(tmp_path / "p", "two").take_up()


def test_a_destination_that_exists_is_never_written_over(tmp_path: Path):
    (tmp_path / "p").mkdir()

    with pytest.raises(ExportError, match="there already"):
        PackageFolder(tmp_path / "p", "one").take_up()


def test_a_span_without_recordings_makes_no_package(tarifa: Centre, tmp_path: Path):
    early = request(start=NOON - timedelta(hours=2), end=NOON - timedelta(hours=1))

    with pytest.raises(ExportError, match="nothing is recorded"):
        tarifa.exporter().prepare(early, CAMERAS, tmp_path / "p")


def test_a_zip_is_stored_and_unpacks_to_the_folder(tarifa: Centre, tmp_path: Path):
    tarifa.export(tmp_path / "p.zip", request(2))
    tarifa.export(tmp_path / "p", request(2))

    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        kinds = {member.compress_type for member in archive.infolist()}
        for name in archive.namelist():
            if not name.endswith(".p7s"):
                assert archive.read(name) == (tmp_path / "p" / name).read_bytes()
    assert kinds == {zipfile.ZIP_STORED}


def test_a_fragment_damaged_on_the_disk_is_left_out_and_named(tmp_path: Path):
    with centre(tmp_path) as tarifa:
        place = next(p for p in Files(tarifa.folder).places() if p[0] == OTHER)
        path = tarifa.folder.joinpath(*place)
        data = bytearray(path.read_bytes())
        box = find(bytes(data), b"mdat")
        assert box is not None
        data[box.end - 9] ^= 1
        path.write_bytes(data)
        out = tmp_path / "p"
        tarifa.export(out, request(2, start=NOON))
        report = verify.Package(
            verify.opened(out), verify.trust_of([tarifa.trust()])
        ).check()

    assert report.word() == "authentic-with-gaps"
    assert "damaged" in report.findings[0].detail


class Growing(SqlSegmentIndex):
    """An index that is asked before a segment's last fragment came, and after."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked: set[SegmentId] = set()

    def fragments(self, segment_id: SegmentId) -> list[FragmentRecord]:
        found = super().fragments(segment_id)
        is_first = segment_id not in self.asked
        self.asked.add(segment_id)
        return found[:-1] if is_first else found


def test_a_segment_sealed_while_its_clip_was_written_is_proved(
    tarifa: Centre, tmp_path: Path
):
    exporter = tarifa.exporter(index=Growing(tarifa.store))
    tarifa.export(tmp_path / "p", request(2), exporter)

    trust = verify.trust_of([tarifa.trust()])
    report = verify.Package(verify.opened(tmp_path / "p"), trust).check()
    assert report.word() == "authentic"


class BlackOnly:
    """Fulfils ``MaskedCopies``: one camera has a mask."""

    def masked(self, camera_id: CameraId, clip: Path) -> Iterator[bytes] | None:
        assert clip.is_file()
        return iter([b"bla", b"ck"]) if camera_id == "tarifa-day" else None


def test_a_masked_copy_says_whose_it_is(tarifa: Centre, tmp_path: Path):
    out = tmp_path / "p"
    tarifa.export(out, request(2), tarifa.exporter(masks=BlackOnly()))

    said = json.loads((out / "data/metadata.json").read_text("ascii"))
    masked = [row for stream in said["streams"] for row in stream["masked"]]

    (copy,) = masked
    assert (out / copy["file"]).read_bytes() == b"black"
    source = hashlib.sha256((out / copy["source"]).read_bytes()).hexdigest()
    assert copy["source_sha256"] == source
    trust = verify.trust_of([tarifa.trust()])
    assert verify.Package(verify.opened(out), trust).check().word() == "authentic"


def test_the_proofs_of_the_centres_own_log_hold(tmp_path: Path):
    """The real evidence log, its real key and checkpoint, against the verifier."""
    with centre(tmp_path) as tarifa:
        store = tarifa.store
        clock = ManualClock(NOON + timedelta(minutes=2))
        log = SqlEvidenceLog(store)
        keeper = LogKeeper(log, KeyFolder(tmp_path / "log-keys", "log"), CENTRE, clock)
        made = asyncio.run(_signed(keeper))
        assert made is not None
        proofs = LogProofs(store, CENTRE)
        out = tmp_path / "p"
        tarifa.export(out, request(2, start=NOON), tarifa.exporter(proofs))
        trust = "\n".join(proofs.public_keys()) + f"\nexport\n{tarifa.key.pem}"
        report = verify.Package(verify.opened(out), verify.trust_of([trust])).check()

    assert report.word() == "not-anchored"
    assert {f.word for f in report.findings} == {"not-anchored"}
    assert {f.detail for f in report.findings} == {
        "is vouched for by the exporting centre alone"
    }


async def _signed(keeper):
    await keeper.begin()
    return await keeper.sign()
