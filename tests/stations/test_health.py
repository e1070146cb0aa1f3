from datetime import timedelta

import pytest

from almenara.core.time import ManualClock
from almenara.stations.health import LinkState, StreamHealth
from tests.conftest import NOON
from tests.stations.pictures import packet


def run(health: StreamHealth, clock: ManualClock, fps: float, seconds: float) -> None:
    for number in range(round(fps * seconds)):
        health.heard(packet(number, clock.now(), declared_fps=25.0))
        clock.advance(timedelta(seconds=1 / fps))


def test_silence_is_seen_five_seconds_after_the_last_packet(clock: ManualClock):
    health = StreamHealth(clock)
    health.connecting()
    health.heard(packet(0, clock.now()))

    clock.advance(timedelta(seconds=4.9))
    assert health.report().state is LinkState.LIVE

    clock.advance(timedelta(seconds=0.1))
    told = health.report()
    assert told.state is LinkState.SILENT
    assert told.last_packet_at == NOON
    assert told.since == NOON + timedelta(seconds=5)


def test_a_camera_that_never_answers_is_silent_too(clock: ManualClock):
    health = StreamHealth(clock)
    health.connecting()
    clock.advance(timedelta(seconds=7))

    assert health.report().state is LinkState.SILENT


def test_retries_do_not_hide_silence(clock: ManualClock):
    health = StreamHealth(clock)
    health.heard(packet(0, clock.now()))
    for _ in range(6):
        health.lost("no route")
        health.connecting()
        clock.advance(timedelta(seconds=1))

    told = health.report()
    assert (told.state, told.detail) == (LinkState.SILENT, "no route")


def test_the_rate_is_measured_and_not_believed(clock: ManualClock):
    health = StreamHealth(clock)
    run(health, clock, fps=12.5, seconds=11)

    told = health.report()
    assert told.declared_fps == 25.0
    assert told.measured_fps == pytest.approx(12.5, rel=0.01)
    assert not told.rate_differs

    for _ in range(7):
        run(health, clock, fps=12.5, seconds=10)
        told = health.report()
    assert told.rate_differs


def test_a_rate_near_the_declared_one_is_no_notice(clock: ManualClock):
    health = StreamHealth(clock)
    for _ in range(8):
        run(health, clock, fps=21.0, seconds=10)
        assert not health.report().rate_differs


def test_a_packet_brings_it_back(clock: ManualClock):
    health = StreamHealth(clock)
    clock.advance(timedelta(minutes=5))
    assert health.report().state is LinkState.SILENT

    health.heard(packet(0, clock.now()))

    assert health.report().state is LinkState.LIVE
