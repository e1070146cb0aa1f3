"""What a session description says of the one video stream we take.

Source: RFC 8866 (SDP), RFC 6184 8.1 and RFC 7798 7.1 (``fmtp`` of H.264 and H.265).
"""

import base64
import binascii
import re
from dataclasses import dataclass, replace

from almenara.core.errors import MediaError
from almenara.core.media import Codec

_CODECS = {"H264": Codec.H264, "H265": Codec.H265, "HEVC": Codec.H265}
_SPROPS = (
    "sprop-vps",
    "sprop-sps",
    "sprop-pps",
    "sprop-parameter-sets",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOffer:
    """One ``m=video`` section."""

    encoding: str
    """As the camera names it, upper case; empty when it names none."""

    codec: Codec | None = None
    payload_type: int = -1
    control: str = ""
    fps: float | None = None
    parameter_sets: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The video sections of a description, and its session-wide control address."""

    control: str
    videos: tuple[VideoOffer, ...]

    @property
    def taken(self) -> VideoOffer | None:
        """The first stream whose codec we record; None when there is none."""
        return next((v for v in self.videos if v.codec is not None), None)


def read_description(body: bytes) -> Description:
    """Read a description; unknown lines mean nothing.

    Raises:
        MediaError: It is no session description.
    """
    text = body.decode("utf-8", "replace")
    if not text.lstrip().startswith("v="):
        raise MediaError("no session description")
    session, *sections = re.split(r"^m=", text, flags=re.MULTILINE)
    videos = tuple(_read_video(s) for s in sections if s.startswith("video "))
    return Description(control=_attribute(session, "control"), videos=videos)


def _attribute(section: str, name: str) -> str:
    found = re.search(rf"^a={name}:[ \t]*([^\r\n]*)", section, re.MULTILINE)
    return found[1].strip() if found else ""


def _read_video(section: str) -> VideoOffer:
    offer = VideoOffer(encoding="", control=_attribute(section, "control"))
    rtpmap = re.search(r"^a=rtpmap:(\d{1,3}) ([\w.-]+)/90000", section, re.MULTILINE)
    if not rtpmap:
        return offer
    encoding = rtpmap[2].upper()
    fmtp = re.search(rf"^a=fmtp:{rtpmap[1]} ([^\r\n]*)", section, re.MULTILINE)
    fps = re.match(r"(\d{1,3}(?:\.\d{1,6})?)\Z", _attribute(section, "framerate"))
    return replace(
        offer,
        encoding=encoding,
        codec=_CODECS.get(encoding),
        payload_type=int(rtpmap[1]),
        fps=(float(fps[1]) or None) if fps else None,
        parameter_sets=_parameter_sets(fmtp[1] if fmtp else ""),
    )


def _parameter_sets(fmtp: str) -> tuple[bytes, ...]:
    """The sets given out of band; a damaged one is left out, the stream repeats it."""
    fields: dict[str, str] = {}
    for part in fmtp.split(";"):
        name, _, value = part.strip().partition("=")
        fields[name.lower()] = value
    found: list[bytes] = []
    for name in _SPROPS:
        for text in fields.get(name, "").split(","):
            try:
                found.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return tuple(unit for unit in found if unit)
