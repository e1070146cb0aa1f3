import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pyais import decode

from almenara.node.clock import SystemClock
from almenara.simulation import load_scenario
from almenara.simulation.ais_server import (
    AisServer,
    interval_s,
    position_sentences,
    static_sentences,
)
from almenara.simulation.world import state_at


def ships(time_s: float = 0.0):
    return [
        s for s in state_at(load_scenario("strait"), time_s) if s.actor.ais is not None
    ]


@pytest.mark.parametrize("state", ships(), ids=lambda s: s.thing_id)
def test_what_is_sent_decodes_to_what_is_true(state, clock):
    said = decode(*position_sentences(state, state.actor.ais, clock.now())).asdict()

    assert said["mmsi"] == state.actor.ais.mmsi
    assert said["lat"] == pytest.approx(state.position.latitude_deg, abs=2e-6)
    assert said["lon"] == pytest.approx(state.position.longitude_deg, abs=2e-6)
    assert said["speed"] == pytest.approx(state.speed_mps * 3600 / 1852, abs=0.06)
    assert said["course"] == pytest.approx(state.course_deg, abs=0.06)
    assert said["msg_type"] == (18 if state.actor.ais.class_b else 1)


@pytest.mark.parametrize("state", ships(), ids=lambda s: s.thing_id)
def test_names_and_sizes_decode(state):
    sentences = static_sentences(state, state.actor.ais)

    if state.actor.ais.class_b:
        said = decode(sentences[0]).asdict()
        assert decode(sentences[1]).asdict()["ship_type"] == state.actor.ais.ship_type
    else:
        said = decode(*sentences).asdict()
        assert said["to_bow"] in (50, 150)
    assert said["shipname"] == state.actor.ais.name


def test_fast_ships_report_more_often():
    by_name = {s.thing_id: interval_s(s) for s in ships()}

    assert by_name["ferry"] == 2.0
    assert by_name["cargo-west"] == 6.0
    assert by_name["wooden"] == 30.0


@pytest.mark.anyio
async def test_a_new_client_hears_every_ship_in_step_with_the_pictures():
    scenario, clock = load_scenario("strait"), SystemClock()
    server = AisServer(scenario, clock, clock.now() - timedelta(seconds=60))
    heard: dict[Any, dict[str, Any]] = {}
    async with server.listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while len(heard) < len(ships()):
            line = (await reader.readline()).strip()
            if b",2," in line[:10]:
                continue
            said = decode(line).asdict()
            if said["msg_type"] in (1, 18):
                heard[said["mmsi"]] = said
        writer.close()

    for state in ships(60.0):
        said = heard[state.actor.ais.mmsi]
        assert said["lat"] == pytest.approx(state.position.latitude_deg, abs=5e-4)


@pytest.mark.anyio
async def test_before_the_story_begins_no_ship_says_anything(clock):
    server = AisServer(load_scenario("strait"), clock)
    assert list(server.ships()) == []

    server.begin(clock.now())
    assert len(list(server.ships())) == len(ships())
