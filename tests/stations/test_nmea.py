from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from almenara.stations.nmea import (
    MAX_PENDING,
    Assembler,
    SentenceReader,
    has_valid_checksum,
)

GOOD = b"!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23"


@given(cuts=st.lists(st.integers(0, 150), max_size=6))
def test_where_the_network_cuts_does_not_matter(cuts: list[int]):
    stream = (GOOD + b"\r\n") * 3
    reader = SentenceReader()
    edges = [0, *sorted(min(c, len(stream)) for c in cuts), len(stream)]

    got = [s for start, end in pairwise(edges) for s in reader.feed(stream[start:end])]

    assert got == [GOOD] * 3
    assert reader.dropped == 0


@given(noise=st.binary(max_size=5000))
def test_noise_never_raises_and_never_grows(noise: bytes):
    reader = SentenceReader()

    sentences = reader.feed(noise + bytes(1025))

    assert all(has_valid_checksum(s) for s in sentences)
    assert reader.dropped >= 1
    assert len(reader._buffer) <= 1024  # noqa: SLF001


def part(number: int, total: int = 2, sequence: int = 1, payload: str = "p") -> bytes:
    body = f"AIVDM,{total},{number},{sequence},A,{payload}{number},0".encode()
    checksum = 0
    for byte in body:
        checksum ^= byte
    return b"!" + body + b"*%02X" % checksum


def test_a_line_too_long_does_not_hide_a_sentence_in_its_tail():
    reader = SentenceReader()

    got = reader.feed(b"x" * 2000) + reader.feed(GOOD + b"\n" + GOOD + b"\n")

    assert got == [GOOD]
    assert reader.dropped == 1


@given(order=st.permutations([1, 2, 3]))
def test_parts_come_together_in_any_order(order: list[int]):
    assembler = Assembler()

    told = [assembler.take(part(n, total=3), 0.0) for n in order]

    assert told[:2] == [None, None]
    assert told[2] is not None
    assert told[2].sentences == tuple(part(n, total=3) for n in (1, 2, 3))


def test_a_part_that_never_comes_is_given_up():
    assembler = Assembler()
    assembler.take(part(1), 0.0)

    assert assembler.take(part(2), 31.0) is None
    assert assembler.unfinished == 1


def test_a_number_used_anew_does_not_mix_two_messages():
    assembler = Assembler()
    assembler.take(part(1, payload="old"), 0.0)
    assembler.take(part(1, payload="new"), 1.0)

    told = assembler.take(part(2, payload="new"), 2.0)

    assert told is not None
    assert b"new1" in told.sentences[0]
    assert assembler.unfinished == 1


def test_a_million_beginnings_do_not_fill_the_memory():
    assembler = Assembler()
    for n in range(2000):
        assembler.take(part(1, total=2 + n % 8, sequence=n), 0.0)

    assert len(assembler._pending) <= MAX_PENDING + 1  # noqa: SLF001
    assert assembler.unfinished > 1900


def test_a_tag_block_says_when():
    line = rb"\s:2573010,c:1609459200*13" + b"\\" + GOOD
    reader, assembler = SentenceReader(), Assembler()
    sums = 0
    for byte in b"s:2573010,c:1609459200":
        sums ^= byte
    line = line.replace(b"*13", b"*%02X" % sums)

    (got,) = reader.feed(line + b"\n")
    told = assembler.take(got, 0.0)

    assert told is not None
    assert told.sentences == (GOOD,)
    assert told.stamped_at is not None
    assert told.stamped_at.isoformat() == "2021-01-01T00:00:00+00:00"
