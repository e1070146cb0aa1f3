import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ais import AisReport
from almenara.core.errors import StationRejectedError
from almenara.core.ids import ReceiverId
from almenara.core.time import ManualClock
from almenara.stations import Report
from almenara.stations.health import LinkState, StreamHealth
from almenara.stations.session import RetryPolicy, keep_open
from tests.conftest import NOON
from tests.stations.scripted import DOWN, TARIFA, ScriptedDriver

HELLO = AisReport(
    receiver_id=ReceiverId("r"), received_at=NOON, mmsi=224000001, message_type=1
)


def play(clock: ManualClock, *script: Report | Exception) -> list[Report]:
    received: list[Report] = []

    async def sink(report: Report) -> None:
        received.append(report)

    session = keep_open(
        ScriptedDriver(*script),
        sink,
        station_id=TARIFA,
        clock=clock,
        policy=RetryPolicy(),
        chance=lambda: 0.0,
    )
    with pytest.raises(StationRejectedError):
        asyncio.run(session)
    return received


def test_waits_longer_while_the_mast_is_silent(clock: ManualClock):
    play(clock, DOWN, DOWN, DOWN)

    assert clock.now() - NOON == timedelta(seconds=1 + 2 + 3)


def test_one_report_makes_patience_short_again(clock: ManualClock):
    received = play(clock, DOWN, DOWN, HELLO, DOWN)

    assert received == [HELLO]
    assert clock.now() - NOON == timedelta(seconds=1 + 2 + 1 + 2)


def test_a_refusal_is_not_retried(clock: ManualClock):
    play(clock)

    assert clock.now() == NOON


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_never_more_than_once_a_second_nor_later_than_six(failures: int, chance: float):
    wait = RetryPolicy().wait(failures, chance)

    assert timedelta(seconds=1) <= wait <= timedelta(seconds=6)


def test_twenty_cameras_do_not_come_back_in_one_breath():
    waits = {RetryPolicy().wait(1, n / 20) for n in range(20)}

    assert len(waits) == 20


def test_a_listener_hears_the_whole_story(clock: ManualClock):
    health = StreamHealth(clock)

    async def sink(_: Report) -> None:
        assert health.report().state is LinkState.LIVE

    with pytest.raises(StationRejectedError):
        asyncio.run(
            keep_open(
                ScriptedDriver(DOWN, HELLO),
                sink,
                station_id=TARIFA,
                clock=clock,
                policy=RetryPolicy(),
                listener=health,
            )
        )

    told = health.report()
    assert (told.state, told.detail) == (LinkState.REJECTED, "bad password")
    assert (told.connections, told.failures) == (3, 3)


@pytest.mark.anyio
async def test_a_cancelled_session_closes_its_driver(clock: ManualClock):
    closed = asyncio.Event()
    heard = asyncio.Event()

    class Endless:
        async def reports(self):
            try:
                while True:
                    yield HELLO
                    await asyncio.sleep(0)
            finally:
                closed.set()

    async def sink(_: Report) -> None:
        heard.set()

    async with asyncio.TaskGroup() as tasks:
        session = tasks.create_task(
            keep_open(
                Endless(), sink, station_id=TARIFA, clock=clock, policy=RetryPolicy()
            )
        )
        await heard.wait()
        session.cancel()

    assert closed.is_set()
