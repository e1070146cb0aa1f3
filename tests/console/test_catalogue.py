"""The catalogue: four languages, complete, same values, no forbidden word."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from tools import catalogue

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_sentence_is_there_in_four_languages():
    checked = subprocess.run(
        [sys.executable, "tools/catalogue.py", "check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout == ""
    assert checked.returncode == 0, checked.stderr


def test_sentences_are_found_and_computed_ones_are_a_fault():
    page = 't("a", "one {x}", { x });\ntn("b", "{n} row", "{n} rows", n); t(a, "x");'

    found = list(catalogue.page_sentences(page, "x.ts"))
    faults = list(catalogue.page_faults(page, "x.ts"))

    assert [(s.context, s.text, s.many, s.line) for s in found] == [
        ("a", "one {x}", None, 1),
        ("b", "{n} row", "{n} rows", 2),
    ]
    assert len(faults) == 1
    assert "x.ts:2" in faults[0]


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "a suspect boat"), ("es", "narcolancha"), ("fr", "cible"), ("ar", "هدف")],
)
def test_words_that_accuse_or_aim_are_refused(language: str, text: str):
    message = Message("x", context="y")

    assert list(catalogue._forbidden(language, message, [text]))  # noqa: SLF001 - the rule


def test_the_compiled_languages_have_the_same_keys():
    kept = [
        json.loads((catalogue.OUT / f"{language}.json").read_text("utf-8")).keys()
        for language in ("en", *catalogue.LANGUAGES)
    ]

    assert all(keys == kept[0] for keys in kept)
