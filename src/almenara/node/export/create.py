"""Makes an evidence package: clips first, then what is said of them, then the seal.

``prepare`` looks whether it can be done at all and changes nothing. The caller then
commits the disclosure to the audit, and only after that ``write`` puts the first byte
anywhere. ``write`` may be interrupted and called again: it goes on.

Source: docs/design/evidence-export.md, "Order of work".
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Protocol

from almenara.core.errors import ExportError
from almenara.core.ids import CameraId, SegmentId, StreamId
from almenara.core.media import Gap
from almenara.evidence import package
from almenara.evidence.disclosure import Approval, Request
from almenara.evidence.package import (
    ClipRow,
    FragmentRow,
    MaskedRow,
    Proofs,
    SegmentProof,
    SegmentRow,
    StreamRow,
)
from almenara.node.export.folder import PackageFolder
from almenara.node.export.gathered import Gathered, alarms_document
from almenara.node.export.report import report
from almenara.node.export.sheet import Sheet, chapters
from almenara.node.export.signing import ExportKey
from almenara.node.export.words import how_to_verify
from almenara.node.store.recordings import packed_table
from almenara.recording.clips import ClipFragment, WrittenClip, plan_clips, write_clip
from almenara.recording.index import SegmentIndex
from almenara.recording.playback import Piece, Playback

DAMAGED = "damaged"
"""The cause of a gap whose fragment is on the disk and no longer what was recorded."""

MOST_FRAGMENTS = 300_000
"""Some 90 MB of metadata: what the verifier still reads, and a week of one camera."""

ROOM = 1.05
"""Of the clips' bytes: proofs and documents beside them; a ZIP needs them twice."""

Progress = Callable[[int, int], None]
"""Bytes of recordings done, and of all."""


class MaskedCopies(Protocol):
    """Makes derived copies where disclosure needs masks."""

    def masked(self, camera_id: CameraId, clip: Path) -> Iterator[bytes] | None:
        """The film of a clip with its masks burnt in; None where no mask applies.

        A camera with masks whose pose is not known well enough is masked as a whole.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be written."""

    clips: Mapping[CameraId, tuple[StreamId, list[list[Piece]]]]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A package that lies at its destination."""

    out: Path
    size_bytes: int
    manifest_sha256: str
    segments: int
    proved: int


class Exporter:
    """Makes packages of one centre; blocking."""

    def __init__(
        self,
        *,
        playback: Playback,
        index: SegmentIndex,
        proofs: Proofs | None,
        key: ExportKey,
        centre: str,
        software: str,
        local_zone: str,
        masks: MaskedCopies | None = None,
    ) -> None:
        self._masks = masks
        self._playback = playback
        self._index = index
        self._proofs = proofs
        self._key = key
        self._centre = centre
        self._software = software
        self._local_zone = local_zone

    def prepare(
        self, request: Request, streams: Mapping[CameraId, StreamId], out: Path
    ) -> Plan:
        """Which fragments, and whether there is room for them.

        Raises:
            ExportError: Nothing is recorded there, or the disk is too small.
        """
        clips = {
            camera_id: (
                stream_id,
                plan_clips(self._playback, stream_id, request.start, request.end),
            )
            for camera_id, stream_id in streams.items()
        }
        size_bytes = sum(
            piece.fragment.length_bytes
            for _, planned in clips.values()
            for pieces in planned
            for piece in pieces
        )
        if not size_bytes:
            raise ExportError(
                "nothing is recorded of these cameras in this span; "
                "widen it, or look at the cameras' timelines"
            )
        fragments = sum(
            len(pieces) for _, planned in clips.values() for pieces in planned
        )
        if fragments > MOST_FRAGMENTS:
            raise ExportError(
                f"{fragments} fragments are more than the {MOST_FRAGMENTS} of one "
                "package; ask for a shorter span or fewer cameras, in parts"
            )
        copies = 2 if out.suffix == ".zip" else 1
        _check_room(out, int(size_bytes * ROOM * copies))
        return Plan(clips=clips, size_bytes=size_bytes)

    def write(
        self,
        plan: Plan,
        request: Request,
        approval: Approval,
        gathered: Gathered,
        *,
        folder: PackageFolder,
        made_at: datetime,
        progress: Progress,
    ) -> Finished:
        """All of it, to the end; blocking.

        Raises:
            ExportError: The report cannot be made.
            RecordingError: The recordings no longer have what a clip begins with.
        """
        work = _Work(folder)
        streams = self._streams(plan, request, work, progress)
        segments = [s for stream in streams for s in stream.segments]
        proofs = self._proved([s.segment_id for s in segments], work)
        streams = [self._with_proofs(stream, proofs) for stream in streams]
        self._documents(
            request, approval, gathered, streams, made_at=made_at, work=work
        )
        manifest = package.manifest(work.hashes)
        folder.put(package.SIGNATURE, self._key.sign(manifest))
        manifest_sha256 = folder.put(package.MANIFEST, manifest)
        folder.keep_only([*work.hashes, package.SIGNATURE, package.MANIFEST])
        return Finished(
            out=folder.out,
            size_bytes=folder.finish(),
            manifest_sha256=manifest_sha256,
            segments=len(segments),
            proved=len(proofs),
        )

    # -- recordings

    def _streams(
        self, plan: Plan, request: Request, work: "_Work", progress: Progress
    ) -> list[StreamRow]:
        done = 0

        def counted(size: int) -> None:
            nonlocal done
            done += size
            progress(min(done, plan.size_bytes), plan.size_bytes)

        rows = []
        for camera_id, (stream_id, planned) in plan.clips.items():
            written = [
                clip
                for pieces in planned
                if (clip := self._clip(stream_id, pieces, work, counted)) is not None
            ]
            rows.append(self._stream_row(camera_id, stream_id, written, request, work))
        return rows

    def _clip(
        self,
        stream_id: StreamId,
        pieces: Sequence[Piece],
        work: "_Work",
        counted: Callable[[int], None],
    ) -> tuple[str, WrittenClip] | None:
        name = package.clip_name(stream_id, pieces[0].fragment.started_at)
        with work.folder.file(name) as file:

            def write(data: bytes) -> None:
                file.write(data)
                counted(len(data))

            written = write_clip(self._playback, pieces, write)
        if written is None:
            return None
        work.hashes[name] = written.sha256.hex()
        work.payload_bytes += written.size_bytes
        return name, written

    def _stream_row(
        self,
        camera_id: CameraId,
        stream_id: StreamId,
        written: Sequence[tuple[str, WrittenClip]],
        request: Request,
        work: "_Work",
    ) -> StreamRow:
        damaged = [
            Gap(start=f.started_at, end=f.ended_at, cause=DAMAGED)
            for _, clip in written
            for f in clip.damaged
        ]
        known = self._index.gaps(stream_id, request.start, request.end)
        return StreamRow(
            stream_id=stream_id,
            camera_id=camera_id,
            clips=tuple(_clip_row(name, clip) for name, clip in written),
            segments=tuple(
                self._segment_row(name, list(fragments))
                for name, clip in written
                for _, fragments in groupby(
                    clip.fragments, key=lambda f: f.segment.segment_id
                )
            ),
            gaps=tuple(sorted([*known, *damaged], key=lambda gap: gap.start)),
            masked=tuple(self._masked(camera_id, written, work)),
        )

    def _masked(
        self,
        camera_id: CameraId,
        written: Sequence[tuple[str, WrittenClip]],
        work: "_Work",
    ) -> Iterator[MaskedRow]:
        for source, clip in written:
            found = (
                self._masks.masked(camera_id, work.folder.bag / source)
                if self._masks
                else None
            )
            if found is not None:
                name = package.masked_name(source)
                work.pour(name, found)
                yield MaskedRow(
                    file=name, source=source, source_sha256=clip.sha256.hex()
                )

    def _segment_row(self, clip: str, fragments: Sequence[ClipFragment]) -> SegmentRow:
        segment = fragments[0].segment
        return SegmentRow(
            segment_id=segment.segment_id,
            run=segment.run,
            origin=segment.origin.value,
            clip=clip,
            fragments=tuple(map(_fragment_row, fragments)),
            table=packed_table(self._index.fragments(segment.segment_id)),
            is_proved=False,
        )

    # -- proofs and documents

    def _proved(
        self, segment_ids: Sequence[SegmentId], work: "_Work"
    ) -> Mapping[SegmentId, SegmentProof]:
        if self._proofs is None:
            return {}
        found = self._proofs.of_segments(segment_ids)
        for segment_id, proof in found.items():
            proof_name, leaf_name = package.proof_names(segment_id)
            work.put(proof_name, proof.proof)
            work.put(leaf_name, proof.leaf)
        stamps = dict.fromkeys(s for proof in found.values() for s in proof.stamps)
        for number, stamp in enumerate(stamps, start=1):
            work.put(f"data/tsa/{number:04d}.checkpoint", stamp.checkpoint)
            work.put(f"data/tsa/{number:04d}.tsr", stamp.reply)
        keys = "".join(f"{line}\n" for line in self._proofs.public_keys())
        work.put("data/keys/log-keys.txt", keys.encode("utf-8"))
        return found

    def _with_proofs(
        self, stream: StreamRow, proofs: Mapping[SegmentId, SegmentProof]
    ) -> StreamRow:
        """The table of a proved segment is read after its leaf: it is final then.

        A segment that was open when its clip was written may have been sealed since.
        """
        segments = (
            replace(
                segment,
                is_proved=True,
                table=packed_table(self._index.fragments(segment.segment_id)),
            )
            if segment.segment_id in proofs
            else segment
            for segment in stream.segments
        )
        return replace(stream, segments=tuple(segments))

    def _documents(
        self,
        request: Request,
        approval: Approval,
        gathered: Gathered,
        streams: Sequence[StreamRow],
        *,
        made_at: datetime,
        work: "_Work",
    ) -> None:
        described = package.metadata(
            request,
            stations=gathered.stations,
            streams=streams,
            made_at=made_at,
            local_zone=self._local_zone,
            software=self._software,
        )
        work.put("data/metadata.json", described)
        work.put("data/custody.json", package.custody(gathered.entries))
        work.put("data/decisions.json", package.decisions(request, approval))
        work.put("data/tracks.geojson", package.tracks_geojson(gathered.tracks))
        work.put("data/ais.csv", package.ais_csv(gathered.ais))
        work.put("data/alarms.json", alarms_document(gathered))
        work.put("data/keys/export.pem", self._key.pem.encode("ascii"))
        info = package.bag_info(
            request,
            centre=self._centre,
            made_at=made_at,
            octets=work.payload_bytes,
            count=sum(name.startswith("data/") for name in work.hashes),
        )
        sheet = Sheet(
            centre=self._centre,
            request=request,
            approval=approval,
            stations=gathered.stations,
            streams=tuple(streams),
            clip_sha256=dict(work.hashes),
            certificate_sha256=self._key.sha256,
            made_at=made_at,
        )
        pdf = report(
            chapters(sheet), made_at=made_at, is_simulated=gathered.is_simulated
        )
        work.put("REPORT.pdf", pdf)
        work.put("VERIFY.txt", how_to_verify())
        work.put("verify.py", verifier())
        work.put("bagit.txt", package.BAGIT)
        work.put("bag-info.txt", info)


class _Work:
    """The files so far, with their hashes."""

    def __init__(self, folder: PackageFolder) -> None:
        self.folder = folder
        self.hashes: dict[str, str] = {}
        self.payload_bytes = 0

    def pour(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a large file in pieces."""
        digest = hashlib.sha256()
        with self.folder.file(name) as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                self.payload_bytes += len(piece)
        self.hashes[name] = digest.hexdigest()

    def put(self, name: str, data: bytes) -> None:
        """Write a small file."""
        self.hashes[name] = self.folder.put(name, data)
        if name.startswith("data/"):
            self.payload_bytes += len(data)


def verifier() -> bytes:
    """The verifier as it travels: the file that lies beside this one."""
    return files("almenara.node.export").joinpath("verify.py").read_bytes()


def _clip_row(name: str, clip: WrittenClip) -> ClipRow:
    return ClipRow(
        file=name,
        init_bytes=clip.init_bytes,
        init_sha256=clip.init_sha256,
        origin=clip.origin,
    )


def _fragment_row(placed: ClipFragment) -> FragmentRow:
    fragment = placed.fragment
    return FragmentRow(
        n=fragment.sequence,
        offset_bytes=placed.offset_bytes,
        length_bytes=placed.length_bytes,
        sha256=fragment.sha256,
        description_sha256=placed.description_sha256,
        started_at=fragment.started_at,
        ended_at=fragment.ended_at,
        number=placed.number,
        base_90k=placed.base_90k,
        starts_with_key=fragment.starts_with_key,
        clock=placed.clock,
    )


def _check_room(out: Path, need_bytes: int) -> None:
    folder = out.absolute().parent
    if not folder.is_dir():
        raise ExportError(f"{folder}: no such folder; make it first")
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes:
        raise ExportError(
            f"{folder}: {free_bytes // 10**6} MB free, this package needs "
            f"{need_bytes // 10**6} MB; choose another --out or a shorter span"
        )
