"""The health book with a clock that moves when told to."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from almenara.console.api.health import RecorderHealth
from almenara.core.coast import Lens
from almenara.core.ids import CameraId, StreamId
from almenara.core.time import ManualClock
from almenara.detection import Condition
from almenara.node.health import HealthBook, Outside, Rate
from almenara.node.watch.frames import Look
from tests.conftest import NOON
from tests.console.fakes import station
from tests.packets import packet

MAST = station("mast", "cam-1", "cam-2")
CAM = CameraId("cam-1")
SECOND = timedelta(seconds=1)


@pytest.fixture
def book(clock: ManualClock) -> HealthBook:
    made = HealthBook(clock=clock, wanted_looks_per_s=5.0)
    made.watch((MAST,))
    return made


def look(
    at: datetime, condition: Condition = Condition.GOOD, pictures: int = 1
) -> Look:
    return Look(
        camera_id=CAM,
        captured_at=at,
        pictures=pictures,
        condition=condition,
        candidates=0,
        decode_ms=2.0,
        detect_ms=3.0,
    )


def page(book: HealthBook, camera_id: CameraId = CAM):
    return next(c for c in book.draw().cameras if c.camera_id == camera_id)


def facts(book: HealthBook, camera_id: CameraId = CAM):
    return next(f for f in book.facts() if f.camera_id == camera_id)


def test_what_was_not_heard_of_is_none_and_never_zero(book: HealthBook):
    shown = page(book)

    assert shown.state == "connecting"
    for unknown in (
        *(shown.last_packet_at, shown.measured_fps, shown.looks_per_s),
        *(shown.last_look_at, shown.condition, shown.recorded_until),
        *(shown.decode_ms, shown.detect_ms, shown.clock_offset_s),
    ):
        assert unknown is None
    assert not shown.recording


def test_looks_are_counted_over_ten_seconds(book: HealthBook, clock: ManualClock):
    for _ in range(40):
        clock.advance(timedelta(milliseconds=500))
        book.look(look(clock.now()))

    assert page(book).looks_per_s == pytest.approx(2.0, rel=0.06)
    clock.advance(timedelta(seconds=11))
    assert page(book).looks_per_s == 0.0
    assert page(book).last_look_at == clock.now() - timedelta(seconds=11)


def test_a_look_without_a_picture_is_no_look(book: HealthBook, clock: ManualClock):
    book.look(look(clock.now(), pictures=0))

    assert page(book).last_look_at is None


def test_silence_grows_from_the_last_packet(book: HealthBook, clock: ManualClock):
    book.link(MAST.cameras[0]).heard(packet(0))
    clock.advance(7 * SECOND)

    assert facts(book).silent_for == 7 * SECOND
    assert page(book).state == "silent"
    book.link(MAST.cameras[0]).heard(packet(1))
    assert facts(book).silent_for == timedelta()
    assert page(book).state == "live"
    assert page(book, CameraId("cam-2")).state == "silent"


def test_blindness_is_measured_from_its_beginning(book: HealthBook, clock: ManualClock):
    for condition in (Condition.GOOD, Condition.BLIND, Condition.BLIND):
        clock.advance(30 * SECOND)
        book.look(look(clock.now(), condition))

    told = facts(book)
    assert (told.condition, told.condition_for) == (Condition.BLIND, 30 * SECOND)


def test_recording_is_what_is_durable_and_fresh(book: HealthBook, clock: ManualClock):
    durable: dict[StreamId, datetime] = {}
    book.outside = Outside(
        durable_until=durable.get,
        dropped_looks=lambda _: 3,
        recorder=lambda: RecorderHealth(state="recording", since=NOON),
        workers=tuple,
    )
    assert not page(book).recording

    durable[StreamId("s-1")] = clock.now()
    clock.advance(5 * SECOND)
    assert page(book).recording
    assert page(book).recorded_until == NOON
    assert page(book).dropped_looks == 3
    clock.advance(5 * SECOND)
    assert not page(book).recording


def test_a_change_of_the_shore_keeps_the_pages_of_what_stays(
    book: HealthBook, clock: ManualClock
):
    clock.advance(SECOND)
    book.look(look(clock.now()))
    moved = replace(
        MAST.cameras[0], lens=Lens(width_px=640, height_px=480, hfov_deg=9.0)
    )
    book.watch((replace(MAST, cameras=(moved,)),))

    (left,) = book.draw().cameras
    assert left.last_look_at == clock.now()
    assert facts(book).camera == moved


def test_a_look_of_a_camera_that_is_gone_is_nothing(book: HealthBook):
    book.watch(())
    book.look(look(NOON))
    book.packet(CAM, packet(0))

    assert book.draw().cameras == ()
    assert book.formats() == {}


def test_a_rate_says_nothing_before_it_can():
    rate = Rate(0.0)
    rate.note(0.5)

    assert rate.per_s(1.0) is None
    assert rate.per_s(2.0) == 0.5


def test_a_camera_whose_pictures_are_being_made_is_not_silent(
    book: HealthBook, clock: ManualClock
):
    book.awaited = {CAM}
    clock.advance(timedelta(minutes=2))
    assert page(book).state == "connecting"
    assert page(book).detail == "being rendered"
    assert CAM not in {f.camera_id for f in book.facts()}

    book.ready(CAM)
    assert facts(book).silent_for == timedelta()

    clock.advance(timedelta(seconds=11))
    assert facts(book).silent_for == timedelta(seconds=11)
