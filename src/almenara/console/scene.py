"""What one person sees at one instant, and the step from one sight to the next.

Pure: a scene is a value, :func:`delta` compares two, and applying every delta to the
first snapshot gives the latest scene. Contacts and alarms travel by what changed and
what is gone; rays are few and short-lived, so they travel whole.

Source: docs/design/first-light.md, "The wire between console and browser".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from almenara.console.wire import rfc3339

Json = Any
"""A JSON value, ready to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything the page shows; each value as the wire writes it."""

    at: datetime
    tracks: Mapping[str, Json] = field(default_factory=dict[str, Json])
    rays: tuple[Json, ...] = ()
    alarms: Mapping[str, Json] = field(default_factory=dict[str, Json])
    health: Json = None
    """None where the person may not know it."""

    node: Json = None


def snapshot(scene: Scene, seq: int) -> Json:
    """The whole scene as a message."""
    return {
        "type": "snapshot",
        "seq": seq,
        "at": rfc3339(scene.at),
        "tracks": list(scene.tracks.values()),
        "rays": list(scene.rays),
        "alarms": list(scene.alarms.values()),
        "health": scene.health,
        "node": scene.node,
    }


def delta(before: Scene, after: Scene, seq: int) -> Json | None:
    """What changed as a message; None if nothing did."""
    tracks = _changes(before.tracks, after.tracks)
    alarms = _changes(before.alarms, after.alarms)
    health = None if _same(before.health, after.health) else after.health
    moved = tracks["changed"] or tracks["gone"] or before.rays != after.rays
    if not (moved or alarms["changed"] or alarms["gone"] or health):
        return None
    return {
        "type": "delta",
        "seq": seq,
        "at": rfc3339(after.at),
        "tracks": tracks,
        "rays": list(after.rays),
        "alarms": alarms,
        "health": health,
    }


def heartbeat(at: datetime, seq: int) -> Json:
    """Nothing is wrong; ``seq`` is that of the last snapshot or delta."""
    return {"type": "heartbeat", "seq": seq, "at": rfc3339(at)}


def _changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "changed": [thing for key, thing in after.items() if before.get(key) != thing],
        "gone": [key for key in before if key not in after],
    }


def _same(before: Json, after: Json) -> bool:
    return before is after or before == after
