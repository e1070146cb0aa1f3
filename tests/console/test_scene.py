"""Snapshot and deltas lead to the latest scene; a live queue never starts mid-way."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from almenara.console.live_queue import HEADER, LiveQueue, framed
from almenara.console.scene import Scene, delta, snapshot
from almenara.core.media import LiveFragment, LiveInit
from almenara.core.time import to_micros
from tests.conftest import NOON
from tests.console.fakes import INIT, fragment

names = st.sampled_from("abcd")
things = st.dictionaries(names, st.integers(0, 3).map(lambda n: {"value": n}))


@st.composite
def scenes(draw) -> Scene:
    def keyed(kind: str) -> dict[str, Any]:
        return {k: {**v, "id": k, "kind": kind} for k, v in draw(things).items()}

    return Scene(
        at=NOON,
        tracks=keyed("track"),
        rays=tuple(draw(st.lists(st.integers(0, 3), max_size=3))),
        alarms=keyed("alarm"),
        health=draw(st.sampled_from([None, {"cameras": 1}, {"cameras": 2}])),
    )


class Page:
    """What a page keeps: the snapshot, changed by each delta."""

    def __init__(self, first: dict[str, Any]) -> None:
        self.seq = first["seq"]
        self.tracks = {t["id"]: t for t in first["tracks"]}
        self.alarms = {a["id"]: a for a in first["alarms"]}
        self.rays, self.health = first["rays"], first["health"]

    def apply(self, told: dict[str, Any]) -> None:
        assert told["seq"] == self.seq + 1
        self.seq = told["seq"]
        for kept, change in (
            (self.tracks, told["tracks"]),
            (self.alarms, told["alarms"]),
        ):
            for gone in change["gone"]:
                del kept[gone]
            kept.update({thing["id"]: thing for thing in change["changed"]})
        self.rays = told["rays"]
        self.health = told["health"] or self.health


@given(story=st.lists(scenes(), min_size=1, max_size=8))
def test_a_snapshot_and_every_delta_are_the_latest_scene(story: list[Scene]):
    page = Page(snapshot(story[0], 1))
    before = story[0]
    for after in story[1:]:
        told = delta(before, after, page.seq + 1)
        if told is not None:
            page.apply(told)
        before = after

    assert page.tracks == before.tracks
    assert page.alarms == before.alarms
    assert tuple(page.rays) == before.rays
    if before.health is not None:
        assert page.health == before.health


@given(scene=scenes())
def test_what_did_not_change_is_not_told(scene: Scene):
    assert delta(scene, scene, 2) is None


def test_the_header_is_sixteen_bytes_and_media_time_wraps():
    told = framed(fragment(1, key=True))

    captured, dts, kind = HEADER.unpack(told[:16])
    assert captured == to_micros(NOON + timedelta(milliseconds=40))
    assert (dts, kind, told[16:]) == (3600, 1, b"1")
    assert framed(INIT)[:16] == bytes(16)


messages = st.lists(
    st.one_of(
        st.just(INIT),
        st.tuples(st.integers(0, 9), st.booleans()).map(
            lambda made: fragment(made[0], key=made[1])
        ),
    ),
    max_size=400,
)


@given(story=messages, pauses=st.sets(st.integers(0, 400)))
def test_a_slow_viewer_never_sees_a_picture_without_those_before_it(story, pauses):
    queue, told, came_after_break = LiveQueue(), [], True
    for number, message in enumerate(story):
        before = queue.dropped
        queue.put(message)
        came_after_break |= queue.dropped > before
        if number not in pauses:
            while (taken := queue.take()) is not None:
                told.append(taken)

    fresh = True
    for message in told:
        if isinstance(message, LiveInit):
            fresh = True
        elif fresh:
            assert message.is_key
            fresh = False


def test_a_viewer_who_stops_taking_costs_a_bounded_amount_and_goes_on_with_a_key():
    queue = LiveQueue()
    queue.put(INIT)
    for number in range(10_000):
        queue.put(fragment(number, key=number % 50 == 0))
    waiting = []
    while (taken := queue.take()) is not None:
        waiting.append(taken)

    assert waiting[0] is INIT
    assert isinstance(waiting[1], LiveFragment)
    assert waiting[1].is_key
    assert len(waiting) <= 122
    assert queue.dropped > 9_000
