from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import CameraId, LocalTrackId
from almenara.detection import Condition, ObjectClass
from almenara.node.watch import frames
from almenara.node.watch.frames import BrokenFrameError, FrameReader, Kind, Look
from almenara.tracking.observations import CameraObservation
from tests.conftest import NOON
from tests.packets import FORMAT, packet

CAMERA = CameraId("tarifa-day")
SEEN = CameraObservation(
    camera_id=CAMERA,
    local_track_id=LocalTrackId("tarifa-day/3.1"),
    observed_at=NOON,
    azimuth_deg=123.4,
    azimuth_std_deg=0.01,
    elevation_deg=-0.7,
    elevation_std_deg=0.02,
    existence=0.99,
    object_class=ObjectClass.SMALL_CRAFT,
    box_px=(1.0, 2.0, 3.0, 4.0),
)
LOOK = Look(
    camera_id=CAMERA,
    captured_at=NOON,
    pictures=1,
    condition=Condition.GOOD,
    candidates=7,
    decode_ms=1.5,
    detect_ms=2.5,
    observations=(SEEN,),
)


@given(cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_where_the_pipe_cuts_does_not_matter(cuts: list[int]):
    wire = frames.encode_look(1, LOOK) + frames.framed(Kind.STILL, b"\0\1", b"jpeg")
    reader = FrameReader.limited(10_000)
    edges = [0, *sorted(min(c, len(wire)) for c in cuts), len(wire)]

    got = [
        message
        for start, end in pairwise(edges)
        for message in reader.feed(wire[start:end])
    ]

    assert [kind for kind, _ in got] == [Kind.LOOK, Kind.STILL]
    assert frames.decode_look(got[0][1], CAMERA) == LOOK


def test_packets_and_formats_arrive_as_they_were():
    sent = packet(5, key=True)
    ((_, body),) = FrameReader.limited(1000).feed(frames.encode_packet(9, sent, 3))
    got = frames.decode_packet(body)
    ((_, form),) = FrameReader.limited(1000).feed(frames.encode_format(9, FORMAT))

    assert (got.number, got.flags, got.pts_90k) == (9, 3, 5)
    assert (got.nal_units, got.captured_at) == (sent.nal_units, sent.captured_at)
    assert frames.decode_format(form) == (9, FORMAT)


@given(noise=st.binary(max_size=300))
def test_a_worker_gone_mad_is_noticed_and_never_believed(noise: bytes):
    reader = FrameReader.limited(200)
    try:
        for kind, body in reader.feed(noise):
            if kind is Kind.LOOK:
                frames.decode_look(body, CAMERA)
    except BrokenFrameError:
        pass


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"\xff", b"[1,2,3,4,5,6,7,8,9]"])
def test_a_look_that_makes_no_sense_is_refused(body: bytes):
    with pytest.raises(BrokenFrameError):
        frames.decode_look(body, CAMERA)
