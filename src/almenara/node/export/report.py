"""``REPORT.pdf``: the package for people, in Arabic, Spanish, French and English.

Every fact is a row of two cells: what it is, in the language of the page, and the value
by itself, left to right. So no id, time or position ever shares a line with Arabic, and
none can be read out of order. Arabic is shaped by HarfBuzz. The same content gives the
same bytes: the time in the file is the package's own.

Source: Unicode Standard Annex 9 for why values stand apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fpdf import FPDF, FPDFException
from fpdf.enums import Align, XPos, YPos

from almenara.core.errors import ExportError
from almenara.node.export.words import COMMAND, EXITS, Language, text

FONTS = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf"),
    Path("/usr/share/fonts/TTF/DejaVuSans.ttf"),
)
"""Debian, Fedora and Arch; one font that has all four languages is everywhere."""

LABEL_MM, LINE_MM, MARGIN_MM = 62.0, 5.5, 18.0
TITLE_PT, HEADING_PT, TEXT_PT = 16, 11, 8.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row: a key of ``words`` and its value."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Some facts under a heading; ``groups`` are set apart from one another."""

    key: str
    groups: tuple[tuple[Fact, ...], ...]
    if_empty: str | None = None
    """Key of what is said where there are none."""


def report(
    chapters: Sequence[Chapter], *, made_at: datetime, is_simulated: bool
) -> bytes:
    """The report as PDF, a part per language.

    Raises:
        ExportError: No font of this machine has Arabic.
    """
    font = next((path for path in FONTS if path.is_file()), None)
    if font is None:
        raise ExportError(
            "the report needs the font DejaVu Sans, which is not on this machine; "
            "install it (Debian: apt install fonts-dejavu-core), then export again"
        )
    pages = Pages(font, made_at)
    for language in Language:
        pages.part(language, chapters, is_simulated=is_simulated)
    return pages.bytes()


class Pages:
    """Lays facts out; one document."""

    def __init__(self, font: Path, made_at: datetime) -> None:
        self._pdf = FPDF(format="A4")
        self._pdf.set_creation_date(made_at)
        self._pdf.set_producer("Almenara")
        self._pdf.set_margin(MARGIN_MM)
        self._pdf.set_auto_page_break(auto=True, margin=MARGIN_MM)
        self._pdf.add_font("DejaVu", fname=str(font))
        self._language = Language.ENGLISH

    def part(
        self, language: Language, chapters: Iterable[Chapter], *, is_simulated: bool
    ) -> None:
        """All chapters in one language, on pages of their own."""
        self._language = language
        self._pdf.add_page()
        self._words(text("title", language), TITLE_PT)
        if is_simulated:
            self._words(text("simulated", language), HEADING_PT)
        for chapter in chapters:
            self._heading(chapter.key)
            for group in chapter.groups:
                for fact in group:
                    self._fact(fact)
                self._pdf.ln(LINE_MM / 2)
            if not chapter.groups and chapter.if_empty:
                self._words(text(chapter.if_empty, language), TEXT_PT)
        self._verify()

    def bytes(self) -> bytes:
        """The finished document.

        Raises:
            ExportError: The document cannot be made.
        """
        try:
            return bytes(self._pdf.output())
        except FPDFException as error:
            raise ExportError(f"the report cannot be made: {error}") from error

    def _verify(self) -> None:
        self._heading("verify")
        self._words(text("verify_how", self._language), TEXT_PT)
        self._value(COMMAND, MARGIN_MM, self._pdf.epw)
        self._pdf.ln(LINE_MM)
        self._heading("words")
        for word, code in EXITS:
            self._fact(Fact(key=word, value=f"{code}  {word}"))
        self._pdf.ln(LINE_MM)
        self._words(text("not_promised", self._language), TEXT_PT)

    def _heading(self, key: str) -> None:
        self._pdf.ln(LINE_MM / 2)
        if self._pdf.will_page_break(LINE_MM * 4):
            self._pdf.add_page()
        self._words(text(key, self._language), HEADING_PT)

    def _words(self, words: str, size_pt: float) -> None:
        """A paragraph in the language of the page."""
        self._write(words, MARGIN_MM, self._pdf.epw, size_pt)

    def _fact(self, fact: Fact) -> None:
        """The label where lines of this language begin, the value in the other cell."""
        value_mm = self._pdf.epw - LABEL_MM
        if self._pdf.will_page_break(LINE_MM * 3):
            self._pdf.add_page()
        top, page = self._pdf.get_y(), self._pdf.page
        is_rtl = self._language.is_right_to_left
        label_at = MARGIN_MM + value_mm if is_rtl else MARGIN_MM
        value_at = MARGIN_MM if is_rtl else MARGIN_MM + LABEL_MM
        self._write(text(fact.key, self._language), label_at, LABEL_MM, TEXT_PT)
        bottom = self._pdf.get_y()
        self._pdf.page = page
        self._pdf.set_y(top)
        self._value(fact.value, value_at, value_mm)
        if self._pdf.page == page:
            self._pdf.set_y(max(bottom, self._pdf.get_y()))

    def _write(self, words: str, at_mm: float, width_mm: float, size_pt: float) -> None:
        is_rtl = self._language.is_right_to_left
        self._pdf.set_font("DejaVu", size=size_pt)
        self._pdf.set_text_shaping(
            use_shaping_engine=True,
            direction="rtl" if is_rtl else "ltr",
            script="arab" if is_rtl else "latn",
            language=self._language.value,
        )
        self._cell(words, at_mm, width_mm, size_pt, Align.R if is_rtl else Align.L)

    def _value(self, value: str, at_mm: float, width_mm: float) -> None:
        """By itself; a person's words may be in any script and find their own way."""
        self._pdf.set_font("DejaVu", size=TEXT_PT)
        self._pdf.set_text_shaping(use_shaping_engine=True)
        self._cell(printable(value), at_mm, width_mm, TEXT_PT, Align.L)

    def _cell(
        self, words: str, at_mm: float, width_mm: float, size_pt: float, align: Align
    ) -> None:
        self._pdf.set_x(at_mm)
        self._pdf.multi_cell(
            width_mm,
            LINE_MM * size_pt / TEXT_PT,
            words,
            align=align,
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )


def printable(value: str) -> str:
    r"""Without what would steer the reading: control codes and marks of direction.

    >>> printable("a\u202eb\n c")
    'a b c'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())
