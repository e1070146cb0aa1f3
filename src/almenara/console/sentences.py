"""Sentences that the server makes itself, in the language of whoever reads them.

The catalogues are the same ``.po`` files that the page is made from; they are read once
per language. A sentence that is missing is said in English: never nothing.

Source: GNU gettext's manual, "PO Files".
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files

Pgettext = Callable[[str, str], str]
"""Context and English to the sentence in one language."""

LANGUAGES = ("ar", "en", "es", "fr")
_LINE = re.compile(r'^(msgctxt|msgid|msgstr|msgid_plural|msgstr\[\d+\])?\s*(".*")$')


def speaker(language: str) -> Pgettext:
    """How to say things in a language; an unknown one is English."""
    known = catalogue(language) if language in LANGUAGES[:1] + LANGUAGES[2:] else {}

    def say(context: str, text: str) -> str:
        return known.get((context, text)) or text

    return say


@cache
def catalogue(language: str) -> Mapping[tuple[str, str], str]:
    """Every singular sentence of one language by context and English."""
    folder = files("almenara.console").joinpath("locales", language, "LC_MESSAGES")
    text = folder.joinpath("almenara.po").read_text("utf-8")
    return {
        (entry.get("msgctxt", ""), entry["msgid"]): entry["msgstr"]
        for entry in _entries(text)
        if entry.get("msgid") and entry.get("msgstr")
    }


def _entries(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        entry: dict[str, str] = {}
        field = ""
        for line in block.splitlines():
            if (match := _LINE.match(line)) is None:
                continue
            field = match[1] or field
            # A quoted line of a .po file is written as a string of C, and of Python.
            entry[field] = entry.get(field, "") + str(ast.literal_eval(match[2]))
        yield entry
