"""RTP and RTCP as bytes, and the SDP that announces them: no sockets, no time.

A clip is packed once; sending a picture patches sequence numbers and the time stamp
into a copy of its bytes.

Source: RFC 3550 (RTP, sender report 6.4.1), RFC 6184 (H.264: single NAL, FU-A),
RFC 7798 (H.265: single NAL, FU), RFC 2326 10.12 (interleaving), RFC 8866 (SDP).
"""

import base64
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from almenara.core.media import Codec
from almenara.core.time import to_micros
from almenara.simulation.clip import Clip

PAYLOAD_TYPE = 96
MOST_PAYLOAD_BYTES = 1400
_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedPicture:
    """One picture as interleaved RTP packets on channel 0."""

    wire: bytes
    starts: tuple[int, ...]
    """Where each packet's ``$`` stands in ``wire``."""

    is_key: bool


def pack(clip: Clip, ssrc: int, *, cut_nal_units: bool = False) -> list[PackedPicture]:
    """Every picture of the clip, parameter sets before each key picture.

    Args:
        clip: What to send.
        ssrc: Of the stream, 32 bit.
        cut_nal_units: Drop the latter half of every coded slice: a damaged stream.
    """
    packed = []
    for nal_units, is_key in zip(clip.pictures, clip.keys, strict=True):
        units = (*clip.parameter_sets, *nal_units) if is_key else nal_units
        if cut_nal_units:
            units = tuple(u if len(u) < 64 else u[: len(u) // 2] for u in units)
        payloads = [p for unit in units for p in payloads_of(unit, clip.codec)]
        packed.append(_interleaved(payloads, ssrc, is_key=is_key))
    return packed


def payloads_of(unit: bytes, codec: Codec) -> list[bytes]:
    """The RTP payloads of one NAL unit: itself, or its fragments."""
    if len(unit) <= MOST_PAYLOAD_BYTES:
        return [unit]
    if codec is Codec.H264:
        kind, body = unit[0] & 0x1F, unit[1:]
        lead, room = bytes([unit[0] & 0xE0 | 28]), MOST_PAYLOAD_BYTES - 2
    else:
        kind, body = unit[0] >> 1 & 0x3F, unit[2:]
        lead = bytes([unit[0] & 0x81 | 49 << 1, unit[1]])
        room = MOST_PAYLOAD_BYTES - 3
    last = (len(body) - 1) // room
    return [
        lead
        + bytes([(i == 0) << 7 | (i == last) << 6 | kind])
        + body[i * room : (i + 1) * room]
        for i in range(last + 1)
    ]


def _interleaved(payloads: list[bytes], ssrc: int, *, is_key: bool) -> PackedPicture:
    wire, starts = bytearray(), []
    for i, payload in enumerate(payloads):
        starts.append(len(wire))
        marker = (i == len(payloads) - 1) << 7
        wire += struct.pack(">cBH", b"$", 0, len(payload) + 12)
        wire += struct.pack(">BBHII", 0x80, PAYLOAD_TYPE | marker, 0, 0, ssrc)
        wire += payload
    return PackedPicture(wire=bytes(wire), starts=tuple(starts), is_key=is_key)


def stamped(picture: PackedPicture, sequence: int, pts_90k: int) -> bytearray:
    """A copy with its sequence numbers, from ``sequence`` on, and its time stamp."""
    wire = bytearray(picture.wire)
    for i, start in enumerate(picture.starts):
        struct.pack_into(
            ">HI", wire, start + 6, sequence + i & 0xFFFF, pts_90k & 0xFFFFFFFF
        )
    return wire


def on_channel(wire: bytearray, starts: tuple[int, ...], channel: int) -> bytearray:
    """A copy for a client that asked for another channel than 0."""
    copy = bytearray(wire)
    for start in starts:
        copy[start + 1] = channel
    return copy


def sender_report(
    ssrc: int, captured_at: datetime, pts_90k: int, *, packets: int, octets: int
) -> bytes:
    """A compound RTCP packet: sender report and SDES, without interleaving header."""
    since = to_micros(captured_at) - to_micros(_NTP_EPOCH)
    seconds, micros = divmod(since, 1_000_000)
    report = struct.pack(
        ">BBHIIIIII",
        0x80,
        200,
        6,
        ssrc,
        seconds & 0xFFFFFFFF,
        (micros << 32) // 1_000_000,
        pts_90k & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    name = b"almenara"
    chunk = struct.pack(">IBB", ssrc, 1, len(name)) + name
    chunk += b"\0" * (4 - len(chunk) % 4)
    return report + struct.pack(">BBH", 0x81, 202, len(chunk) // 4) + chunk


def describe(clip: Clip) -> str:
    """The session description of one clip."""
    sets = [base64.b64encode(s).decode() for s in clip.parameter_sets]
    if clip.codec is Codec.H264:
        profile = clip.parameter_sets[0][1:4].hex()
        name = "H264"
        format_ = (
            f"packetization-mode=1;profile-level-id={profile};"
            f"sprop-parameter-sets={','.join(sets)}"
        )
    else:
        name = "H265"
        format_ = ";".join(
            f"sprop-{kind}={value}"
            for kind, value in zip(("vps", "sps", "pps"), sets, strict=False)
        )
    return "\r\n".join(
        (
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=simulated",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            "a=control:*",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} {name}/90000",
            f"a=fmtp:{PAYLOAD_TYPE} {format_}",
            f"a=framerate:{clip.fps}",
            "a=control:track0",
            "",
        )
    )
