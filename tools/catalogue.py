"""Collect the sentences people read, check their translations, write them for the page.

    tools/catalogue.py extract    messages.pot and the three .po files from the sources
    tools/catalogue.py compile    one JSON per language for the page
    tools/catalogue.py check      nothing missing, fuzzy, forbidden or differing

A sentence is found by context and English text: ``t("context", "text {value}")``
and ``tn("context", "one", "many", n)`` in the page, ``pgettext("context", "text")`` in
Python. Both must be written out where they are used; a computed one is a fault.

Source: GNU gettext's manual, "PO Files"; CLDR plural rules.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "web" / "src"
PYTHON = ROOT / "src" / "almenara"
LOCALES = PYTHON / "console" / "locales"
OUT = PAGE / "i18n" / "locales"
LANGUAGES = ("ar", "es", "fr")

# The order of forms is that of web/src/i18n/catalogue.ts; Spanish and French count
# millions apart ("un millón de barcos"), as CLDR does.
MILLIONS = "nplurals=3; plural=(n == 1 ? 0 : n != 0 && n % 1000000 == 0 ? 1 : 2);"
FRENCH = "nplurals=3; plural=(n <= 1 ? 0 : n % 1000000 == 0 ? 1 : 2);"
PLURALS = {"es": MILLIONS, "fr": FRENCH}
ARABIC = (
    "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : "
    "n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);"
)

# Describe object, state, position; never accuse, never aim (docs/adr/0003).
FORBIDDEN = {
    "en": r"illegals?|clandestine|suspects?|smugglers?|hostiles?|targets?",
    "es": r"clandestin[oa]s?|narcolanchas?|sospechos[oa]s?|ilegal(es)?",
    "fr": r"clandestine?s?|suspecte?s?|cibles?|illégale?s?|illégaux",
    "ar": r"سري|مشبوه|هدف|أهداف|غير شرعي(ة)?",
}
_LITERAL = r'"((?:[^"\\]|\\.)*)"'
_GAP = r"\s*,\s*"
CALL = re.compile(rf"\bt\(\s*{_LITERAL}{_GAP}{_LITERAL}")
COUNTED = re.compile(rf"\btn\(\s*{_LITERAL}{_GAP}{_LITERAL}{_GAP}{_LITERAL}")
ANY_CALL = re.compile(r"(?<![\w.$])tn?\((?=\s*[^)\s])")
DECLARED = re.compile(r"function\s+tn?\($")
VALUE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One thing that people read."""

    context: str
    text: str
    many: str | None
    place: str
    line: int


def main(verb: str) -> int:
    """Run one verb; 0 if all is well."""
    sentences, faults = found()
    if verb == "extract":
        extract(sentences)
    elif verb == "compile":
        for language, text in compiled(sentences).items():
            (OUT / f"{language}.json").write_text(text, "utf-8")
    elif verb == "check":
        faults += check(sentences)
    else:
        print(__doc__)
        return 2
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def found() -> tuple[list[Sentence], list[str]]:
    """Every sentence of the sources, and every call that cannot be read."""
    sentences: list[Sentence] = []
    faults: list[str] = []
    for path in sorted([*PAGE.rglob("*.ts"), *PAGE.rglob("*.svelte")]):
        if path.name.endswith((".test.ts", ".d.ts")):
            continue
        text = path.read_text("utf-8")
        place = path.relative_to(ROOT).as_posix()
        sentences += page_sentences(text, place)
        faults += page_faults(text, place)
    for path in sorted(PYTHON.rglob("*.py")):
        sentences += python_sentences(path)
    return sentences, faults


def page_sentences(text: str, place: str) -> Iterator[Sentence]:
    """The sentences of one file of the page."""
    for pattern in (CALL, COUNTED):
        for match in pattern.finditer(text):
            context, one, *many = (json.loads(f'"{part}"') for part in match.groups())
            yield Sentence(
                context=context,
                text=one,
                many=many[0] if many else None,
                place=place,
                line=text.count("\n", 0, match.start()) + 1,
            )


def page_faults(text: str, place: str) -> Iterator[str]:
    """Calls whose sentence is not written out."""
    for match in ANY_CALL.finditer(text):
        if DECLARED.search(text[: match.end()]):
            continue
        pattern = COUNTED if match.group().startswith("tn") else CALL
        if pattern.match(text, match.start()) is None:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{place}:{line}: a sentence must be written out where it is used"


def python_sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of one module."""
    source = BytesIO(path.read_bytes())
    for line, name, said, _ in extract_python(source, {"pgettext": None}, [], {}):
        parts = [str(part) for part in said]
        if name == "pgettext" and len(parts) == 2:
            place = path.relative_to(ROOT).as_posix()
            context, text = parts
            yield Sentence(
                context=context, text=text, many=None, place=place, line=line
            )


def extract(sentences: Iterable[Sentence]) -> None:
    """Bring messages.pot and the .po files up to the sources; keeps translations."""
    template = template_of(sentences)
    _write(LOCALES / "messages.pot", template)
    for language in LANGUAGES:
        path = _po(language)
        kept = read(language) if path.exists() else new(language)
        kept.update(template, no_fuzzy_matching=True)
        kept.obsolete.clear()
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, kept)


def template_of(sentences: Iterable[Sentence]) -> Catalog:
    """All sentences without translation."""
    template = Catalog(project="Almenara", charset="utf-8")
    for sentence in sentences:
        key = (sentence.text, sentence.many) if sentence.many else sentence.text
        template.add(
            key, locations=[(sentence.place, sentence.line)], context=sentence.context
        )
    return template


def new(language: str) -> Catalog:
    """An empty catalogue with our plural forms."""
    header = (
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Plural-Forms: {PLURALS.get(language, ARABIC)}\\n"\n'
    )
    return read_po(BytesIO(header.encode()), locale=language)


def read(language: str) -> Catalog:
    """A catalogue as it is kept."""
    with _po(language).open("rb") as file:
        return read_po(file, locale=language)


def compiled(sentences: Iterable[Sentence]) -> dict[str, str]:
    """For each language its JSON: context, U+0004, English to sentence or forms.

    What the server says itself stays out: it reads the .po files.
    """
    template = template_of(s for s in sentences if s.place.startswith("web/"))
    answers = {"en": _json({_key(m): m.id for m in template if m.id})}
    for language in LANGUAGES:
        kept = read(language)
        answers[language] = _json(
            {
                _key(m): there.string
                for m in template
                if m.id and (there := kept.get(_id(m), m.context)) and _full(there)
            }
        )
    return answers


def check(sentences: Iterable[Sentence]) -> list[str]:
    """Everything wrong with the catalogues."""
    sentences = list(sentences)
    template = template_of(sentences)
    faults: list[str] = []
    for message in template:
        faults += _forbidden("en", message, _texts(message.id))
    for language in LANGUAGES:
        faults += _language_faults(language, template)
    for language, text in compiled(sentences).items():
        path = OUT / f"{language}.json"
        if not path.exists() or path.read_text("utf-8") != text:
            faults.append(f"{path.relative_to(ROOT)}: run tools/catalogue.py compile")
    return faults


def _language_faults(language: str, template: Catalog) -> Iterator[str]:
    kept = read(language)
    for message in template:
        if not message.id:
            continue
        there = kept.get(_id(message), message.context)
        name = f"{language}: {message.context}: {_id(message)!r}"
        if there is None or not _full(there):
            yield f"{name}: not translated"
        elif there.fuzzy:
            yield f"{name}: fuzzy"
        else:
            yield from _forbidden(language, message, _texts(there.string))
            yield from _value_faults(name, message, there)


def _value_faults(name: str, message: Message, there: Message) -> Iterator[str]:
    """Each form holds the same values; {n} may go where the form itself says it."""
    wanted = set(VALUE.findall(_texts(message.id)[-1]))
    for form in _texts(there.string):
        if set(VALUE.findall(form)) | {"n"} != wanted | {"n"}:
            yield f"{name}: values differ in {form!r}"


def _forbidden(language: str, message: Message, texts: list[str]) -> Iterator[str]:
    for text in texts:
        if word := re.search(rf"\b(?:{FORBIDDEN[language]})\b", text, re.IGNORECASE):
            yield f"{language}: {message.context}: {text!r} says {word.group()!r}"


def _texts(said: str | Iterable[str] | None) -> list[str]:
    return [said or ""] if isinstance(said, str | None) else list(said)


def _full(message: Message) -> bool:
    return all(_texts(message.string)) and bool(message.string)


def _id(message: Message) -> str:
    return _texts(message.id)[0]


def _key(message: Message) -> str:
    return f"{message.context}\u0004{_id(message)}"


def _json(sentences: dict[str, object]) -> str:
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in sentences.items()}
    return json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _po(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / "almenara.po"


def _write(path: Path, catalogue: Catalog) -> None:
    """The same text for the same sentences: no dates, no line numbers, in order."""
    text = BytesIO()
    write_po(text, catalogue, width=0, sort_output=True, include_lineno=False)
    kept = [
        line
        for line in text.getvalue().decode().splitlines()
        if not line.startswith(('"POT-Creation', '"PO-Revision', '"Generated-By'))
        and not line.startswith(('"Last-Translator', '"Language-Team', '"Report-Msgid'))
    ]
    path.write_text("\n".join(kept) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
