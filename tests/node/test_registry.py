"""Stations as text: there and back, and every contradiction by name."""

import pytest

from almenara.core.errors import ConfigError
from almenara.node.registry import parse_stations, read_stations, write_stations

GOOD = """\
[station.tarifa]
name = "Tarifa \\"west\\""
kind = "tower"
position = [36.0012, -5.6098]

[station.tarifa.camera.tarifa-day]
sensor = "day"
scene = "sea"
height_m = 48.0
azimuth_deg = 190.0
width_px = 1920
height_px = 1080
hfov_deg = 12.0

[[station.tarifa.camera.tarifa-day.stream]]
profile = "main"
url = "rtsp://192.0.2.10:554/main"

[station.tarifa.receiver.tarifa-ais]
url = "tcp://192.0.2.11:10110"

[station.tarifa.radar.tarifa-radar]
url = "udp://192.0.2.12:8600"
azimuth_std_deg = 0.25
"""
SECOND = GOOD.replace("station.tarifa", "station.bolonia").replace("192.0.2", "192.0.3")
STREAM = '[[station.tarifa.camera.tarifa-day.stream]]\nprofile = "{}"\nurl = "{}"\n'


def lines_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_stations("st.toml", text)
    return [str(fault) for fault in refused.value.faults]


def test_what_is_written_is_read_back():
    stations = parse_stations("st.toml", GOOD)

    assert parse_stations("again", write_stations(stations)) == stations
    assert stations[0].cameras[0].main.url == "rtsp://192.0.2.10:554/main"
    assert stations[0].cameras[0].pose.position == stations[0].position
    assert stations[0].radars[0].azimuth_std_deg == 0.25
    assert stations[0].radars[0].position == stations[0].position


def test_every_new_stream_gets_a_name_of_its_own():
    first, second = (parse_stations("st.toml", GOOD)[0] for _ in range(2))

    assert first.cameras[0].main.stream_id != second.cameras[0].main.stream_id


BAD = {
    "feet": (GOOD.replace("48.0", "5000"), "st.toml:9: ", "more likely feet"),
    "radians": (GOOD.replace("12.0", "0.21"), "st.toml:13: ", "more likely radians"),
    "below the sea": (GOOD.replace("48.0", "-2"), ".height_m", "more than 0"),
    "around": (GOOD.replace("190.0", "360"), ".azimuth_deg", "less than 360"),
    "turned over": (
        GOOD.replace("hfov_deg", "tilt_deg = -91\nhfov_deg"),
        "tilt",
        "-90",
    ),
    "misspelt": (GOOD.replace("height_m", "heigth_m"), "heigth_m", "Write height_m"),
    "two main": (
        GOOD + STREAM.format("main", "rtsp://192.0.2.10/b"),
        "streams main, main",
        "one main stream",
    ),
    "no main": (GOOD.replace('"main"', '"analysis"'), "streams analysis", "one main"),
    "same address": (
        GOOD + STREAM.format("analysis", "rtsp://192.0.2.10:554/main"),
        "a second time",
        "st.toml:17",
    ),
    "same camera": (GOOD + SECOND, "tarifa-day a second time", "Rename one"),
    "far from its mast": (
        GOOD.replace("sensor", "position = [-5.6, 36.0]\nsensor"),
        "km from its station",
        "latitude, longitude",
    ),
    "web page": (GOOD.replace("rtsp://", "http://"), "stream.0.url", "rtsp:"),
    "receiver over rtsp": (GOOD.replace("tcp://", "rtsp://"), "tarifa-ais.url", "tcp:"),
    "radar by file": (GOOD.replace("udp://", "file:/"), "tarifa-radar.url", "udp:"),
    "defined twice": (GOOD + GOOD, "st.toml:25", "Mend this line"),
}


@pytest.mark.parametrize(("text", "place", "cure"), BAD.values(), ids=BAD)
def test_a_contradiction_is_named_with_its_place_and_cure(text, place, cure):
    lines = lines_of(text)

    assert any(place in line and cure in line for line in lines), lines


def test_all_faults_are_named_at_once():
    text = (
        GOOD.replace("48.0", "5000").replace("12.0", "0.2").replace('"sea"', '"lake"')
    )

    assert len(lines_of(text)) == 3


@pytest.mark.parametrize("where", ["rtsp://admin:hunter2@", "rtsp://admin:hunter2%40@"])
def test_a_password_in_an_address_is_refused_and_never_repeated(where):
    lines = lines_of(GOOD.replace("rtsp://", where))

    assert len(lines) == 1
    assert "st.toml:17: " in lines[0]
    assert "hunter2" not in lines[0]


def test_a_file_that_is_not_there_is_a_fault_and_not_a_crash(tmp_path):
    with pytest.raises(ConfigError, match=r"nope\.toml: found No such file"):
        read_stations(tmp_path / "nope.toml")
