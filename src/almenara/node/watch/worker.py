"""The watch worker: decodes, detects and follows, in a process that may die.

Run as ``python -m almenara.node.watch.worker``. Packets come in on standard input,
observations go out on standard output; there is nothing else it needs, so nothing else
is left to it: after its imports it confines itself (``stations.limits``). It ends when
its input ends. One packet, one answer, in order: the node counts on it.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from time import perf_counter
from typing import BinaryIO

import av.subtitles.stream  # noqa: F401 - PyAV imports it when it first decodes
import cv2
import numpy as np

from almenara.core.coast import (
    Camera,
    Lens,
    Pose,
    Profile,
    Scene,
    SensorKind,
    Stream,
)
from almenara.core.errors import MediaError
from almenara.core.ids import CameraId, LocalTrackId, StationId, StreamId
from almenara.core.media import Frame, StreamFormat
from almenara.core.time import EPOCH
from almenara.core.values import Position
from almenara.detection import Condition, Detections, Detector
from almenara.detection.land import LandDetector
from almenara.detection.sea import SeaDetector
from almenara.detection.warm_up import warm_up as detection_warm_up
from almenara.detection.zone import zone_mask
from almenara.geo.range_map import RangeMap
from almenara.node.watch import frames
from almenara.node.watch.frames import CodedPicture, Flag, Kind, Look
from almenara.stations.decode import Decoder
from almenara.stations.limits import confine
from almenara.tracking.local import LocalTracker
from almenara.tracking.observations import CameraObservation

MEMORY_LIMIT_BYTES = 3 * 1024**3
"""Address space, not memory: numba and the decoders map far more than they touch."""

STILL_WIDTH_PX = 640


@dataclass(slots=True, kw_only=True)
class Post:
    """Everything one camera needs in its worker."""

    camera: Camera
    generation: int
    decoder: Decoder
    tracker: LocalTracker | None = None
    detector: Detector | None = None
    sizes: int = 0
    """How often the picture has had a new size: each has tracks of its own."""

    format: StreamFormat | None = None
    size_px: tuple[int, int] = (0, 0)
    still: bytes = b""

    def look(self, picture: CodedPicture) -> Look:
        """Deal with one packet; damaged ones are an answer too."""
        if picture.flags & Flag.RESTART:
            self.decoder.flush()
        began = perf_counter()
        decoded, fault = self._decode(picture)
        decoded_at = perf_counter()
        watched = [] if picture.flags & Flag.REFERENCE else decoded
        seen = [self._judge(frame) for frame in watched]
        if decoded and picture.flags & Flag.STILL:
            self.still = _still(decoded[-1])
        found = seen[-1][0] if seen else Detections.none(Condition.LEARNING)
        return Look(
            camera_id=self.camera.camera_id,
            captured_at=picture.captured_at,
            pictures=len(seen),
            condition=found.condition,
            candidates=len(found),
            decode_ms=(decoded_at - began) * 1e3,
            detect_ms=(perf_counter() - decoded_at) * 1e3,
            observations=tuple(o for _, observed in seen for o in observed),
            fault=fault,
        )

    def _decode(self, picture: CodedPicture) -> tuple[list[Frame], str | None]:
        if self.format is None:
            return [], "a picture came before its format"
        try:
            return self.decoder.decode(
                self.format, picture.nal_units, picture.captured_at, picture.pts_90k
            ), None
        except MediaError as error:
            return [], str(error)

    def _judge(self, frame: Frame) -> tuple[Detections, tuple[CameraObservation, ...]]:
        size_px = (frame.luma.shape[1], frame.luma.shape[0])
        if self.detector is None or self.tracker is None or self.size_px != size_px:
            self.size_px = size_px
            self.sizes += 1
            self.detector = make_detector(self.camera, *size_px)
            self.tracker = LocalTracker(sized(self.camera, *size_px))
        found = self.detector.detect(frame)
        observed = self.tracker.step(found, frame.captured_at)
        return found, tuple(
            replace(o, local_track_id=self._name(o.local_track_id)) for o in observed
        )

    def _name(self, local_track_id: LocalTrackId) -> LocalTrackId:
        return LocalTrackId(f"{local_track_id}.{self.generation}.{self.sizes}")


def sized(camera: Camera, width_px: int, height_px: int) -> Camera:
    """The camera as its watched pictures have it: a profile may be smaller."""
    lens = replace(camera.lens, width_px=width_px, height_px=height_px)
    return replace(camera, lens=lens)


def make_detector(camera: Camera, width_px: int, height_px: int) -> Detector:
    """The chain for what this camera looks at, sized for the pictures that come."""
    seen = sized(camera, width_px, height_px)
    scale = width_px / camera.lens.width_px
    zone = zone_mask(camera.watch_zone_px, width_px, height_px, scale=scale)
    if camera.scene is Scene.LAND:
        return LandDetector(width_px=width_px, height_px=height_px, zone=zone)
    return SeaDetector(
        width_px=width_px,
        height_px=height_px,
        range_map=RangeMap.of(seen),
        zone=zone,
    )


def _still(frame: Frame) -> bytes:
    scale = min(1.0, STILL_WIDTH_PX / frame.luma.shape[1])
    small = cv2.resize(
        frame.luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return jpeg.tobytes() if done else b""


def answers(posts: dict[int, Post], kind: Kind, body: bytes) -> Iterator[bytes]:
    """What one message makes of the worker's posts, and the bytes to send back."""
    if kind is Kind.WATCH:
        number, generation, camera = frames.decode_watch(body)
        posts[number] = Post(
            camera=camera,
            generation=generation,
            decoder=Decoder(camera.camera_id),
        )
    elif kind is Kind.UNWATCH:
        posts.pop(int.from_bytes(body[:2], "big"), None)
    elif kind is Kind.FORMAT:
        number, form = frames.decode_format(body)
        posts[number].format = form
    elif kind is Kind.PACKET:
        picture = frames.decode_packet(body)
        post = posts[picture.number]
        yield frames.encode_look(picture.number, post.look(picture))
        if post.still:
            head = picture.number.to_bytes(2, "big")
            yield frames.framed(Kind.STILL, head, post.still)
            post.still = b""


def warm_up() -> None:
    """Load and compile all that a picture needs: afterwards nothing can be opened.

    A small lively sea goes through everything once, so that kernels are compiled or
    read from their cache and the JPEG writer has loaded what it loads lazily.
    """
    detection_warm_up()
    lens = _WARM_UP.lens
    tracker = LocalTracker(_WARM_UP)
    detector = make_detector(_WARM_UP, lens.width_px, lens.height_px)
    noise = np.random.default_rng(1)
    for n in range(60):
        luma = noise.normal(100, 8, (lens.height_px, lens.width_px))
        luma[140:146, 100 + n : 112 + n] = 250.0
        frame = Frame(
            camera_id=_WARM_UP.camera_id,
            captured_at=EPOCH + timedelta(milliseconds=200 * n),
            luma=np.clip(luma, 0, 255).astype(np.uint8),
        )
        tracker.step(detector.detect(frame), frame.captured_at)
        if n == 0:
            _still(frame)


_WARM_UP = Camera(
    camera_id=CameraId("warm-up"),
    station_id=StationId("warm-up"),
    sensor=SensorKind.DAY,
    scene=Scene.SEA,
    pose=Pose(
        position=Position(latitude_deg=36.0, longitude_deg=-5.6),
        height_m=50.0,
        azimuth_deg=180.0,
        tilt_deg=-1.0,
    ),
    lens=Lens(width_px=320, height_px=240, hfov_deg=10.0),
    streams=(Stream(stream_id=StreamId("-"), profile=Profile.MAIN, url="file:/-"),),
)


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """Answer until ``source`` ends."""
    reader = frames.FrameReader.limited(frames.MAX_TO_WORKER_BYTES)
    posts: dict[int, Post] = {}
    while data := os.read(source.fileno(), 1 << 20):
        for kind, body in reader.feed(data):
            out.writelines(answers(posts, kind, body))
        out.flush()


def main() -> None:
    """Become a worker."""
    cv2.setNumThreads(1)
    os.nice(5)  # the recorder goes first: what is not recorded is lost for ever
    warm_up()
    confine(MEMORY_LIMIT_BYTES)
    out = sys.stdout.buffer
    out.write(frames.framed(Kind.READY))
    out.flush()
    serve(sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
