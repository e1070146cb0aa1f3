"""The gate by itself: nothing matched means denied, and rescue is never held up."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import CentreId, PersonId, StationId
from almenara.core.labels import Labels, Purpose
from almenara.evidence.access import (
    ALLOWED,
    Action,
    Header,
    Principal,
    Role,
    Verdict,
    decide,
    permissions,
)
from almenara.evidence.audit import AuditAction, AuditObject
from tests.conftest import NOON

ANA = Principal(
    person_id=PersonId("p1"),
    name="Ana",
    centre_id=CentreId("ceuta"),
    roles=frozenset({Role.OPERATOR}),
    purpose=Purpose.BORDER,
)
CAMERA = Header(kind="camera", id="c1", station_id=StationId("s1"))
actions = st.sampled_from(Action)
roles = st.frozensets(st.sampled_from(Role))


@given(action=actions)
def test_a_stranger_may_nothing(action: Action):
    assert decide(None, action, None, NOON).verdict is Verdict.UNAUTHENTICATED


@given(action=actions)
def test_who_holds_no_role_may_nothing(action: Action):
    nobody = replace(ANA, roles=frozenset())

    assert decide(nobody, action, None, NOON).verdict is Verdict.FORBIDDEN


@given(action=actions, held=roles, more=roles)
def test_a_further_role_never_takes_anything_away(action, held, more):
    before = decide(replace(ANA, roles=held), action, CAMERA, NOON)
    after = decide(replace(ANA, roles=held | more), action, CAMERA, NOON)

    assert after.allowed or not before.allowed


@given(held=roles)
def test_what_the_page_offers_is_what_the_gate_allows(held: frozenset[Role]):
    offered = set(permissions(held))

    for action in Action:
        asked = decide(replace(ANA, roles=held), action, None, NOON)
        assert asked.allowed == (action in offered)


def test_another_station_does_not_exist():
    limited = replace(ANA, stations=frozenset({StationId("s2")}))

    found = decide(limited, Action.VIDEO_LIVE, CAMERA, NOON)

    assert found.verdict is Verdict.NOT_FOUND


def test_another_centre_does_not_exist_unless_it_released():
    centre = CentreId("tangier")
    theirs = Header(kind="alarm", id="a", centre_id=centre, labels=Labels())
    released = Labels(releasable_to=frozenset({ANA.centre_id}))

    assert not decide(ANA, Action.ALARM_READ, theirs, NOON).allowed
    shown = replace(theirs, labels=released)
    assert decide(ANA, Action.ALARM_READ, shown, NOON).allowed


def test_a_liaison_sees_the_mission_and_only_until_it_ends():
    liaison = replace(
        ANA,
        roles=frozenset({Role.LIAISON}),
        missions={"m": NOON + timedelta(hours=1)},
    )
    granted = replace(CAMERA, mission="m")

    assert decide(liaison, Action.VIDEO_LIVE, granted, NOON).allowed
    over = NOON + timedelta(hours=1)
    for header, now in ((granted, over), (CAMERA, NOON)):
        found = decide(liaison, Action.VIDEO_LIVE, header, now)
        assert found.verdict is Verdict.NOT_FOUND


@pytest.mark.parametrize("purpose", [Purpose.SAR, Purpose.SAFETY, Purpose.BORDER])
def test_who_comes_for_rescue_or_the_watch_sees_every_rescue(purpose: Purpose):
    rescue = Header(kind="alarm", id="a", labels=Labels(purpose=Purpose.SAR))

    assert decide(
        replace(ANA, purpose=purpose), Action.ALARM_READ, rescue, NOON
    ).allowed


def test_another_purpose_does_not_exist():
    case = Header(kind="alarm", id="a", labels=Labels(purpose=Purpose.LAW_ENFORCEMENT))

    assert decide(ANA, Action.ALARM_READ, case, NOON).verdict is Verdict.NOT_FOUND


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.MAINTENANCE, Role.AUDITOR])
def test_who_runs_or_checks_the_centre_sees_no_video(role: Role):
    video = {Action.VIDEO_LIVE, Action.VIDEO_STILL, Action.VIDEO_PLAYBACK}

    assert not ALLOWED[role] & video


def test_video_owes_an_entry():
    decision = decide(ANA, Action.VIDEO_PLAYBACK, CAMERA, NOON)

    assert decision.audit is AuditAction.CONSULTATION


def test_an_entry_about_a_span_that_ends_before_it_starts_is_a_mistake():
    with pytest.raises(ValueError, match="ends before"):
        AuditObject(kind="camera", id="c", start=NOON, end=NOON)
