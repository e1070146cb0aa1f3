"""Promises the source makes about itself."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import almenara
from almenara.core import errors

ROOT = Path(__file__).parents[2]
MODULES = [
    m.name
    for m in pkgutil.walk_packages(almenara.__path__, "almenara.")
    if not m.name.endswith(".env")  # runs migrations when imported
]
LATER = ("planning",)
UNSPOKEN = frozenset(
    [
        "face",
        "faces",
        "facial",
        "biometric",
        "biometrics",
        "gait",
        "iris",
        "fingerprint",
        "gender",
        "sex",
        "ethnicity",
        "ethnic",
        "race",
        "racial",
        "religion",
        "nationality",
        "skin",
        "suspect",
        "suspects",
        "suspicious",
        "hostile",
        "enemy",
        "illegal",
        "illegals",
        "criminal",
        "smuggler",
        "intruder",
        "threat",
        "foe",
        "migrant",
        "migrants",
        "plate",
        "plates",
        "licenseplate",
        "weapon",
        "weapons",
        "intercept",
        "interception",
        "engage",
        "reid",
        "reidentify",
        "reidentification",
    ]
)
"""Words no identifier may hold: what is never recognised, judged or done here."""


def source(name: str) -> str:
    return inspect.getsource(importlib.import_module(name))


def words_of_identifiers(text: str) -> set[str]:
    """Every word of every name: of ``isSuspectBoat`` and ``is_suspect_boat`` alike."""
    return {
        word.lower()
        for node in ast.walk(ast.parse(text))
        for field in ("id", "name", "attr", "arg", "asname")
        for word in re.findall(
            r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", str(getattr(node, field, None) or "")
        )
    }


def test_the_tree_of_errors_is_the_real_one():
    drawn = re.findall(r"^\s*[*+] (\w+)", errors.__doc__ or "", re.MULTILINE)
    real = {
        name: thing.code
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, errors.AlmenaraError)
    }

    assert sorted(drawn) == sorted(real)
    assert len(set(real.values())) == len(real)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_and_is_on_the_map(name: str):
    module = importlib.import_module(name)

    assert (module.__doc__ or "").strip()
    assert f"``{name.split('.')[1]}``" in (almenara.__doc__ or "")


@pytest.mark.parametrize("name", MODULES)
def test_a_document_that_is_named_says_something(name: str):
    for path in re.findall(r"docs/[\w/.-]+\.md", source(name)):
        assert len((ROOT / path).read_text("utf-8").splitlines()) > 5, path


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_named_after_what_we_never_do(name: str):
    assert not words_of_identifiers(source(name)) & UNSPOKEN


@pytest.mark.parametrize("text", ["isSuspectBoat = 1", "def f(face_id): ...", "x.Gait"])
def test_a_name_that_must_not_be_is_seen_in_every_spelling(text: str):
    assert words_of_identifiers(text) & UNSPOKEN


@pytest.mark.parametrize("name", ["surface", "interface", "trace", "template", "facet"])
def test_a_harmless_word_that_holds_another_is_left_alone(name: str):
    assert not words_of_identifiers(f"{name} = 1") & UNSPOKEN


@pytest.mark.parametrize("package", LATER)
def test_a_package_whose_turn_comes_later_says_what_will_live_there(package: str):
    module = importlib.import_module(f"almenara.{package}")

    assert len((module.__doc__ or "").split()) >= 8
