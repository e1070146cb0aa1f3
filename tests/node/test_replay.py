"""Kept points, asked again: what a rule would have told, and when."""

from datetime import timedelta
from pathlib import Path

import pytest

from almenara.core.time import ManualClock
from almenara.incidents.situation import Surroundings
from almenara.node.replay import replay, rule_names, rule_of
from almenara.node.store.track_points import TrackPoints
from almenara.tracking.picture import Picture
from tests.incidents.sea import NOON, SHORE, ZONE, track

AROUND = Surroundings(zones=[ZONE], shore=SHORE)
HOUR = timedelta(hours=1)


def keep(folder: Path, begin_s: int, end_s: int) -> TrackPoints:
    """A boat at 5 kn that crosses the zone and meets the beach."""
    with TrackPoints(folder, ManualClock(NOON)) as points:
        for t in range(begin_s, end_s, 5):
            boat = track(t, north_m=-6000, velocity=(0.0, 2.5))
            points.put(Picture(at=boat.at, tracks=(boat,)))
    return TrackPoints(folder, ManualClock(NOON))


def test_a_rule_tells_again_from_when_until_when(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("almenara.node.store.track_points.MAX_WAITING", 10_000)
    points = keep(tmp_path, 0, 2400)
    rules = [rule_of("zone_entered"), rule_of("closing_on_coast")]
    found = list(replay(points.pictures(NOON, NOON + HOUR), rules, AROUND))

    assert {row["rule"] for row in found} == {"zone_entered", "closing_on_coast"}
    (zone,) = [row for row in found if row["rule"] == "zone_entered"]
    assert zone["contact"] == "T1"
    assert zone["from"].startswith("2026-03-01T12:13")
    assert zone["to"].startswith("2026-03-01T12:3")


def test_a_span_without_points_tells_nothing(tmp_path: Path):
    points = TrackPoints(tmp_path, ManualClock(NOON))

    assert list(points.pictures(NOON, NOON + 48 * HOUR)) == []
    assert list(replay([], [rule_of("adrift")], AROUND)) == []


@pytest.mark.parametrize("name", rule_names())
def test_every_rule_can_be_asked_again_and_one_look_convinces_none(name: str):
    one = Picture(at=NOON, tracks=(track(0, north_m=-6000),))

    assert list(replay([one], [rule_of(name)], AROUND)) == []
