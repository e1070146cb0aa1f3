"""One contract for alarm desks, and what the real one promises beyond it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from almenara.console.api.alarms import AlarmDesk as ConsoleDesk
from almenara.console.api.alarms import StaleVersionError
from almenara.core.errors import StoreError
from almenara.core.ids import AlarmId, PersonId
from almenara.core.labels import Labels
from almenara.core.time import ManualClock
from almenara.evidence.audit import AuditEntry
from almenara.incidents.alarm import Alarm, AlarmState, Alert, Priority, Subject
from almenara.node.alarm_desk import ESCALATED, AlarmDesk
from almenara.node.store.alarms import SqlAlarmDesk, Step
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from tests.conftest import NOON
from tests.console.fakes import FakeAudit, FakeDesk, alarm
from tests.contracts.console_stores import entry

pytestmark = pytest.mark.anyio
SOON = timedelta(seconds=1)
(ZONE,) = alarm().alerts
SEEN = replace(ZONE, is_rescue=False)
DRIFT = replace(ZONE, rule="adrift", priority=Priority.ALARM, is_rescue=True)
NOBODY: dict[Subject, Subject] = {}


def act(at: datetime = NOON) -> AuditEntry:
    return replace(entry("alarm.acknowledge"), at=at)


async def judged(desk: AlarmDesk, *alerts: Alert, at: datetime = NOON) -> None:
    labels = {a.subject: Labels(simulated=True) for a in alerts}
    await desk.judge(alerts, at, labels=labels, survivors=NOBODY)


async def only(desk: ConsoleDesk) -> Alarm:
    (found,) = await desk.queue(limit=10)
    return found


class Breakable(SqlAlarmDesk):
    """A store whose disk may be full."""

    broken = False

    async def commit(
        self, steps: Sequence[Step], entries: Iterable[AuditEntry] = ()
    ) -> None:
        if self.broken:
            raise StoreError("disk full")
        await super().commit(steps, entries)


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path / "almenara.db") as opened:
        yield opened


@pytest.fixture
def kept(store: Store) -> Breakable:
    return Breakable(store)


@pytest.fixture
def desk(kept: Breakable) -> AlarmDesk:
    return AlarmDesk(kept)


@pytest.fixture(params=["fake", "real"])
async def any_desk(request, desk: AlarmDesk) -> AsyncIterator[ConsoleDesk]:
    """A desk with one unacknowledged alarm."""
    if request.param == "fake":
        yield FakeDesk(FakeAudit(), alarm())
    else:
        await judged(desk, ZONE)
        yield desk


async def test_who_acknowledges_first_is_kept(any_desk):
    raised = await only(any_desk)

    first = await any_desk.acknowledge(raised.alarm_id, version=1, entry=act())
    again = await any_desk.acknowledge(
        raised.alarm_id, version=1, entry=act(NOON + SOON)
    )

    assert first.state is again.state is AlarmState.ACKNOWLEDGED
    assert (again.acknowledged_by, again.acknowledged_at) == (PersonId("p1"), NOON)
    assert await any_desk.get(raised.alarm_id) == again


async def test_a_version_nobody_saw_cannot_be_acknowledged(any_desk):
    raised = await only(any_desk)

    with pytest.raises(StaleVersionError):
        await any_desk.acknowledge(raised.alarm_id, version=2, entry=act())

    assert await only(any_desk) == raised


async def test_an_alarm_that_nobody_knows_is_none(any_desk):
    nobody = AlarmId("nobody")

    assert await any_desk.get(nobody) is None
    assert await any_desk.acknowledge(nobody, version=1, entry=act()) is None
    assert await any_desk.silence(nobody, entry=act()) is None


async def test_silencing_stops_the_sound_and_nothing_else(any_desk):
    raised = await only(any_desk)

    silenced = await any_desk.silence(raised.alarm_id, entry=act())

    assert silenced.state is AlarmState.SILENCED
    assert silenced.acknowledged_by is None


async def test_every_change_rings_the_bell(any_desk):
    raised = await only(any_desk)
    async with any_desk.changes() as bell:
        await any_desk.silence(raised.alarm_id, entry=act())
        async with asyncio.timeout(5):
            await anext(aiter(bell))


async def test_what_could_not_be_committed_has_not_happened(kept, desk):
    kept.broken = True
    async with desk.changes():
        with pytest.raises(StoreError):
            await judged(desk, ZONE)
    assert await desk.queue(limit=10) == ()

    kept.broken = False
    await judged(desk, ZONE, at=NOON + SOON)
    assert (await only(desk)).raised_at == NOON + SOON


async def test_an_acknowledgement_that_was_not_committed_may_be_given_again(kept, desk):
    await judged(desk, ZONE)
    raised = await only(desk)
    kept.broken = True
    with pytest.raises(StoreError):
        await desk.acknowledge(raised.alarm_id, version=1, entry=act())
    assert await only(desk) == raised

    kept.broken = False
    seen = await desk.acknowledge(raised.alarm_id, version=1, entry=act())
    assert seen is not None
    assert seen.state is AlarmState.ACKNOWLEDGED


async def test_an_acknowledgement_and_its_audit_entry_are_one(store, desk):
    await judged(desk, ZONE)
    raised = await only(desk)
    await desk.acknowledge(raised.alarm_id, version=1, entry=act())

    (written,) = await SqlAuditLog(store).read(limit=10, before_seq=None)
    assert written.entry.act == "alarm.acknowledge"


async def test_a_restart_takes_up_what_was_open(kept, desk):
    await judged(desk, ZONE)
    before = await only(desk)

    after = AlarmDesk(kept)
    await after.reload()

    assert await only(after) == before
    assert before.labels.simulated


async def test_a_graver_reason_announces_what_was_acknowledged(desk):
    await judged(desk, SEEN)
    raised = await only(desk)
    await desk.acknowledge(raised.alarm_id, version=1, entry=act())
    await judged(desk, SEEN, DRIFT, at=NOON + SOON)

    louder = await only(desk)
    assert (louder.state, louder.version) == (AlarmState.UNACKNOWLEDGED, 2)
    with pytest.raises(StaleVersionError):
        await desk.acknowledge(raised.alarm_id, version=1, entry=act())


async def test_what_comes_back_soon_stays_quiet(desk):
    """Acknowledged, over for a minute, and there again: the person knows."""
    await judged(desk, SEEN)
    raised = await only(desk)
    await desk.acknowledge(raised.alarm_id, version=1, entry=act())
    await judged(desk, at=NOON + SOON)
    assert await desk.queue(limit=10) == ()
    await judged(desk, SEEN, at=NOON + timedelta(minutes=1))

    back = await only(desk)
    assert back.alarm_id == raised.alarm_id
    assert back.state is AlarmState.ACKNOWLEDGED


async def test_judging_and_acknowledging_at_once_lose_nothing(desk):
    await judged(desk, SEEN)
    raised = await only(desk)
    later = NOON + SOON
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(judged(desk, SEEN, at=later))
        tasks.create_task(desk.acknowledge(raised.alarm_id, version=1, entry=act()))
        tasks.create_task(judged(desk, SEEN, at=later))

    assert (await only(desk)).state is AlarmState.ACKNOWLEDGED


async def test_the_judge_goes_on_when_the_store_does_not(kept, clock: ManualClock):
    """Told whole in tests/scenarios; here: nothing is shown that is not on disk."""
    desk = AlarmDesk(kept)
    kept.broken = True
    for _ in range(3):
        with pytest.raises(StoreError):
            await judged(desk, DRIFT, at=clock.now())
        clock.advance(SOON)
    kept.broken = False
    await judged(desk, DRIFT, at=clock.now())

    assert (await only(desk)).version == 1
    assert len(await kept.trail((await only(desk)).alarm_id)) == 1


async def test_announcements_say_when_they_were_answered(desk, kept: Breakable):
    await judged(desk, SEEN)
    found = await only(desk)
    await desk.acknowledge(found.alarm_id, version=1, entry=act(NOON + SOON))
    await judged(desk, SEEN, DRIFT, at=NOON + 2 * SOON)

    first, second = await kept.announcements(NOON, NOON + timedelta(hours=1))

    assert (first.at, first.acknowledged_at) == (NOON, NOON + SOON)
    assert (second.at, second.acknowledged_at) == (NOON + 2 * SOON, None)
    assert second.priority is Priority.ALARM
    later = NOON + timedelta(hours=1)
    assert await kept.announcements(later, later + SOON) == ()


async def test_an_emergency_that_nobody_answers_is_escalated(desk):
    grave = replace(SEEN, priority=Priority.EMERGENCY, is_rescue=True)
    before = ESCALATED.labels("outside")._value.get()  # noqa: SLF001 -- its only door
    await judged(desk, grave)
    await judged(desk, grave, at=NOON + timedelta(seconds=61))
    await judged(desk, grave, at=NOON + timedelta(seconds=62))

    assert ESCALATED.labels("outside")._value.get() == before + 1  # noqa: SLF001
