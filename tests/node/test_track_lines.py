"""Looks in, places out; observations in, tracks out; wrong lines named."""

import json
from datetime import timedelta

import numpy as np
import pytest

from almenara.core.errors import ConfigError
from almenara.geo.fix import sight
from almenara.geo.geodesy import destination, inverse
from almenara.node.track_lines import ellipse, fuse, locate, schemas, written
from tests.tracking.coast import NOON, TARIFA, Boat, Watcher, camera

CAMERA = camera()
BOAT = Boat(east_m=500, north_m=-8000, east_mps=1.0, north_mps=1.0)


def look(**fields) -> str:
    return json.dumps({"camera": "tarifa-day", **fields})


def test_a_direction_becomes_a_position_with_an_ellipse():
    there = destination(TARIFA, 190.0, 6000.0)
    azimuth, elevation, _ = sight(CAMERA, there)
    (found,) = locate(
        "x", [look(azimuth_deg=azimuth, elevation_deg=elevation)], [CAMERA]
    )

    assert found["kind"] == "position"
    assert found["latitude_deg"] == pytest.approx(there.latitude_deg, abs=1e-6)
    assert found["ellipse"]["azimuth_deg"] == pytest.approx(10.0, abs=0.1)
    assert found["ellipse"]["major_m"] > 5 * found["ellipse"]["minor_m"]


def test_the_horizon_is_a_bearing_alone():
    (found,) = locate("x", [look(azimuth_deg=190.0, elevation_deg=0.2)], [CAMERA])

    assert found["kind"] == "bearing"
    assert "latitude_deg" not in found


def test_a_pixel_is_read_at_its_waterline():
    (found,) = locate("x", [look(x_px=960, y_px=700), "\n"], [CAMERA])

    assert found["kind"] == "position"
    assert found["azimuth_deg"] == pytest.approx(180.0)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "Invalid JSON"),
        (look(x_px=1), "either x_px"),
        (look(x_px=1, y_px=1, face=1), "Extra inputs"),
        ('{"camera": "nobody", "x_px": 1, "y_px": 1}', "camera nobody"),
        (look(x_px=1, y_px="NaN"), "y_px"),
    ],
)
def test_a_wrong_line_is_named_after_the_others_were_answered(line, says):
    answers = locate("looks.jsonl", [look(x_px=960, y_px=700), line], [CAMERA])

    assert next(answers)["kind"] == "position"
    with pytest.raises(ConfigError, match=r"looks\.jsonl:2: ") as error:
        next(answers)
    assert says in str(error.value)


def observations() -> list[str]:
    watch = Watcher(camera=CAMERA, rng=np.random.default_rng(1))
    lines = []
    for t in range(0, 40, 2):
        place = BOAT.place(t)
        seen = watch.see(place, "1", t)
        at = (NOON + timedelta(seconds=t)).isoformat()
        lines.append(
            {
                "kind": "camera",
                "camera": "tarifa-day",
                "local_track": "1",
                "at": at,
                "azimuth_deg": seen.azimuth_deg,
                "azimuth_std_deg": seen.azimuth_std_deg,
                "elevation_deg": seen.elevation_deg,
                "elevation_std_deg": seen.elevation_std_deg,
            }
        )
        if t % 4 == 0:
            range_m, azimuth = inverse(TARIFA, place)
            lines.append(
                {
                    "kind": "radar",
                    "radar": "radar-1",
                    "local_track": "9",
                    "at": at,
                    "origin": [TARIFA.latitude_deg, TARIFA.longitude_deg],
                    "azimuth_deg": azimuth,
                    "range_m": range_m,
                }
            )
        if t % 10 == 0:
            lines.append(
                {
                    "kind": "ais",
                    "receiver": "ais-1",
                    "mmsi": 224000001,
                    "at": at,
                    "latitude_deg": place.latitude_deg,
                    "longitude_deg": place.longitude_deg,
                }
            )
    return [json.dumps(line) for line in lines]


def test_three_sensors_of_one_boat_are_one_track():
    told = list(fuse("x", observations(), [CAMERA], every=timedelta(seconds=10)))
    last = told[-1]

    assert last["kind"] == "track"
    assert set(last["sensors"]) == {"tarifa-day", "radar-1", "ais-1"}
    assert last["east_mps"] == pytest.approx(1.0, abs=0.3)
    assert [t["track"] for t in told if t["at"] == last["at"]] == [last["track"]]


def test_the_same_lines_give_the_same_bytes():
    first, second = (
        [written(line) for line in fuse("x", observations(), [CAMERA])]
        for _ in range(2)
    )

    assert first == second
    assert len(first) > 20


def test_an_unknown_kind_of_line_is_named():
    with pytest.raises(ConfigError, match=r"obs:1: "):
        list(fuse("obs", ['{"kind": "sonar"}'], []))


def test_an_ellipse_has_its_longer_axis_first():
    assert ellipse((100.0, 4.0, 0.0)) == {
        "major_m": 10.0,
        "minor_m": 2.0,
        "azimuth_deg": 90.0,
    }


def test_the_schemas_name_every_kind_of_line():
    assert {"camera", "ais", "radar"} <= set(json.dumps(schemas()["fuse"]).split('"'))
