"""Every key that a rule may say has a sentence, in the console's four languages."""

import json
import re
from pathlib import Path

import pytest

from almenara.tracking.integrity import AnomalyKind

ROOT = Path(__file__).parents[2]
RULES = ROOT / "src/almenara/incidents"
WORDS = (ROOT / "web/src/words.ts").read_text("utf-8")
SOURCE = "\n".join(p.read_text("utf-8") for p in sorted(RULES.glob("*.py")))
REASONS = sorted(
    {
        *re.findall(r'Reason\(\s*"([a-z_.]+)"', SOURCE),
        *(f"ais.{kind}" for kind in AnomalyKind),
    }
)
NAMES = sorted(
    {
        *re.findall(r'contact_alert\(\s*"([a-z_]+)"', SOURCE),
        *re.findall(r'rule="([a-z_]+)"', SOURCE),
        *(f"ais_{kind}" for kind in AnomalyKind),
    }
)
LANGUAGES = ("ar", "en", "es", "fr")


def test_the_rules_say_something():
    assert len(REASONS) > 40
    assert len(NAMES) > 15


@pytest.mark.parametrize("key", REASONS)
def test_a_reason_has_a_sentence(key: str):
    assert f'case "{key}"' in WORDS


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_a_name(name: str):
    assert f'case "{name}"' in WORDS


def test_what_is_unknown_has_a_name():
    inside = WORDS[WORDS.index("function unknownFact") :]
    missing = SOURCE[SOURCE.index("missing = {") :].partition("}")[0]
    said = set(re.findall(r'"([a-z_]+)":', missing))
    for listed in re.findall(
        r"unknown=(.{0,120}?)(?:\n    \)|suggested)", SOURCE, re.DOTALL
    ):
        said |= set(re.findall(r'"([a-z_]+)"', listed))

    assert {"people", "havens", "sea_state", "purpose", "cause"} <= said
    for key in said:
        assert f'case "{key}"' in inside, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_the_words_is_in_every_language(language: str):
    text = (ROOT / f"web/src/i18n/locales/{language}.json").read_text("utf-8")
    known = json.dumps(json.loads(text), ensure_ascii=False)
    for sentence in re.findall(r't\("reason", "([^"]+)"', WORDS):
        assert sentence in known, sentence
