"""One contract for case desks, in memory and over a real store."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from almenara.console.api.cases import CaseDesk as Port
from almenara.console.api.cases import Opening
from almenara.core.errors import CaseRefusedError, CaseVersionError
from almenara.core.ids import CaseId, CentreId, PersonId
from almenara.core.labels import Labels
from almenara.core.time import ManualClock
from almenara.evidence.audit import AuditEntry
from almenara.node.case_desk import CaseDesk
from almenara.node.store.cases import SqlCases
from almenara.node.store.database import open_store
from almenara.rescue import case as acts
from almenara.rescue.case import Case, Origin, OriginKind
from almenara.rescue.phases import Phase
from tests.conftest import NOON
from tests.console.fakes import CENTRE, FakeAudit, FakeCases
from tests.contracts.console_stores import entry
from tests.rescue.cases import SOON, facts

pytestmark = pytest.mark.anyio


def desks(kind: str, folder: Path) -> Iterator[Port]:
    if kind == "fake":
        yield FakeCases(FakeAudit())
        return
    with open_store(folder / "almenara.db") as store:
        yield CaseDesk(
            SqlCases(store),
            own=CENTRE,
            partner=CentreId("tetouan"),
            clock=ManualClock(NOON),
        )


@pytest.fixture(params=["fake", "sql"])
def desk(request, tmp_path):
    yield from desks(request.param, tmp_path)


def by(name: str = "ana", *, at: datetime = NOON) -> AuditEntry:
    made = entry("case.work", at=at)
    return replace(made, actor=replace(made.actor, person_id=PersonId(name)))


def opening(phase: Phase = Phase.UNCERTAINTY, **labels: bool) -> Opening:
    return Opening(
        origin=Origin(kind=OriginKind.CALL),
        facts=facts(),
        labels=Labels(**labels),  # type: ignore[arg-type]  # by name
        phase=phase,
    )


def raising(phase: Phase):
    return partial(acts.decide, phase=phase, at=SOON, by=PersonId("ana"))


async def test_a_case_comes_back_whole_under_a_name_that_people_can_say(desk):
    made = await desk.open(opening(exercise=True, simulated=True), entry=by())

    assert made.case_id == "ceuta-2026-0001"
    assert await desk.get(made.case_id) == made
    assert (await desk.open(opening(), entry=by())).case_id == "ceuta-2026-0002"
    assert await desk.get(CaseId("ceuta-2026-0099")) is None


async def test_an_act_is_decided_on_the_case_and_audited_by_its_own_name(desk):
    made = await desk.open(opening(), entry=by())

    after = await desk.act(
        made.case_id, raising(Phase.DISTRESS), version=1, entry=by(at=SOON)
    )

    assert (after.version, after.phase) == (2, Phase.DISTRESS)
    assert await desk.get(made.case_id) == after
    lines = await desk.entries(made.case_id)
    assert [line.entry.act for line in lines] == ["case.open", "case.phase"]


async def test_an_act_on_an_older_version_does_nothing(desk):
    made = await desk.open(opening(), entry=by())
    await desk.act(made.case_id, raising(Phase.ALERT), version=1, entry=by())

    with pytest.raises(CaseVersionError):
        await desk.act(made.case_id, raising(Phase.DISTRESS), version=1, entry=by())

    assert (await desk.get(made.case_id)).phase is Phase.ALERT
    assert len(await desk.entries(made.case_id)) == 2


async def test_raising_a_phase_asks_for_no_version(desk):
    made = await desk.open(opening(), entry=by())
    await desk.act(made.case_id, raising(Phase.ALERT), version=1, entry=by())

    after = await desk.act(
        made.case_id, raising(Phase.DISTRESS), version=None, entry=by()
    )

    assert after.phase is Phase.DISTRESS


async def test_what_the_rules_forbid_leaves_nothing_behind(desk):
    made = await desk.open(opening(Phase.DISTRESS), entry=by())

    with pytest.raises(CaseRefusedError, match="second_person"):
        await desk.act(made.case_id, raising(Phase.ALERT), version=None, entry=by())

    assert await desk.get(made.case_id) == made
    assert len(await desk.entries(made.case_id)) == 1


async def test_a_request_repeated_with_its_key_does_it_once(desk):
    keyed = {"key": "key-0001", "digest": "what it asks"}
    first = await desk.open(opening(), entry=by(), **keyed)

    again = await desk.open(opening(), entry=by(), **keyed)

    assert again == first
    assert len(await desk.cases(closed=True, limit=10)) == 1
    with pytest.raises(CaseRefusedError, match="key_reused"):
        await desk.open(opening(), entry=by(), key="key-0001", digest="other")
    other = await desk.open(opening(), entry=by("ben"), **keyed)
    assert other.case_id != first.case_id


async def test_a_repeated_act_is_answered_as_the_first_time(desk):
    made = await desk.open(opening(), entry=by())
    act = raising(Phase.ALERT)
    keyed = {"key": "key-0002", "digest": "d", "entry": by()}
    first = await desk.act(made.case_id, act, version=1, **keyed)
    await desk.act(made.case_id, raising(Phase.DISTRESS), version=None, entry=by())

    again = await desk.act(made.case_id, act, version=1, **keyed)

    assert again == first
    assert (await desk.get(made.case_id)).version == 3


async def test_open_cases_come_gravest_first_and_closed_ones_on_request(desk):
    mild = await desk.open(opening(), entry=by())
    grave = await desk.open(opening(Phase.DISTRESS), entry=by())
    over = await closed(desk)

    shown = [case.case_id for case in await desk.cases(closed=False, limit=10)]
    everything = await desk.cases(closed=True, limit=10)

    assert shown == [grave.case_id, mild.case_id]
    assert {case.case_id for case in everything} == {*shown, over.case_id}
    assert len(await desk.cases(closed=True, limit=1)) == 1


async def closed(desk: Port) -> Case:
    made = await desk.open(opening(), entry=by())
    ask = partial(
        acts.ask_lower,
        phase=Phase.NONE,
        closes=True,
        reason="all safe",
        at=SOON,
        by=PersonId("ana"),
    )
    asked = await desk.act(made.case_id, ask, version=1, entry=by())
    assert asked is not None
    agree = partial(
        acts.agree_lower,
        digest=asked.requests[0].digest,
        at=SOON,
        by=PersonId("ben"),
    )
    after = await desk.act(made.case_id, agree, version=2, entry=by("ben"))
    assert after is not None
    return after


async def test_what_has_to_be_told_is_kept_with_the_act(desk):
    over = await closed(desk)

    sendings = await desk.sendings(over.case_id)

    assert [s.key for s in sendings] == [f"{over.case_id}/1", f"{over.case_id}/3"]
    assert all(s.delivered_at is None for s in sendings)


async def test_whoever_listens_is_woken_by_an_act(desk):
    async with desk.changes() as rings:
        await desk.open(opening(), entry=by())
        async for _ in rings:
            break
