from dataclasses import replace

import pytest

from almenara.core.errors import ConfigError
from almenara.simulation import load_scenario, packaged, stations, zones
from almenara.simulation.scenario_file import parse_scenario

SMALL = """
seed = 1
loop_s = 10
hero = "a-day"
[[station]]
id = "a"
name = "A"
position = [36.0, -5.6]
height_m = 50.0
[[station.cameras]]
id = "a-day"
sensor = "day"
azimuth_deg = 180.0
hfov_deg = 12.0
size = [320, 240]
fps = 10
bitrate_kbps = 500
"""


@pytest.mark.parametrize("name", packaged())
def test_every_packaged_scenario_is_valid(name: str):
    scenario = load_scenario(name)

    assert scenario.cameras()[0].camera_id == scenario.hero


def test_the_four_promised_scenarios_are_there():
    assert set(packaged()) >= {"strait", "strait-20", "one-boat", "empty-sea"}


def test_twenty_stations_have_forty_cameras():
    scenario = load_scenario("strait-20")

    assert len(scenario.stations) == 20
    assert len(scenario.cameras()) == 40


def test_every_fault_is_named_with_its_place():
    text = SMALL.replace("hfov_deg = 12.0", "hfov_deg = 0.0").replace(
        "height_m = 50.0", "height = 50.0"
    )

    with pytest.raises(ConfigError) as caught:
        parse_scenario("small", text)

    said = "\n".join(caught.value.problems)
    assert "station.0.cameras.0.hfov_deg" in said
    assert "station.0.height_m" in said
    assert "station.0.height:" in said


def test_a_hero_that_is_no_camera_is_refused():
    with pytest.raises(ConfigError, match="hero"):
        parse_scenario("small", SMALL.replace('"a-day"\n[[', '"b-day"\n[['))


def test_broken_toml_is_a_fault_of_the_configuration():
    with pytest.raises(ConfigError):
        parse_scenario("small", "seed = ")


def test_the_centre_gets_addresses_and_marks_everything_simulated(one_boat):
    (station,) = stations(one_boat, 8554, 10110)

    assert station.simulated
    assert station.cameras[0].main.url == "rtsp://127.0.0.1:8554/faro-day"
    assert station.receivers[0].url == "tcp://127.0.0.1:10110"
    assert [z.zone_id for z in zones(one_boat)] == ["playa"]


def test_stream_ids_do_not_depend_on_ports(one_boat):
    ids = [
        [c.main.stream_id for s in stations(one_boat, port, 1) for c in s.cameras]
        for port in (1000, 2000)
    ]

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_pictures_are_named_after_what_decides_them(one_boat):
    key = one_boat.picture_key("faro-day", "1")

    assert replace(one_boat, zones=()).picture_key("faro-day", "1") == key
    assert replace(one_boat, seed=8).picture_key("faro-day", "1") != key
    assert one_boat.picture_key("faro-day", "2") != key
