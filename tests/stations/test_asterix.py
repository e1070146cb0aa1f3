"""ASTERIX by bytes that were put together by hand from the public specifications."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.core.ids import ReceiverId
from almenara.stations.asterix import AsterixDecoder, BlockReader

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOON_TOD = (12 * 3600 * 128).to_bytes(3, "big")
RADAR = ReceiverId("radar-1")


def block(category: int, *records: bytes) -> bytes:
    body = b"".join(records)
    return bytes([category]) + (len(body) + 3).to_bytes(2, "big") + body


def decoded(data: bytes, at: datetime = NOON):
    decoder = AsterixDecoder(RADAR)
    return decoder, decoder.decode(data, at)


# FSPEC 1111 0001, 0001 0110: source, time, descriptor, polar; track number, velocity,
# status.
CAT_048 = (
    bytes.fromhex("F1 16")
    + bytes.fromhex("19 C9")  # 010: SAC 25, SIC 201
    + NOON_TOD
    + bytes.fromhex("20")  # 020: single primary detection
    + bytes.fromhex("0A 00 40 00")  # 040: 10 NM, 90 degrees
    + bytes.fromhex("00 2A")  # 161: track 42
    + bytes.fromhex("01 00 80 00")  # 200: 2^8 · 2^-14 NM/s, 180 degrees
    + bytes.fromhex("40")  # 170: confirmed, primary
)


def test_a_track_of_category_048_in_our_units():
    decoder, (report,) = decoded(block(48, CAT_048))

    assert report.track_number == 42
    assert report.range_m == 18_520.0
    assert report.azimuth_deg == 90.0
    assert report.speed_mps == pytest.approx(1852 / 64)
    assert report.course_deg == 180.0
    assert report.measured_at == NOON
    assert not report.is_last
    assert decoder.counters.records == 1


# FSPEC 1111 0101, 0110 0000: source, kind, descriptor, time, polar; velocity
# Cartesian, track number.
CAT_010 = (
    bytes.fromhex("F5 60")
    + bytes.fromhex("00 07")
    + bytes.fromhex("01")  # 000: report
    + bytes.fromhex("60")  # 020: primary
    + NOON_TOD
    + bytes.fromhex("1F 40 80 00")  # 040: 8000 m, 180 degrees
    + bytes.fromhex("FF F8 00 08")  # 202: -2 m/s east, 2 m/s north
    + bytes.fromhex("00 05")  # 161
)


def test_a_track_of_category_010_in_our_units():
    _, (report,) = decoded(block(10, CAT_010))

    assert (report.azimuth_deg, report.range_m) == (180.0, 8000.0)
    assert report.speed_mps == pytest.approx(math.sqrt(8))
    assert report.course_deg == pytest.approx(315.0)
    assert report.track_number == 5


def test_a_place_of_category_010_on_the_ellipsoid():
    latitude, longitude = round(36.0 / 180 * 2**31), round(-5.6 / 180 * 2**31)
    record = (
        bytes.fromhex("88 00 07")
        + latitude.to_bytes(4, "big", signed=True)
        + longitude.to_bytes(4, "big", signed=True)
    )
    _, (report,) = decoded(block(10, record))

    assert report.position is not None
    assert report.position.latitude_deg == pytest.approx(36.0, abs=1e-7)
    assert report.position.longitude_deg == pytest.approx(-5.6, abs=1e-7)
    assert report.range_m is None
    assert report.track_number is None


def cat_062(status: bytes = b"\x01\x00", extra: bytes = b"") -> bytes:
    """FSPEC 1001 1011, 0001 1101, 0000 0000: time, place, velocity; 380, 040, 080."""
    latitude, longitude = round(36.0 / 180 * 2**25), round(-5.6 / 180 * 2**25)
    return (
        bytes.fromhex("9B 1C" if not extra else "9B 1D")
        + bytes.fromhex("00 07")
        + NOON_TOD
        + latitude.to_bytes(4, "big", signed=True)
        + longitude.to_bytes(4, "big", signed=True)
        + bytes.fromhex("00 28 00 00")  # 185: 10 m/s east
        + bytes.fromhex(
            "C1 01 40 AA BB CC 01 02 03 04 05 06 11 22"
        )  # 380: ADR, ID, COM
        + bytes.fromhex("12 34")  # 040
        + status
        + extra
    )


def test_a_system_track_of_category_062_steps_over_its_compound_items():
    _, (report,) = decoded(block(62, cat_062()))

    assert report.position is not None
    assert report.position.latitude_deg == pytest.approx(36.0, abs=1e-5)
    assert report.track_number == 0x1234
    assert (report.speed_mps, report.course_deg) == (10.0, 90.0)
    assert not report.is_last
    assert not report.simulated


def test_the_last_report_and_a_simulated_one_say_so():
    _, (report,) = decoded(block(62, cat_062(status=b"\x01\xc0")))

    assert report.is_last
    assert report.simulated


def test_several_records_in_a_block_are_all_read():
    _, reports = decoded(block(48, CAT_048, CAT_048, CAT_048))

    assert len(reports) == 3


def test_the_header_of_radar_video_says_what_it_covers():
    # FSPEC 1110 1011 1000 0000: source, kind, summary, nano header, resolution,
    # counters.
    record = (
        bytes.fromhex("EB 80")
        + bytes.fromhex("00 07 02")
        + bytes.fromhex("00")  # 020: no text
        + bytes.fromhex("40 00 40 10 00 00 00 00 00 00 00 64")  # 040: 90°, 100 ns
        + bytes.fromhex("00 04")  # 048: eight bits, not compressed
        + bytes.fromhex("04 00 00 04 00")  # 049
    )
    decoder, reports = decoded(block(240, record))

    assert reports == []
    assert decoder.video is not None
    assert decoder.video.start_azimuth_deg == 90.0
    assert decoder.video.cell_range_m == pytest.approx(14.99, abs=0.01)
    assert (decoder.video.bits_per_cell, decoder.video.cells) == (8, 1024)
    assert not decoder.video.compressed


@pytest.mark.parametrize(
    "test_report",
    [
        CAT_048[:7] + bytes.fromhex("21 80") + CAT_048[8:],  # a test
        CAT_048[:7] + bytes.fromhex("22") + CAT_048[8:],  # a fixed transponder
    ],
)
def test_tests_and_fixed_transponders_are_nothing_at_sea(test_report):
    decoder, reports = decoded(block(48, test_report))

    assert reports == []
    assert decoder.counters.fixed_or_test == 1


def test_a_service_message_places_nothing():
    decoder, reports = decoded(block(10, bytes.fromhex("C0 00 07 02")))

    assert reports == []
    assert decoder.counters.fixed_or_test + decoder.counters.not_placed == 1


def test_the_time_of_day_is_that_of_the_nearest_day():
    just_before = ((86_400 - 1) * 128).to_bytes(3, "big")
    midnight = datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC)
    record = CAT_048.replace(NOON_TOD, just_before)
    _, (report,) = decoded(block(48, record), midnight)

    assert report.measured_at == midnight - timedelta(seconds=2)


def test_a_radar_whose_clock_is_wrong_is_stamped_by_arrival():
    later = NOON + timedelta(hours=2)
    decoder, (report,) = decoded(block(48, CAT_048), later)

    assert report.measured_at == later
    assert decoder.counters.clock_off == 1


@pytest.mark.parametrize(
    "bad",
    [
        CAT_048[:-1],  # ends within its last item
        b"\xff" * 4,  # a field specification without end
        b"\x01\x01\x01\x01\x01\x01",
        bytes.fromhex("01 01 01 02"),  # an empty record with an explicit item of nought
    ],
)
def test_a_record_that_contradicts_itself_is_counted(bad):
    decoder, reports = decoded(block(48, CAT_048, bad))

    assert len(reports) <= 1
    assert decoder.counters.malformed == 1


def test_other_categories_are_counted_and_passed_over():
    decoder, reports = decoded(block(34, b"\x80\x00\x07"))

    assert reports == []
    assert decoder.counters.other_category == 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_blocks_cut_anywhere_are_put_together(sizes):
    stream = b"".join([block(48, CAT_048), block(10, CAT_010), block(62, cat_062())])
    reader, found, at = BlockReader(), [], 0
    for size in [*sizes, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size

    assert b"".join(found) == stream
    assert reader.dropped_bytes == 0


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_noise_costs_a_counter_and_never_an_exception(noise):
    decoder, reader = AsterixDecoder(RADAR), BlockReader()
    for category in (10, 48, 62, 240):
        for report in decoder.decode(block(category, noise), NOON):
            assert report.position is not None or report.range_m is not None
    for found in reader.feed(noise):
        decoder.decode(found, NOON)
    reader.end()
    assert reader.feed(b"") == []


@settings(deadline=None)
@given(at=st.integers(0, 80), byte=st.integers(0, 255))
def test_one_wrong_octet_never_breaks_the_next_block(at, byte):
    good = block(62, cat_062())
    bad = bytearray(good)
    bad[3 + at % (len(bad) - 3)] = byte
    decoder = AsterixDecoder(RADAR)
    decoder.decode(bytes(bad), NOON)

    assert len(decoder.decode(good, NOON)) == 1
