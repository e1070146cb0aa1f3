"""The report as a reader sees it: glyphs by their place on the page."""

import re
import zlib
from datetime import timedelta

import pytest

from almenara.core.errors import ExportError
from almenara.node.export import report as pages
from almenara.node.export.report import Chapter, Fact, report
from almenara.node.export.words import TEXTS, Language, how_to_verify, text
from tests.conftest import NOON

pytestmark = pytest.mark.slow
HASH = "5b831e5aa19da14aacf0dcff867bf9b0"
VALUES = {
    "position": "36.00120° N, 5.60980° W",
    "camera": "tarifa-day",
    "start": "2026-03-01T12:00:01.000000Z",
    "digest": HASH,
    "azimuth": "178.25° ± 0.05°",
}
WORDS = "the judge asked طلب القاضي 7/2026 at 36.0012 N"
CHAPTERS = (
    Chapter(
        key="request",
        groups=((*(Fact(key=k, value=v) for k, v in VALUES.items()),),),
    ),
    Chapter(key="gaps", groups=(), if_empty="no_gaps"),
    Chapter(key="proofs", groups=((Fact(key="reason", value=WORDS),),)),
)
GLYPH = re.compile(
    rb"\(((?:\\.|[^\\()])+)\) Tj(?: 1 0 0 1 ([\d.]+) [\d.]+ Tm)?", re.DOTALL
)
RUN = re.compile(rb"BT ([\d.]+) ([\d.]+) Td (.*?) ET", re.DOTALL)


def made() -> bytes:
    return report(CHAPTERS, made_at=NOON, is_simulated=True)


def streams(pdf: bytes) -> list[bytes]:
    found = []
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(match[1]))
        except zlib.error:
            found.append(match[1])
    return found


def letters(pdf: bytes) -> dict[int, str]:
    """Glyph to what it stands for."""
    table = next(s for s in streams(pdf) if b"begincmap" in s)
    return {
        int(gid, 16): bytes.fromhex(code.decode()).decode("utf-16-be")
        for gid, code in re.findall(rb"^<(\w{4})> <(\w+)>$", table, re.MULTILINE)
    }


def unescaped(data: bytes) -> int:
    plain = re.sub(
        rb"\\(.)",
        lambda m: {b"r": b"\r", b"n": b"\n"}.get(m[1], m[1]),
        data,
        flags=re.DOTALL,
    )
    return int.from_bytes(plain, "big")


def lines(pdf: bytes) -> list[list[list[tuple[float, int]]]]:
    """Per page, the runs of text: each glyph with its place from the left."""
    found = []
    for stream in streams(pdf):
        runs = []
        for match in RUN.finditer(stream):
            at, run = float(match[1]), []
            for glyph in GLYPH.finditer(match[3]):
                run.append((at, unescaped(glyph[1])))
                at = float(glyph[2]) if glyph[2] else at
            runs.append(run)
        if runs:
            found.append(runs)
    return found


def from_left(run: list[tuple[float, int]], table: dict[int, str]) -> str:
    return "".join(table[gid] for _, gid in sorted(run))


def from_right(run: list[tuple[float, int]], table: dict[int, str]) -> str:
    return "".join(table[gid] for _, gid in sorted(run, reverse=True))


def test_every_value_reads_from_left_to_right_on_every_page():
    pdf = made()
    table = letters(pdf)

    for page in lines(pdf):
        seen = [from_left(run, table) for run in page]
        for value in VALUES.values():
            assert value in seen


def test_arabic_reads_from_right_to_left():
    pdf = made()
    table = letters(pdf)
    arabic = lines(pdf)[0]

    seen = {from_right(run, table) for run in arabic}

    for key in ("title", "position", "proofs", "verify"):
        assert text(key, Language.ARABIC) in seen, key


def test_arabic_letters_are_joined():
    """One letter has several forms, and lam with alef is one glyph."""
    table = letters(made())
    forms = [gid for gid, letter in table.items() if letter == "ي"]

    assert len(forms) >= 3
    assert "لا" in table.values() or "لأ" in table.values()


def test_labels_stand_at_the_right_in_arabic_and_at_the_left_elsewhere():
    pdf = made()
    table = letters(pdf)

    for language, page in zip(Language, lines(pdf), strict=True):
        places = {from_left(run, table): min(run)[0] for run in page if run}
        label = text("camera", language)
        label = label[::-1] if language.is_right_to_left else label
        value_at = places["tarifa-day"]
        assert (places[label] > value_at) == language.is_right_to_left


def test_a_number_in_a_persons_own_words_is_not_turned_around():
    pdf = made()
    table = letters(pdf)
    seen = " ".join(from_left(run, table) for page in lines(pdf) for run in page)

    assert "36.0012" in seen
    assert "2100.63" not in seen
    assert seen.count("the judge asked") == len(Language)


def test_a_mark_of_direction_in_a_persons_words_steers_nothing():
    assert pages.printable("a\u202eb\u2066c\x07\nd") == "a b c d"


def test_the_same_facts_are_the_same_bytes():
    assert made() == made()
    later = report(CHAPTERS, made_at=NOON + timedelta(seconds=1), is_simulated=True)
    assert later != made()


def test_simulated_pictures_say_so_on_every_first_page():
    pdf = made()
    table = letters(pdf)

    for language, page in zip(Language, lines(pdf), strict=True):
        read = from_right if language.is_right_to_left else from_left
        first = text("simulated", language).split()[0]
        assert any(first in read(run, table) for run in page[:3]), language


def test_without_a_font_the_cure_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pages, "FONTS", ())

    with pytest.raises(ExportError, match="fonts-dejavu-core"):
        made()


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_every_text_is_there_in_four_languages(key: str):
    arabic, *latin = TEXTS[key]

    assert re.search("[\u0600-\u06ff]", arabic)
    assert all(words and not re.search("[\u0600-\u06ff]", words) for words in latin)


def test_verify_txt_says_the_same_words_in_four_languages():
    said = how_to_verify().decode("utf-8")

    for word in ("authentic", "altered", "not-anchored", "unknown-key"):
        assert len(re.findall(rf"  {word}$", said, re.MULTILINE)) == len(Language)
