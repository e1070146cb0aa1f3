"""Every dependency has a reason, a range and a licence that may come in."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PAGE = (ROOT / "docs/reference/dependencies.md").read_text("utf-8")
ROWS = {
    row[0]: row
    for row in re.findall(
        r"^\| (\S+) \| (\S+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE
    )
}
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
REFUSED = re.compile(r"(?<!L)(?:GPL|General Public License)", re.IGNORECASE)
LESSER = re.compile(r"LGPL|Lesser General Public", re.IGNORECASE)


def declared() -> list[str]:
    project = PROJECT["project"]
    extras = [
        line for extra in project["optional-dependencies"].values() for line in extra
    ]
    return [
        *project["dependencies"],
        *extras,
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
    ]


def with_all_they_need(names: list[str]) -> set[str]:
    """The installed run-time closure, extras left out."""
    seen: set[str] = set()
    queue = [found[0] for name in names if (found := NAME.match(name))]
    while queue:
        name = queue.pop().lower().replace("_", "-")
        if name in seen:
            continue
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue  # for another platform
        seen.add(name)
        queue += [
            found[0]
            for need in needs
            if "extra ==" not in need and (found := NAME.match(need))
        ]
    return seen


def licence_of(name: str) -> str:
    about = metadata(name)
    classifiers = about.get_all("Classifier") or []
    said = [c for c in classifiers if c.startswith("License ::")]
    expression = about.get_all("License-Expression") or about.get_all("License") or [""]
    named = str(expression[0])[:80]  # some put the whole text there
    return " ".join([named, *said])


@pytest.mark.parametrize("line", declared())
def test_every_dependency_has_its_reason_and_range(line: str):
    name = NAME.match(line)[0]  # type: ignore[index]  # every line starts with a name

    assert ROWS[name][1] == line.removeprefix(name)
    assert len(ROWS[name][3].split()) >= 2


def test_no_reason_outlives_its_dependency():
    names = {found[0] for line in declared() if (found := NAME.match(line))}

    assert set(ROWS) - {"package", "---"} == names


@pytest.mark.parametrize(
    "name", sorted(with_all_they_need(PROJECT["project"]["dependencies"]))
)
def test_nothing_that_is_needed_to_run_is_under_the_gpl(name: str):
    licence = licence_of(name)

    assert LESSER.search(licence) or not REFUSED.search(licence), licence
