"""NMEA 0183 out of a byte stream, without any I/O: sentences and whole messages.

Feed it bytes as they come, cut anywhere; take whole, checked sentences out, and let the
assembler put the parts of long AIS messages together. The same objects serve the TCP
driver, the file player and the fuzzer. Everything is bounded: a sender that never ends
a line, or never sends a last part, costs a counter.

Source: IEC 61162-1 (sentence structure, checksum, VDM), IEC 61162-450 7.2 (TAG block);
``$PGHP`` is the time stamp of a receiver maker, as found in national AIS feeds.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from almenara.core.time import EPOCH

MAX_SENTENCE_BYTES = 1024
"""The standard allows 82 bytes; TAG blocks and sloppy senders need more."""

MAX_PENDING = 64
"""Long messages in the air at once; a busy coast has a handful."""

EXPIRY_S = 30.0
MAX_PARTS = 9


@dataclass(slots=True)
class SentenceReader:
    """Splits a byte stream into lines whose checksums hold; counts what it dropped."""

    dropped: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _skipping: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the sentences completed by ``data``, without line ends.

        A TAG block stays in front of its sentence; ``split_tag`` takes it off. Lines
        that begin with ``#`` are comments.
        """
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if lines and self._skipping:
            del lines[0]  # the end of a line that was too long
            self._skipping = False
        if len(rest) > MAX_SENTENCE_BYTES:
            self._buffer = bytearray()
            self.dropped += not self._skipping
            self._skipping = True
        sentences: list[bytes] = []
        for line in lines:
            sentence = bytes(line.rstrip(b"\r \t"))
            if is_checked(sentence):
                sentences.append(sentence)
            elif sentence and not sentence.startswith(b"#"):
                self.dropped += 1
        return sentences


def is_checked(line: bytes) -> bool:
    """Whether a line is a sentence whose checksums hold, TAG block included."""
    if len(line) > MAX_SENTENCE_BYTES:
        return False
    if line[:1] == b"\\":
        tag, mark, sentence = line[1:].partition(b"\\")
        return bool(mark) and _sums_up(tag) and has_valid_checksum(sentence)
    return has_valid_checksum(line)


def has_valid_checksum(sentence: bytes) -> bool:
    """Whether the two hex digits after ``*`` are the XOR of what lies before them.

    >>> has_valid_checksum(b"!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23")
    True
    """
    return sentence[:1] in (b"!", b"$") and _sums_up(sentence[1:])


def _sums_up(text: bytes) -> bool:
    body, star, digits = text.partition(b"*")
    if not star or len(digits) != 2:
        return False
    checksum = 0
    for byte in body:
        checksum ^= byte
    return digits.upper() == b"%02X" % checksum


def split_tag(line: bytes) -> tuple[dict[str, str], bytes]:
    r"""The fields of a line's TAG block, and its sentence.

    >>> split_tag(rb"\c:1609459200*5A\!AIVDM,1,1,,A,,0*00")
    ({'c': '1609459200'}, b'!AIVDM,1,1,,A,,0*00')
    """
    if line[:1] != b"\\":
        return {}, line
    tag, _, sentence = line[1:].partition(b"\\")
    body = tag.partition(b"*")[0].decode("ascii", "replace")
    pairs = (part.partition(":") for part in body.split(","))
    return {key: value for key, colon, value in pairs if colon}, sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One whole AIS message: its sentences in order, and when it was received there."""

    sentences: tuple[bytes, ...]
    stamped_at: datetime | None = None
    """By the receiver's own TAG block or ``$PGHP``; None when it said nothing."""


@dataclass(slots=True)
class _Parts:
    began_s: float
    stamped_at: datetime | None
    parts: dict[int, bytes] = field(default_factory=dict)


class Assembler:
    """Puts the parts of AIS messages together, in any order, for a limited time."""

    def __init__(self) -> None:
        self.unfinished = 0
        """Messages given up because a part never came."""

        self.ignored = 0
        """Sentences that are not AIS, or whose fields make no sense."""

        self._pending: dict[tuple[bytes, bytes, bytes, bytes], _Parts] = {}
        self._stamp: datetime | None = None

    def take(self, line: bytes, now_s: float) -> Message | None:
        """The message this line completes, if any.

        Args:
            line: A checked line of ``SentenceReader``.
            now_s: Any clock that never steps back, seconds.
        """
        self._expire(now_s)
        tag, sentence = split_tag(line)
        if sentence.startswith(b"$PGHP,"):
            self._stamp = read_pghp(sentence)
            return None
        stamp, self._stamp = _tag_time(tag) or self._stamp, None
        fields = sentence.partition(b"*")[0].split(b",")
        if len(fields) != 7 or fields[0][3:] not in (b"VDM", b"VDO"):
            self.ignored += 1
            return None
        total, number = _digit(fields[1]), _digit(fields[2])
        if not 1 <= number <= total <= MAX_PARTS:
            self.ignored += 1
            return None
        if total == 1:
            return Message(sentences=(sentence,), stamped_at=stamp)
        key = (fields[0], fields[1], fields[3], fields[4])
        return self._join(key, total, number, sentence, stamp=stamp, now_s=now_s)

    def _join(
        self,
        key: tuple[bytes, bytes, bytes, bytes],
        total: int,
        number: int,
        sentence: bytes,
        *,
        stamp: datetime | None,
        now_s: float,
    ) -> Message | None:
        held = self._pending.get(key)
        if held is not None and number in held.parts:
            # The same number again: a new message with a sequence id used anew.
            self.unfinished += 1
            held = None
        if held is None:
            self._pending.pop(key, None)
            held = self._pending[key] = _Parts(now_s, stamp)
        held.parts[number] = sentence
        if len(held.parts) < total:
            return None
        del self._pending[key]
        ordered = tuple(held.parts[n] for n in sorted(held.parts))
        return Message(sentences=ordered, stamped_at=held.stamped_at)

    def _expire(self, now_s: float) -> None:
        # Oldest first: dictionaries keep the order of insertion.
        while self._pending:
            key = next(iter(self._pending))
            fresh = now_s - self._pending[key].began_s <= EXPIRY_S
            if fresh and len(self._pending) <= MAX_PENDING:
                return
            del self._pending[key]
            self.unfinished += 1


def _digit(text: bytes) -> int:
    return int(text) if len(text) == 1 and text.isdigit() else 0


def _tag_time(tag: dict[str, str]) -> datetime | None:
    """The ``c`` field: Unix time in seconds, or in milliseconds by some senders."""
    text = tag.get("c", "")
    if not (text.isascii() and text.isdigit() and len(text) in (9, 10, 13)):
        return None
    scale = 1000 if len(text) == 13 else 1
    return EPOCH + timedelta(milliseconds=int(text) * 1000 // scale)


def read_pghp(sentence: bytes) -> datetime | None:
    """The UTC time of a ``$PGHP`` line, or None if it holds none.

    >>> read_pghp(b"$PGHP,1,2010,6,11,11,46,11,390,231,45,992190934,1,2B*5B")
    datetime.datetime(2010, 6, 11, 11, 46, 11, 390000, tzinfo=datetime.timezone.utc)
    """
    fields = sentence.split(b",")[2:9]
    if len(fields) < 7 or not all(f.isdigit() and len(f) <= 4 for f in fields):
        return None
    year, month, day, hour, minute, second, millisecond = map(int, fields)
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return whole + timedelta(milliseconds=min(millisecond, 999))
