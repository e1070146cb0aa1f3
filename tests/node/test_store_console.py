"""What the console keeps in the store: alarms, stations, and an audit nobody edits."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from almenara.core.errors import StoreError
from almenara.core.ids import PersonId
from almenara.core.labels import Labels
from almenara.incidents.alarm import Alarm, AlarmState, Priority, Reason
from almenara.node.store import accounts, alarms, audit, stations
from almenara.node.store.database import open_store
from tests.console.fakes import NOON, alarm, station
from tests.contracts.console_stores import entry

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Change:
    """As the queue decides it."""

    before: Alarm | None
    after: Alarm
    event: str = "raised"
    announces: bool = True


@pytest.fixture
def store(place):
    with open_store(place) as opened:
        yield opened


async def test_an_alarm_comes_back_with_its_reasons(store):
    desk = alarms.SqlAlarmDesk(store)
    odd = replace(
        alarm().alerts[0],
        because=(Reason("k", {"text": "12", "many": 5.0, "more": float("inf")}),),
    )
    whole = alarm(labels=Labels(exercise=True, simulated=True), alerts=(odd,))

    await desk.commit([Change(None, whole)], [entry("alarm.raise")])

    assert await desk.get(whole.alarm_id) == whole
    assert await desk.load() == (whole,)


async def test_the_queue_is_ordered_as_the_watch_works_and_leaves_out_what_is_over(
    store,
):
    desk = alarms.SqlAlarmDesk(store)
    late = NOON + timedelta(minutes=1)
    seen = {"acknowledged_by": PersonId("p"), "acknowledged_at": late}
    kept = [
        alarm("over", state=AlarmState.NORMAL),
        alarm("seen", state=AlarmState.ACKNOWLEDGED, **seen),
        alarm("returned", state=AlarmState.RECTIFIED),
        alarm("new", raised_at=late),
        alarm("older"),
        alarm("graver", priority=Priority.ALARM, raised_at=late),
        alarm(
            "sos", priority=Priority.EMERGENCY, state=AlarmState.ACKNOWLEDGED, **seen
        ),
    ]
    await desk.commit([Change(None, one) for one in kept])

    order = [one.alarm_id for one in await desk.queue(limit=100)]

    assert order == ["sos", "graver", "older", "new", "returned", "seen"]
    assert len(await desk.queue(limit=2)) == 2


async def test_row_trail_and_audit_are_written_together_or_not_at_all(store):
    desk, log = alarms.SqlAlarmDesk(store), audit.SqlAuditLog(store)
    new = alarm()
    seen = replace(
        new,
        state=AlarmState.ACKNOWLEDGED,
        acknowledged_by=PersonId("p1"),
        acknowledged_at=NOON,
    )
    await desk.commit([Change(None, new)])
    await desk.commit(
        [Change(new, seen, event="acknowledged", announces=False)],
        [entry("alarm.acknowledge")],
    )
    broken = replace(seen, acknowledged_by=None)

    with pytest.raises(sa.exc.IntegrityError):
        await desk.commit([Change(seen, broken)], [entry("never")])

    assert await desk.get(new.alarm_id) == seen
    trail = await desk.trail(new.alarm_id)
    assert [(s.event, s.state_before, s.person_id) for s in trail] == [
        ("raised", None, None),
        ("acknowledged", AlarmState.UNACKNOWLEDGED, "p1"),
    ]
    entries = await log.read(limit=10, before_seq=None)
    assert [(r.seq, r.entry.act) for r in entries] == [(1, "alarm.acknowledge")]


@pytest.mark.parametrize(
    ("table", "key"),
    [("audit", "seq"), ("alarm_trail", "step_id"), ("station_version", "version")],
)
@pytest.mark.parametrize("verb", ["update {} set {} = 99", "delete from {}"])
async def test_history_cannot_be_rewritten(store, table: str, key: str, verb: str):
    desk, registry = alarms.SqlAlarmDesk(store), stations.SqlStationRegistry(store)
    await desk.commit([Change(None, alarm())], [entry()])
    await registry.save([station("s1")], reason="new", entry=entry())

    with pytest.raises((sa.exc.DatabaseError, StoreError), match="append-only"):
        await store.write(lambda c: c.exec_driver_sql(verb.format(table, key)).close())


async def test_stations_come_back_and_every_version_stays(store):
    registry = stations.SqlStationRegistry(store)
    assert await registry.load() == ()
    first = (station("s1", "cam-1"),)
    second = (*first, replace(station("s2"), simulated=True))

    await registry.save(first, reason="first mast", entry=entry("camera.add"))
    await registry.save(second, reason="second mast", entry=entry("camera.add"))

    assert await registry.load() == second
    assert [(v.version, v.reason) for v in await registry.history()] == [
        (2, "second mast"),
        (1, "first mast"),
    ]


async def test_the_way_leads_to_the_schema_of_today(store):
    declared = {
        table.name: table
        for module in (accounts, alarms, audit, stations)
        for table in vars(module).values()
        if isinstance(table, sa.Table)
    }

    found = sa.inspect(store.engine)

    for name, table in declared.items():
        columns = {c["name"]: c["nullable"] for c in found.get_columns(name)}
        assert columns == {c.name: c.nullable for c in table.columns}, name
        indexes = {i["name"] for i in found.get_indexes(name)}
        assert {i.name for i in table.indexes} <= indexes, name
