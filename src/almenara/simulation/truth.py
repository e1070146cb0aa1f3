"""The truth beside a clip, as JSON Lines: what was in each picture, and where.

The first line says how the pictures were taken; each further line is one picture.
Angles are degrees true, lengths metres, pixels count from the picture's upper left
corner. ``target`` is true for what a watch wants to find and false for what distracts.
"""

import json
import math
from datetime import timedelta

from almenara.core.coast import Camera
from almenara.core.time import EPOCH
from almenara.simulation.geometry import Eye
from almenara.simulation.paint import Painted
from almenara.simulation.render import TruePicture
from almenara.simulation.scenario import SMALL_CRAFT, ActorKind, Scenario

_CRAFT = SMALL_CRAFT | {ActorKind.FERRY, ActorKind.CARGO}
_SEA_STATES = ((1.6, 1), (3.4, 2), (5.5, 3), (8.0, 4), (10.8, 5), (13.9, 6))


def header_line(scenario: Scenario, camera: Camera, fps: int) -> str:
    """The first line, with its line end."""
    pose, lens, weather = camera.pose, camera.lens, scenario.weather
    winds = (state for limit, state in _SEA_STATES if weather.wind_mps <= limit)
    return _line(
        {
            "scenario": scenario.name,
            "seed": scenario.seed,
            "camera": {
                "id": camera.camera_id,
                "lat": pose.position.latitude_deg,
                "lon": pose.position.longitude_deg,
                "height_m": pose.height_m,
                "pan_deg": pose.azimuth_deg,
                "tilt_deg": pose.tilt_deg,
                "roll_deg": pose.roll_deg,
                "hfov_deg": lens.hfov_deg,
                "width": lens.width_px,
                "height": lens.height_px,
                "fps": fps,
                "sensor": camera.sensor.value,
            },
            "sea_state": next(winds, 7),
            "wind_m_s": weather.wind_mps,
            "visibility_km": weather.visibility_km,
        }
    )


def picture_line(eye: Eye, number: int, picture: TruePicture) -> str:
    """The line of one picture; its capture time counts from 1970 as the loop's zero."""
    attitude = picture.attitude
    shift = [
        round(-math.radians(attitude.pan_deg) * eye.focal_px, 3),
        round(math.radians(attitude.tilt_deg) * eye.focal_px, 3),
        0.0,
    ]
    captured = EPOCH + timedelta(seconds=picture.time_s)
    return _line(
        {
            "frame": number,
            "t": round(picture.time_s, 6),
            "capture_time": captured.isoformat().replace("+00:00", "Z"),
            "shift_px": shift,
            "horizon": [round(y, 3) for y in eye.horizon_rows(attitude)],
            "event": None,
            "objects": [_thing(thing) for thing in picture.things],
        }
    )


def _thing(thing: Painted) -> dict[str, object]:
    state = thing.state
    persons = state.actor.persons
    return {
        "id": state.thing_id,
        "class": state.actor.kind.value,
        "box": [round(v, 3) for v in thing.box],
        "waterline": [round(v, 3) for v in thing.waterline]
        if thing.waterline
        else None,
        "visible": round(thing.visible, 3),
        "range_m": round(thing.range_m, 2),
        "lat": round(state.position.latitude_deg, 8),
        "lon": round(state.position.longitude_deg, 8),
        "speed_m_s": round(state.speed_mps, 3),
        "course_deg": round(state.course_deg, 3),
        "contrast": round(thing.contrast, 2),
        "snr": round(thing.snr, 2),
        "persons": [persons.at_least, persons.at_most] if persons else None,
        "target": state.actor.kind in _CRAFT,
    }


def _line(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n"
