from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.core.ids import ReceiverId
from almenara.stations.nmea import has_valid_checksum
from almenara.stations.radar_sentences import RadarSentences
from tests.conftest import NOON


def said(body: str) -> bytes:
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"${body}*{total:02X}".encode()


def read(body: str):
    sentences = RadarSentences(ReceiverId("radar-1"))
    line = said(body)
    assert has_valid_checksum(line)
    return sentences, sentences.read(line, NOON)


def test_range_and_bearing_of_a_tracked_thing_in_our_units():
    at = f"{NOON:%H%M%S}.50"
    _, report = read(f"RATTM,07,5.00,123.4,T,10.0,270.0,T,1.0,2.0,N,,T,,{at},A")

    assert report is not None
    assert (report.track_number, report.azimuth_deg) == (7, 123.4)
    assert report.range_m == 9260.0
    assert report.speed_mps == pytest.approx(5.144, abs=1e-3)
    assert report.course_deg == 270.0
    assert report.measured_at == NOON + timedelta(milliseconds=500)


def test_a_place_by_latitude_and_longitude():
    _, report = read("RATLL,12,3600.600,N,00536.000,W,,,T,")

    assert report is not None
    assert report.position is not None
    assert report.position.latitude_deg == pytest.approx(36.01)
    assert report.position.longitude_deg == pytest.approx(-5.6)
    assert report.measured_at == NOON


@pytest.mark.parametrize(
    "body",
    [
        "RATTM,07,5.00,123.4,R,10.0,270.0,T,1.0,2.0,N,,T,,,A",  # by the bow
        "RATTM,07,5.00,123.4,T,10.0,270.0,T,1.0,2.0,N,,L,,,A",  # lost
        "RATTM,07,nan,123.4,T,10.0,270.0,T,1.0,2.0,N,,T,,,A",
        "RATTM,07,5.00,400.0,T,10.0,270.0,T,1.0,2.0,N,,T,,,A",
        "RATTM,07,5.00,123.4,T,10.0,270.0,T,1.0,2.0,X,,T,,,A",
        "RATTM,07,5.00",
        "RATLL,12,9100.600,N,00536.000,W,,,T,",
        "RATLL,12,3600.600,N,00536.000,W,,,L,",
        "GPGGA,1,2,3",
    ],
)
def test_what_means_nothing_here_is_counted(body):
    sentences, report = read(body)

    assert report is None
    assert sentences.counters.ignored == 1


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=20))
def test_any_fields_are_read_or_counted(fields):
    sentences = RadarSentences(ReceiverId("radar-1"))
    for kind in (b"$RATTM", b"$RATLL"):
        sentences.read(b",".join([kind, *fields]), NOON)

    assert sentences.counters.read + sentences.counters.ignored == 2
