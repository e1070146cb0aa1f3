"""A small rendered sea with one boat, as packets for the watch."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from almenara.core.coast import Camera
from almenara.core.ids import CameraId, StreamId
from almenara.core.media import Packet, StreamFormat, TimeSource
from almenara.simulation import load_scenario
from almenara.simulation.clip import Clip, read_clip
from almenara.simulation.clips import clips_of, default_cache, render
from tests.conftest import NOON

SCENARIO = load_scenario("one-boat")
THERMAL = CameraId("faro-thermal")


@functools.cache
def one_boat() -> Clip:
    """Forty seconds of the thermal camera; rendered once and kept."""
    clips = clips_of(SCENARIO, THERMAL, default_cache())
    if not clips.ready:
        render(SCENARIO, clips)
    return read_clip(clips.main)


def thermal(name: str = THERMAL) -> Camera:
    """The camera that took it, under any name."""
    found = next(c for c in SCENARIO.cameras() if c.camera_id == THERMAL)
    return replace(found, camera_id=CameraId(name))


def form_of(clip: Clip) -> StreamFormat:
    return StreamFormat(
        codec=clip.codec,
        width_px=clip.width_px,
        height_px=clip.height_px,
        parameter_sets=clip.parameter_sets,
    )


def packets(
    clip: Clip, *, name: str = "s", first: int = 0, at: datetime = NOON
) -> Iterator[Packet]:
    """The clip over and over, its time running on."""
    form = form_of(clip)
    number = first
    while True:
        place = number % len(clip)
        taken = at + timedelta(seconds=number / clip.fps)
        yield Packet(
            stream_id=StreamId(name),
            format=form,
            nal_units=clip.pictures[place],
            is_key=clip.keys[place],
            pts_90k=number * 90_000 // clip.fps,
            dts_90k=number * 90_000 // clip.fps,
            captured_at=taken,
            captured_by=TimeSource.CAMERA,
            received_at=taken,
            received_monotonic_s=number / clip.fps,
        )
        number += 1
