"""Every parser of what stations send: any bytes in, an answer or our error out.

Unlucky inputs found once are kept as ``@example`` beside the property they broke.
"""

import os
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from almenara.core.errors import MediaError
from almenara.core.ids import ReceiverId
from almenara.core.media import Codec
from almenara.stations.ais_decoding import AisDecoder
from almenara.stations.bitstream import (
    read_configuration,
    read_sequence,
    split_annex_b,
    split_length_prefixed,
)
from almenara.stations.credentials import Credentials, authorization, read_challenge
from almenara.stations.drivers.radar import RadarEar
from almenara.stations.drivers.rtp import Depacketizer, read_control
from almenara.stations.drivers.rtsp_wire import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    RtspReader,
)
from almenara.stations.drivers.sdp import read_description
from almenara.stations.formats import FormatTracker
from almenara.stations.nmea import Assembler, SentenceReader
from almenara.stations.timeline import Timeline
from tests.conftest import NOON
from tests.stations.cameras import reply, rtp, sdp
from tests.stations.pictures import clip
from tests.stations.test_asterix import CAT_010, CAT_048, block, cat_062
from tests.stations.test_radar_sentences import said as radar_said

EFFORT = settings(
    max_examples=int(os.environ.get("ALMENARA_FUZZ", "150")), deadline=None
)
CODECS = st.sampled_from(Codec)


@st.composite
def hurt(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good input with a few bytes changed, cut out or doubled."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=3))
            case 1:
                del data[at : at + draw(st.integers(1, 40))]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case _:
                data = data[:at]
    return bytes(data)


SETS = [unit for codec in Codec for unit in clip(codec).parameter_sets]


@EFFORT
@given(codec=CODECS, unit=st.one_of(st.binary(max_size=300), hurt(SETS)))
def test_parameter_sets(codec: Codec, unit: bytes):
    for act in (
        lambda: read_sequence(codec, unit),
        lambda: FormatTracker(codec).see((unit,)),
    ):
        try:
            act()
        except MediaError:
            continue
    try:
        found = read_sequence(codec, unit)
    except MediaError:
        return
    assert 0 < found.width_px <= 8192
    assert 0 < found.height_px <= 8192


@EFFORT
@given(codec=CODECS, data=st.binary(max_size=400), prefix=st.integers(1, 4))
@example(codec=Codec.H265, data=b"\x01" + bytes(21) + b"\xff", prefix=4)
def test_containers(codec: Codec, data: bytes, prefix: int):
    assert all(split_annex_b(data))
    for act in (
        lambda: split_length_prefixed(data, prefix),
        lambda: read_configuration(codec, data),
        lambda: read_configuration(codec, b"\x01" + data),
    ):
        try:
            act()
        except MediaError:
            continue


ANSWERS = [
    reply({"CSeq": "1"}, body=sdp()),
    reply({"CSeq": "2"}, "401 No", 'WWW-Authenticate: Digest realm="a", nonce="b"'),
    rtp(b"\x41abc", sequence=1, timestamp=1) * 3,
]


@EFFORT
@given(
    stream=st.one_of(st.binary(max_size=3000), hurt(ANSWERS)),
    cuts=st.lists(st.integers(1, 400), max_size=10),
)
def test_rtsp(stream: bytes, cuts: list[int]):
    def read(pieces: list[bytes]) -> tuple[list[object], bool]:
        reader = RtspReader()
        found: list[object] = []
        for piece in pieces:
            try:
                found += reader.feed(piece)
            except MediaError:
                return found, True
            held = len(reader._rest)  # noqa: SLF001
            assert held <= MAX_HEAD_BYTES + MAX_BODY_BYTES + 65536 + len(piece)
        return found, False

    pieces, at = [], 0
    for cut in cuts:
        pieces.append(stream[at : at + cut])
        at += cut
    whole, failed = read([stream])
    if not failed:
        # Where the network cuts does not matter.
        assert read([*pieces, stream[at:]])[0] == whole


@EFFORT
@given(body=st.one_of(st.binary(max_size=2000), hurt([sdp(), sdp(encoding="H265")])))
def test_descriptions(body: bytes):
    try:
        description = read_description(body)
    except MediaError:
        return
    if (taken := description.taken) is not None:
        assert taken.codec is not None
        assert all(taken.parameter_sets)


HEADS = [
    b"\x7c\x85",
    b"\x7c\x05",
    b"\x7c\x45",
    b"\x18\x00\x04",
    b"\x62\x01\x93",
    b"\x60\x01",
]


@EFFORT
@given(
    codec=CODECS,
    packets=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 2),
            st.booleans(),
            st.one_of(
                st.binary(max_size=80),
                st.builds(
                    bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=60)
                ),
            ),
        ),
        max_size=30,
    ),
)
def test_rtp(codec: Codec, packets: list[tuple[int, int, bool, bytes]]):
    units, sequence, timestamp = Depacketizer(codec, 96), 0, 0
    for skip, later, marker, payload in packets:
        sequence += 1 if skip else 2
        timestamp += later * 3600
        whole = rtp(payload, sequence=sequence, timestamp=timestamp, marker=marker)
        for packet in (whole[4:], payload, whole[4:9]):
            for unit in units.feed(packet):
                assert unit.nal_units
                assert all(unit.nal_units)
        read_control(payload)


@EFFORT
@given(
    offers=st.lists(st.text(max_size=200), max_size=4),
    password=st.text(max_size=40),
)
@example(offers=['Digest realm="\\', "Basic"], password="")
def test_challenges(offers: list[str], password: str):
    challenge = read_challenge([*offers, f"Digest {''.join(offers)}"])
    if challenge is not None:
        key = Credentials(user="watch", password=password)
        authorization(challenge, key, method="PLAY", uri="rtsp://h/")


SENTENCES = [
    b"!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23\r\n",
    b"$PGHP,1,2010,6,11,11,46,11,390,231,45,992190934,1,2B*5B\n",
]


def summed(body: bytes) -> bytes:
    checksum = 0
    for byte in body:
        checksum ^= byte
    return b"!" + body + b"*%02X\n" % checksum


@EFFORT
@given(
    noise=st.one_of(st.binary(max_size=1500), hurt(SENTENCES)),
    kind=st.integers(0, 63),
    payload=st.text(
        "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVW`abcdefghijklmnopqrstuvw", max_size=90
    ),
    fill=st.integers(0, 5),
)
def test_nmea_and_ais(noise: bytes, kind: int, payload: str, fill: int):
    head = chr(kind + (48 if kind < 40 else 56))
    sound = summed(f"AIVDM,1,1,,A,{head}{payload},{fill}".encode())
    reader, assembler = SentenceReader(), Assembler()
    decoder = AisDecoder(ReceiverId("r"))
    for line in reader.feed(noise + b"\n" + sound):
        message = assembler.take(line, 0.0)
        if message is None:
            continue
        report = decoder.decode(message, NOON)
        if report is not None:
            assert 0 < report.mmsi < 1_000_000_000
            assert report.speed_mps is None or 0 <= report.speed_mps < 1000
            assert report.course_deg is None or 0 <= report.course_deg < 360
            assert report.length_m is None or report.length_m > 0
            assert (report.ship_name or "x").isprintable()


@EFFORT
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, (1 << 32) - 1),
            st.floats(0, 100),
            st.one_of(st.none(), st.integers(0, (1 << 64) - 1)),
        ),
        max_size=30,
    )
)
def test_any_media_clock_gives_growing_decoding_times(
    steps: list[tuple[int, float, int | None]],
):
    line, now_s, last = Timeline(), 0.0, None
    for rtp_time, passed_s, ntp in steps:
        now_s += passed_s
        at = NOON + timedelta(seconds=now_s)
        if ntp is not None:
            line.report(rtp_time, ntp, at)
        told = line.stamp(rtp_time, received_at=at, monotonic_s=now_s)
        assert last is None or told.dts_90k > last
        assert abs(told.captured_at - at) <= timedelta(seconds=5)
        last = told.dts_90k


RADAR = [
    block(48, CAT_048, CAT_048),
    block(10, CAT_010),
    block(62, cat_062()),
    radar_said("RATTM,07,5.00,123.4,T,10.0,270.0,T,1.0,2.0,N,,T,,,A") + b"\r\n",
    radar_said("RATLL,12,3600.600,N,00536.000,W,,,T,") + b"\r\n",
]


@EFFORT
@given(pieces=st.lists(st.one_of(st.binary(max_size=200), hurt(RADAR)), max_size=8))
def test_radar(pieces: list[bytes]):
    stream, datagrams = RadarEar(ReceiverId("r")), RadarEar(ReceiverId("r"))
    for piece in pieces:
        for report in [
            *stream.hear(piece, NOON),
            *datagrams.hear_datagram(piece, NOON),
        ]:
            assert report.position is not None or report.range_m is not None
            assert report.range_m is None or 0.0 <= report.range_m < 1e6
            assert abs(report.measured_at - NOON) <= timedelta(seconds=31)
